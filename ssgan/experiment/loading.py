"""From a preset or a file and dotted overrides to an Experiment, and back to a file."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.base.yaml_text import LONGEST, read_yaml, write_yaml
from ssgan.experiment.fields import (
    beside_file,
    check_path,
    difference,
    fields_of_kind,
    flatten,
    leaves_of,
)
from ssgan.experiment.no_effect import find_inert
from ssgan.experiment.tree import Experiment

Tree = dict[str, Any]
Overrides = Sequence[str] | Mapping[str, Any]
"""``"training.epochs=20"`` and so on, or a mapping of dotted names to values."""

_PRESETS = resources.files("ssgan.experiment") / "presets"
_log = logging.getLogger(__name__)


def preset_names() -> list[str]:
    """Return the names of the presets that ssgan ships."""
    return names_in(_PRESETS)


def about_preset(name: str) -> str:
    """Return what a preset is for: the first sentence of the comment that its file begins with."""
    lines = (_PRESETS / f"{name}.yaml").read_text().splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(line.removeprefix("#").strip() for line in comment)
    return text.partition(". ")[0].removesuffix(".")


def names_in(folder: Traversable) -> list[str]:
    """Return the names of the YAML files in a folder, without their ending."""
    files = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def load_experiment(source: str | Path, overrides: Overrides = ()) -> Experiment:
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
    in_file = _resolve(_with_current_names(leaves_of(own)), Path(source).parent)
    assignments = [*in_file, *parse_overrides(overrides)]
    tree = Experiment().model_dump(mode="json")
    given: set[str] = set()
    for path, value in [*_with_current_names(base), *assignments]:
        lost = assign(tree, path, value, given)
        if lost:
            _log.info("%s=%s drops the preset's %s", path, value, ", ".join(lost))
        given.add(path)
    experiment = _validate(tree)
    objective = experiment.objective
    if not (objective.lambda1 or objective.lambda2 or objective.extra):
        _log.warning(
            "objective.lambda1 and objective.lambda2 are 0, so the codes mean nothing: nothing "
            "ties them to the images, and no label is used"
        )
    # What is switched off (null) in vain does no harm.
    return _drop_inert(experiment, {path for path, value in assignments if value is not None})


def with_values(experiment: Experiment, values: Overrides) -> Experiment:
    """Return the experiment with some fields replaced, given as to `load_experiment`.

    Raises:
        BadInput: Unknown field, or a value out of range.
    """
    tree = experiment.model_dump(mode="json")
    given = set(flatten(experiment))
    for path, value in parse_overrides(values):
        assign(tree, path, value, given)
    return _validate(tree)


def as_file(experiment: Experiment) -> str:
    """Write the experiment file that `load_experiment` reads back: what a preset does not say.

    Fields without effect are left out, because they would be refused.
    """
    preset = experiment.name if experiment.name in preset_names() else None
    base = load_experiment(preset) if preset else Experiment()
    present = flatten(experiment)
    tree: Tree = {"preset": preset} if preset else {}
    in_vain = tuple(f"{branch}." for branch in find_inert(experiment))
    for path in difference(base, experiment):
        if path in present and path != "name" and not f"{path}.".startswith(in_vain):
            assign(tree, path, present[path])
    return write_yaml(tree)


def _read(source: str) -> tuple[list[tuple[str, Any]], Tree]:
    """Return what the presets set, in order, those that others start from first, and the user's."""
    own, name = read_named(source, _PRESETS, "preset", "experiment")
    preset = own.pop("preset", None)
    if preset not in (None, *preset_names()):
        raise BadInput(
            f"{source}: there is no preset {preset!r}{nearest(str(preset), preset_names())}"
        )
    base = _read(preset)[0] if preset else []
    if source in preset_names():
        base, own = [*base, *leaves_of(own)], {}
    return [*base, ("name", name)], own


def read_named(source: str, shipped: Traversable, what: str, what_file: str) -> tuple[Tree, str]:
    """Read a YAML file that ships in a folder, by its name, or one of the user's, by its path.

    Returns:
        Its fields and their values, and its name.

    Raises:
        BadInput: There is none, it cannot be read, or it holds something else.
    """
    names = names_in(shipped)
    if source in names:
        return _load_yaml((shipped / f"{source}.yaml").read_text(), source), source
    file = Path(source.partition("?")[0] if "://" in source else source)
    if file.suffix not in (".yaml", ".yml"):
        raise BadInput(
            f"there is no {what} {source!r}{nearest(source, names)} "
            "(a file of your own ends in .yaml)"
        )
    try:
        return _load_yaml(_read_text(source), source), file.stem
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the {what_file} file {source}: {error}") from error


