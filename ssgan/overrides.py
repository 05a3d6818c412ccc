"""From a preset or a file and dotted overrides to an Experiment, and from two to their difference.

A field is spelt the same everywhere: ``objective.lambda2`` on the command line, in search spaces,
in Python and among MLflow's params.
"""

import logging
import typing
from collections.abc import Iterator, Mapping, Sequence, Set
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from ssgan.config import Config, nearest, read_yaml
from ssgan.errors import BadInput
from ssgan.experiment import Experiment
from ssgan.inert import find_inert

Tree = dict[str, Any]
FieldClass = Literal["mutable", "extent", "free", "identity"]

_PRESETS = resources.files("ssgan") / "presets"
_CLASSES: tuple[tuple[str, FieldClass], ...] = (
    ("objective", "mutable"),
    ("label_sampling.probability", "mutable"),
    ("label_sampling.floor", "mutable"),
    ("instance_noise", "mutable"),
    ("training.epochs", "extent"),
    ("scaling", "extent"),
    ("evaluation", "free"),
    ("tracking", "free"),
    ("name", "free"),
)

_log = logging.getLogger(__name__)


def preset_names() -> list[str]:
    """Return the names of the presets that ssgan ships."""
    files = (file.name for file in _PRESETS.iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def load_experiment(
    source: str | Path, overrides: Sequence[str] | Mapping[str, Any] = ()
) -> Experiment:
    """Build an experiment.

    Args:
        source: Name of a preset, or path of a YAML file; a file may name a ``preset`` to start
            from.
        overrides: ``"training.epochs=20"`` and so on, or a mapping of dotted names to values.

    Raises:
        BadInput: Unknown preset or field (the nearest name is suggested), a value out of range,
            or a field that the user set and that has no effect.
    """
    base, own = _read(str(source))
    assignments = [*_flatten_given(own), *_parse(overrides)]
    tree = Experiment().model_dump(mode="json")
    given: set[str] = set()
    for path, value in [*_flatten_given(base), *assignments]:
        _check_path(path)
        lost = _assign(tree, path, value, given)
        if lost:
            _log.info("%s=%s drops the preset's %s", path, value, ", ".join(lost))
        given.add(path)
    experiment = _validate(tree)
    # What is switched off (null) in vain does no harm.
    return _drop_inert(experiment, {path for path, value in assignments if value is not None})


def field_class(path: str) -> FieldClass:
    """Say what may change a field: nothing, PBT, a resume, or anyone (design of the tree)."""
    for prefix, kind in _CLASSES:
        if path == prefix or path.startswith(f"{prefix}."):
            return kind
    return "identity"


def flatten(config: Config) -> dict[str, Any]:
    """Flatten a tree to dotted names and JSON values; lists stay whole."""
    return dict(_flatten_given(config.model_dump(mode="json")))


def difference(old: Experiment, new: Experiment) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ, with their old and new values; None where there is none."""
    before, after = flatten(old), flatten(new)
    pairs = {path: (before.get(path), after.get(path)) for path in before | after}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def check_resume(old: Experiment, new: Experiment) -> None:
    """Refuse to resume a run as another one; log the changes that are allowed.

    Raises:
        BadInput: A field of the classes *identity* or *mutable* differs; the message is a diff.
    """
    changes = difference(old, new)
    refused = [path for path in changes if field_class(path) in ("identity", "mutable")]
    if refused:
        lines = "\n".join(f"  {path}: {changes[path][0]} -> {changes[path][1]}" for path in refused)
        raise BadInput(
            f"the run was started with other values, and a resume cannot change them:\n{lines}\n"
            "leave them out to go on with the run, or start another with --name"
        )
    for path, (before, after) in changes.items():
        _log.info("resuming with %s=%s, before %s", path, after, before)


def with_values(experiment: Experiment, values: Sequence[str] | Mapping[str, Any]) -> Experiment:
    """Return the experiment with some fields replaced, given as to `load_experiment`.

    Raises:
        BadInput: Unknown field, or a value out of range.
    """
    tree = experiment.model_dump(mode="json")
    given = set(flatten(experiment))
    for path, value in _parse(values):
        _check_path(path)
        _assign(tree, path, value, given)
    return _validate(tree)


def as_file(experiment: Experiment) -> str:
    """Write the experiment file that `load_experiment` reads back: what a preset does not say."""
    preset = experiment.name if experiment.name in preset_names() else None
    base = load_experiment(preset) if preset else Experiment()
    present = flatten(experiment)
    tree: Tree = {"preset": preset} if preset else {}
    for path in difference(base, experiment):
        if path in present and path != "name":
            _assign(tree, path, present[path])
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def field_models(path: str) -> list[type[Config]]:
    """Return the configuration classes that can stand at a dotted path; empty at a leaf."""
    models: list[type[Config]] = [Experiment]
    for part in path.split(".") if path else []:
        models = [
            found
            for model in models
            if part in model.model_fields
            for found in _configs(model.model_fields[part].annotation)
        ]
    return models


def _read(source: str) -> tuple[Tree, Tree]:
    """Return the preset's tree and the user's own."""
    if source in preset_names():
        return _load_yaml((_PRESETS / f"{source}.yaml").read_text(), source) | {"name": source}, {}
    file = Path(source)
    if file.suffix not in (".yaml", ".yml"):
        raise BadInput(
            f"there is no preset {source!r}{nearest(source, preset_names())} "
            "(a file of your own ends in .yaml)"
        )
    try:
        own = _load_yaml(file.read_text(encoding="utf-8"), source)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the experiment file {source}: {error}") from error
    preset = own.pop("preset", None)
    if preset not in (None, *preset_names()):
        raise BadInput(
            f"{source}: there is no preset {preset!r}{nearest(str(preset), preset_names())}"
        )
    return (_read(preset)[0] if preset else {}) | {"name": file.stem}, own


def _load_yaml(text: str, where: str) -> Tree:
    try:
        tree = read_yaml(text) or {}
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is no YAML: {error}") from error
    if not isinstance(tree, dict):
        raise BadInput(f"{where} must hold fields and their values, not a {type(tree).__name__}")
    return tree


def _parse(overrides: Sequence[str] | Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Read overrides as leaves by dotted name, each `kind` before what it decides on."""
    pairs = list(overrides.items()) if isinstance(overrides, Mapping) else []
    for override in () if isinstance(overrides, Mapping) else overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise BadInput(f"{override!r} is no override; write field=value, as training.epochs=20")
        try:
            pairs.append((path.strip(), read_yaml(text)))
        except yaml.YAMLError as error:
            raise BadInput(f"cannot read the value {text!r}: {error}") from error
    leaves = [leaf for path, value in pairs for leaf in _flatten_given({path: value})]
    return sorted(leaves, key=lambda leaf: leaf[0].split(".")[-1] != "kind")


def _flatten_given(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield leaves by dotted name, each `kind` before its siblings."""
    for key in sorted(tree, key=lambda key: key != "kind"):
        value, path = tree[key], f"{prefix}{key}"
        if isinstance(value, Mapping) and value and field_models(path):
            yield from _flatten_given(value, f"{path}.")
        else:
            yield path, value


def _check_path(path: str) -> None:
    """Refuse a name that no configuration class has, and suggest the nearest."""
    parts = path.split(".")
    for depth, part in enumerate(parts):
        parent = ".".join(parts[:depth])
        models = field_models(parent)
        known = {name for model in models for name in model.model_fields}
        if part not in known:
            where = f"{parent} has" if parent else "an experiment has"
            if not models:
                where = f"{parent} is a single value and has"
            raise BadInput(f"unknown field {path!r}: {where} no {part!r}{nearest(part, known)}")


def _assign(tree: Tree, path: str, value: Any, given: Set[str] = frozenset()) -> list[str]:
    """Set a field; a new `kind` takes those of the `given` fields along that it knows.

    Fields that nobody gave stay behind: they are defaults of the old kind, not of the new one.

    Returns:
        Dotted names of the given fields that the new kind does not know.
    """
    *parents, leaf = path.split(".")
    for part in parents:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    lost = []
    if leaf == "kind" and tree.get("kind") != value:
        where = ".".join(parents)
        known = _fields_of_kind(where, value)
        own = {name for name in tree if f"{where}.{name}" in given}
        lost = sorted(f"{where}.{name}" for name in own - known)
        for name in tree.keys() - (own & known):
            del tree[name]
    tree[leaf] = value
    return lost


def _fields_of_kind(path: str, kind: Any) -> set[str]:
    def is_of_kind(model: type[Config]) -> bool:
        return kind in typing.get_args(model.model_fields["kind"].annotation)

    return {name for m in field_models(path) if is_of_kind(m) for name in m.model_fields}


def _validate(tree: Tree) -> Experiment:
    try:
        return Experiment.model_validate(tree)
    except ValidationError as error:
        raise BadInput("\n".join(_explain(tree, detail) for detail in error.errors())) from error


def _explain(tree: Tree, detail: Any) -> str:
    """Turn one of pydantic's complaints into a sentence that names the field."""
    parts: list[str] = []
    value: Any = tree
    kind = None
    for part in detail["loc"]:  # also names union members, which are no part of the field's name
        try:
            below = value[part]
        except (KeyError, IndexError, TypeError):
            continue
        kind = value.get("kind") if isinstance(value, dict) else None
        parts.append(str(part))
        value = below
    name, message = ".".join(parts), str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "missing":
        return f"{name}.{detail['loc'][-1]} is required; set it"
    if detail["type"] == "extra_forbidden" and kind is not None:
        message = f"has no effect with {'.'.join(parts[:-1])}.kind={kind}"
    shown = "" if isinstance(value, dict) else f"={value}"
    return f"{name}{shown}: {message}" if name else message


def _drop_inert(experiment: Experiment, chosen: set[str]) -> Experiment:
    """Refuse fields that the user set in vain; reset a preset's to their defaults.

    Raises:
        BadInput: A chosen field has no effect.
    """
    tree, defaults = experiment.model_dump(mode="json"), Experiment().model_dump(mode="json")
    for branch, reason in find_inert(experiment).items():
        mine = sorted(path for path in chosen if f"{path}.".startswith(f"{branch}."))
        if mine:
            raise BadInput(f"{mine[0]} has no effect: {reason}")
        if _get(tree, branch) != _get(defaults, branch):
            _log.info("the preset's %s is dropped: %s", branch, reason)
            _assign(tree, branch, _get(defaults, branch))
    return _validate(tree)


def _get(tree: Tree, path: str) -> Any:
    for part in path.split("."):
        tree = tree[part]
    return tree


def _configs(annotation: Any) -> list[type[Config]]:
    """Find the configuration classes in a type, through unions and annotations."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    if typing.get_origin(annotation) in (tuple, list, dict):
        return []
    return [found for part in typing.get_args(annotation) for found in _configs(part)]
