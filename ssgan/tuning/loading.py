"""From what a user wrote to a `Search`: a name or a file, a base experiment, overrides.

A file names a base experiment, fields of every trial and a space; see the folder
``ssgan/experiment/presets/searches``.
"""

from collections.abc import Mapping
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.experiment.loading import (
    Overrides,
    assign,
    few_lines,
    load_experiment,
    names_in,
    read_named,
    read_overrides,
    with_values,
)
from ssgan.experiment.tree import Experiment
from ssgan.tuning.checks import check_search
from ssgan.tuning.search import OWN, Search

_PRESETS = resources.files("ssgan.experiment") / "presets" / "searches"
# Without effect in a single run, where one worker has its process and the machine for itself.
_RESERVED = ("scaling.cpus", "scaling.retries")


def search_names() -> list[str]:
    """Return the names of the searches that ssgan ships."""
    return names_in(_PRESETS)


def load_search(
    source: str | Path | Mapping[str, Any],
    base: str | Path | None = None,
    overrides: Overrides = (),
) -> Search:
    """Build a search and check all of it that needs no cluster.

    Args:
        source: Name of a search that ships, path of a YAML file, or the same as a mapping.
        base: Preset or YAML file of the experiment, instead of the one that the search names.
        overrides: Fields of every trial, ``"training.epochs=20"`` and so on, or a mapping of
            dotted names to values; ``search.trials=8`` sets a field of the search itself.

    Raises:
        BadInput: Something cannot work; the message says what to change.
    """
    tree, name = _read(source)
    of_search, of_trial = _split(overrides)
    for path, value in of_search.items():
        assign(tree, path, value)
    tree["name"] = tree.get("name", name)
    known = {*Search.model_fields, "overrides"}
    for unknown in sorted(tree.keys() - known):
        raise BadInput(f"a search has no field {unknown!r}{nearest(unknown, known)}")
    experiment = base or tree.get("base")
    if experiment is None:
        raise BadInput("the search names no base experiment; set base, for example base: mnist")
    tree["base"] = _experiment(experiment, {**(tree.pop("overrides", None) or {}), **of_trial})
    if not tree.get("space"):
        raise BadInput(
            "the search's space is empty, so there is nothing to search; name at least one field, "
            "for example space: {objective.lambda1: {kind: loguniform, low: 0.05, high: 2}}"
        )
    try:
        search = Search.model_validate(tree)
    except ValidationError as error:
        told = [one for one in error.errors() if one["type"] != "default_factory_not_called"]
        raise BadInput(few_lines(map(_explain, told))) from error
    check_search(search)
    return search


def change_search(started: Search, overrides: Overrides) -> Search:
    """Set fields of a search that was started, or of its trials.

    Raises:
        BadInput: Something cannot work; the message says what to change.
    """
    tree = started.model_dump(mode="json")
    return load_search({**tree, "base": started.base}, overrides=overrides)


def _read(source: str | Path | Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the tree as the user wrote it, and a name for it."""
    if isinstance(source, Mapping):
        return deepcopy(dict(source)), "search"
    return read_named(str(source), _PRESETS, "search", "search")


def _split(overrides: Overrides) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part overrides into those of the search and those of its experiment."""
    pairs = dict(read_overrides(overrides))
    ordered = sorted(pairs, key=lambda path: not path.endswith(".kind"))  # which drops the others
    own = {path.removeprefix(OWN): pairs[path] for path in ordered if path.startswith(OWN)}
    return own, {path: value for path, value in pairs.items() if not path.startswith(OWN)}


def _experiment(source: Any, given: Mapping[str, Any]) -> Experiment:
    """Build the base experiment with some fields replaced."""
    if isinstance(source, Experiment):
        return with_values(source, given)
    reserved = {path: value for path, value in given.items() if path in _RESERVED}
    others = {path: value for path, value in given.items() if path not in _RESERVED}
    return with_values(load_experiment(str(source), others), reserved)


def _explain(detail: Any) -> str:
    """Turn one of pydantic's complaints into a sentence that names the field."""
    path = ".".join(map(str, detail["loc"]))
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden" and path.endswith("time_attr"):
        message = "time is always counted in epochs, which continue after a restart; leave it out"
    elif detail["type"] == "extra_forbidden":
        message = "there is no such field here"
    return f"search.{path}: {message}"