def _read_text(source: str) -> str:
    if "://" not in source:
        file = Path(source)
        if file.exists() and not file.is_file():
            raise OSError("it is not a file")  # a named pipe would be waited for
        with file.open(encoding="utf-8") as stream:
            return stream.read(LONGEST + 1)
    from ssgan.base.storage import Folder, split  # needs pyarrow, which takes a while

    folder, name = split(source)
    return Folder(folder).read_bytes(name).decode()


def _load_yaml(text: str, where: str) -> Tree:
    tree = read_yaml(text, where)
    if tree is None:
        raise BadInput(f"{where} is empty; write fields and their values, as preset: digits")
    if not isinstance(tree, dict):
        raise BadInput(f"{where} must hold fields and their values, not a {type(tree).__name__}")
    return tree


def parse_overrides(overrides: Overrides) -> list[tuple[str, Any]]:
    """Read overrides as leaves by dotted name, each `kind` before what it decides on.

    Raises:
        BadInput: One is not an override, or names a field that does not exist.
    """
    pairs = read_overrides(overrides)
    pairs.sort(key=lambda pair: not pair[0].endswith(".kind"))  # a kind decides which fields exist
    return _with_current_names(leaf for path, value in pairs for leaf in leaves_of({path: value}))


def _with_current_names(leaves: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Check the names of fields; former ones become those of today."""
    checked = []
    given: dict[str, str] = {}
    for path, value in leaves:
        name = check_path(path)
        if given.setdefault(name, path) != path:
            raise BadInput(f"{given[name]} and {path} are the same field; set {name} alone")
        checked.append((name, value))
    return sorted(checked, key=lambda leaf: leaf[0].split(".")[-1] != "kind")


def _resolve(leaves: Iterable[tuple[str, Any]], folder: Path) -> Iterator[tuple[str, Any]]:
    """Make paths absolute that a file gives relative to its folder, where they are there."""
    for path, value in leaves:
        mark = beside_file(path) if isinstance(value, str) else None
        if mark is not None:
            there = (folder / value).absolute()
            in_archive = any(parent.is_file() for parent in there.parents)
            if (
                there.exists()
                or in_archive
                or (mark.patterns and any(there.parent.glob(there.name)))
            ):
                value = str(there)
        yield path, value


def read_overrides(overrides: Overrides) -> list[tuple[str, Any]]:
    """Read overrides as dotted names and values, in the order in which they were given.

    Raises:
        BadInput: One is not an override.
    """
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    pairs = []
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path.strip():
            raise BadInput(
                f"{override!r} is not an override; write field=value, as training.epochs=20"
            )
        pairs.append((path.strip(), read_yaml(text, shortened(override))))
    return pairs


def assign(tree: Tree, path: str, value: Any, given: Set[str] = frozenset()) -> list[str]:
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
        known = fields_of_kind(where, value)
        own = {name for name in tree if f"{where}.{name}" in given}
        lost = sorted(f"{where}.{name}" for name in own - known)
        for name in tree.keys() - (own & known):
            del tree[name]
    tree[leaf] = value
    return lost


def _validate(tree: Tree) -> Experiment:
    try:
        return Experiment.model_validate(tree)
    except ValidationError as error:
        raise BadInput(few_lines(_explain(tree, one) for one in error.errors())) from error


def few_lines(problems: Iterable[str]) -> str:
    """Join problems, a line each, but no more than five lines."""
    lines = list(problems)
    return "\n".join(lines if len(lines) <= 5 else [*lines[:4], f"and {len(lines) - 4} more"])


def shortened(text: str) -> str:
    """Cut what is quoted in a message to 80 characters."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def _explain(tree: Tree, detail: Any) -> str:
    """Turn one of pydantic's complaints into a sentence that names the field."""
    parts: list[str] = []
    value: Any = tree
    kind = None
    for part in detail["loc"]:  # also names union members, which are not part of the field's name
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
    if message.startswith(f"{name}="):  # it says so itself
        return message
    shown = "" if isinstance(value, dict) else f"={shortened(str(value))}"
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
        above, _, leaf = branch.rpartition(".")
        default = _get(defaults, above) if above else defaults
        if default is not None and _get(tree, branch) != default[leaf]:  # None: null by default
            _log.info("the preset's %s is dropped: %s", branch, reason)
            assign(tree, branch, default[leaf])
    return _validate(tree)


def _get(tree: Tree, path: str) -> Any:
    for part in path.split("."):
        tree = tree[part]
    return tree
