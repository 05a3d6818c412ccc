"""Exported generators as versions of a registered model, and the best of them, its champion.

A version holds no pickle.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model

import ssgan
from ssgan.export import NamedGenerator, serving
from ssgan.export.card_text import is_card
from ssgan.export.format import MANIFEST
from ssgan.records.rundir import RunDir
from ssgan.tracking.card import model_card
from ssgan.tracking.recorder import Recorder, experiment_of
from ssgan.tracking.store import connect
from ssgan.tracking.view import CHAMPION

ALIAS = "champion"
"""``models:/NAME@champion`` is the best version so far."""
_METRIC, _VALUE, _SAME = "ssgan.metric", "ssgan.metric_value", "ssgan.same."
_EXPORT_TAG = "ssgan.export"
# What ssgan.export.serving imports; the code itself travels with the model (code_paths).
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "pydantic", "safetensors", "torch")


def register(
    uri: str,
    export_dir: str | Path,
    name: str,
    run: RunDir,
    experiment: str | None = None,
) -> tuple[str, int]:
    """Make a local export a version of a registered model; the same export stays one version.

    The run that it comes from is synced first, to its own experiment by default. Its card becomes
    the description of the version, and of a model without a champion.

    Returns:
        Name and version: ``mlflow models serve -m models:/NAME/VERSION``.

    Raises:
        BadInput: The export is missing or corrupt.
        MlflowException: MLflow does not answer.
    """
    folder = Path(export_dir)
    generator = NamedGenerator.load(folder)
    client = connect(uri)
    digest = sha256((folder / MANIFEST).read_bytes()).hexdigest()
    for known in client.search_model_versions(f"name = '{name}'"):
        if known.tags.get(_EXPORT_TAG) == digest:
            return name, int(known.version)
    synced = Recorder(uri, experiment or experiment_of(run), keeps_view=False).sync(run)
    # Made here, because Model.log would put it into whatever experiment is active.
    model = client.create_logged_model(
        client.get_run(synced.mlflow_run_id).info.experiment_id,
        name="generator",
        source_run_id=synced.mlflow_run_id,
    )
    with _talking_to(uri):
        info = Model.log(
            artifact_path=None,
            model_id=model.model_id,
            flavor=mlflow.pyfunc,
            run_id=synced.mlflow_run_id,
            registered_model_name=name,
            loader_module="ssgan.export.serving",
            data_path=str(folder),
            code_paths=[str(Path(ssgan.__file__).parent)],
            signature=serving.signature(),
            input_example=serving.input_example(generator),
            pip_requirements=[f"{one}=={version(one)}" for one in _REQUIREMENTS],
            step=synced.epochs,
        )
    number = int(info.registered_model_version)
    codes = json.dumps([code._asdict() for code in generator.codes])[:5000]
    tags = {"ssgan.run_id": run.run_id, "ssgan.codes": codes, _EXPORT_TAG: digest}
    for tag, text in tags.items():
        client.set_model_version_tag(name, str(number), tag, text)
    if (card := model_card(run, synced.mlflow_run_id, f"{name}/{number}")) is not None:
        client.update_model_version(name, str(number), card)
        if ALIAS not in client.get_registered_model(name).aliases:
            _describe_model(client, name, number)
    return name, number


class Champion(NamedTuple):
    """What became of a version that was put forward."""

    name: str
    version: int
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

    Two versions compare only if they were scored by the same `metric` (name and value), and where
    the hashes in `identity` are equal, of ``data``, ``labels`` and ``judge``; they become tags of
    the version. Otherwise the alias stays where it is. Errors are those of `register`.
    """
    _, version = register(uri, export_dir, name, run, experiment)
    client = connect(uri)
    key, value = metric
    tags = {_METRIC: key, _VALUE: repr(float(value))}
    tags |= {f"{_SAME}{one}": digest for one, digest in identity.items()}
    for tag, text in tags.items():
        client.set_model_version_tag(name, str(version), tag, text)
    number = client.get_registered_model(name).aliases.get(ALIAS)
    present = None if number is None else client.get_model_version(name, str(number))
    if present is None:
        is_better, reason = True, "there was no champion before"
    elif int(present.version) == version:
        is_better, reason = True, "it is the champion already"
    else:
        is_better, reason = _compare(present, tags, value, mode)
    if is_better:
        client.set_registered_model_alias(name, ALIAS, str(version))
        _mark_champion(client, name, version, present)
        _describe_model(client, name, version)
    return Champion(name, version, is_better, reason)


def _describe_model(client: MlflowClient, name: str, version: int) -> None:
    """Describe a model by the card of a version, unless somebody has described it otherwise."""
    card = client.get_model_version(name, str(version)).description
    if card and is_card(client.get_registered_model(name).description):
        client.update_registered_model(name, card)


def _mark_champion(
    client: MlflowClient, name: str, version: int, before: ModelVersion | None
) -> None:
    """Say on the run of a champion that it is one, and on that of the one before no more."""
    if before is not None and before.run_id and int(before.version) != version:
        with suppress(MlflowException):  # it may be gone, or never have been marked
            client.delete_tag(before.run_id, CHAMPION)
    run_id = client.get_model_version(name, str(version)).run_id
    if run_id:
        client.set_tag(run_id, CHAMPION, f"{name}, version {version}")


@contextmanager
def _talking_to(uri: str) -> Iterator[None]:
    """Point MLflow's global state, which `Model.log` uses, at a store for a while."""
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    path = sys.path[:]
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it
        sys.path[:] = path  # validating the input example puts the model's copy of us there


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
