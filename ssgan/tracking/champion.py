"""The champion: the best version of a registered model, among those that can be compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ssgan.records.rundir import RunDir
from ssgan.tracking.registry import register
from ssgan.tracking.store import connect

ALIAS = "champion"
"""``models:/NAME@champion`` is the best version so far."""
_METRIC, _VALUE, _SAME = "ssgan.metric", "ssgan.metric_value", "ssgan.same."


class Champion(NamedTuple):
    """What became of a version that was put forward."""

    name: str
    """Name of the registered model."""
    version: int
    """Its version."""
    is_champion: bool
    """Whether it has the alias now."""
    reason: str
    """Why, or why not, in words."""


def register_champion(
    uri: str,
    export_dir: str | Path,
    name: str,
    run: RunDir,
    *,
    metric: tuple[str, float],
    identity: Mapping[str, str],
    mode: Literal["min", "max"] = "min",
    experiment: str | None = None,
) -> Champion:
    """Register an export, and make it the champion if it beats the one that there is.

    Two versions compare only if they were scored by the same metric, on the same data, with the
    same label budget and by the same judge. Otherwise the alias stays where it is.

    Args:
        uri: MLflow tracking and registry URI.
        export_dir: A local export folder.
        name: Name of the registered model.
        run: The run that it comes from.
        metric: Name and value of what decides.
        identity: What must be equal for a comparison: names (``data``, ``labels``, ``judge``) to
            hashes. They become tags of the version.
        mode: Whether less or more is better.
        experiment: MLflow experiment of the run, for example a search's name; the run's own by
            default.

    Raises:
        BadInput: The export is missing or damaged.
        MlflowException: MLflow does not answer.
    """
    _, version = register(uri, export_dir, name, run, experiment)
    client = connect(uri)
    key, value = metric
    tags = {_METRIC: key, _VALUE: repr(float(value))}
    tags |= {f"{_SAME}{one}": digest for one, digest in identity.items()}
    for tag, text in tags.items():
        client.set_model_version_tag(name, str(version), tag, text)
    present = _present(client, name)
    if present is None:
        is_better, reason = True, "there was no champion before"
    elif int(present.version) == version:
        is_better, reason = True, "it is the champion already"
    else:
        is_better, reason = _compare(present, tags, value, mode)
    if is_better:
        client.set_registered_model_alias(name, ALIAS, str(version))
    return Champion(name, version, is_better, reason)


def _present(client: MlflowClient, name: str) -> ModelVersion | None:
    number = client.get_registered_model(name).aliases.get(ALIAS)
    return None if number is None else client.get_model_version(name, str(number))


def _compare(
    present: ModelVersion, tags: Mapping[str, str], value: float, mode: str
) -> tuple[bool, str]:
    """Say whether a version with such tags beats the present champion, and why."""
    who = f"the champion, version {present.version},"
    names = {tag for tag in {*tags, *present.tags} if tag == _METRIC or tag.startswith(_SAME)}
    different = [
        tag.removeprefix(_SAME).removeprefix("ssgan.")
        for tag in sorted(names)
        if tags.get(tag) != present.tags.get(tag)
    ]
    if different or _VALUE not in present.tags:
        what = ", ".join(different) or "metric"
        return False, f"{who} cannot be compared with it: it has another {what}"
    theirs = float(present.tags[_VALUE])
    is_better = value < theirs if mode == "min" else value > theirs
    verb = "is beaten" if is_better else "is not beaten"
    return is_better, f"{who} has {tags[_METRIC]} {theirs:.4f} and {verb} by {value:.4f}"
