"""The fields of an experiment by dotted name: which there are, who may change them, what differs.

A field is spelled the same everywhere: ``objective.lambda2`` on the command line, in search spaces,
in Python and among MLflow's params.
"""

import logging
import os
import typing
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from ssgan.base.config import (
    BesideFile,
    Changes,
    Config,
    NotSearchable,
    OpenUnion,
    leaf_types,
    nearest,
    warn_renamed,
)
from ssgan.base.errors import BadInput
from ssgan.experiment.tree import Experiment

FieldClass = Literal["mutable", "extent", "free", "identity"]
"""Who may change a field of a run: PBT, a resume, anyone, nobody."""

_log = logging.getLogger(__name__)


def field_class(path: str) -> FieldClass:
    """Say who may change a field: nobody, PBT, a resume, or anyone."""
    return next((mark.by for mark in _marks(path) if isinstance(mark, Changes)), "identity")


def why_not_searchable(path: str) -> str | None:
    """Say why no search may vary a field; None where one may."""
    return next((mark.why for mark in _marks(path) if isinstance(mark, NotSearchable)), None)


def beside_file(path: str) -> BesideFile | None:
    """Return the mark of a field that is a path relative to its experiment file's folder."""
    return next((mark for mark in _marks(path) if isinstance(mark, BesideFile)), None)


def field_models(path: str) -> list[type[Config]]:
    """Return the configuration classes that can stand at a dotted path; empty at a leaf."""
    models: list[type[Config]] = [Experiment]
    for *_, fields in _walk(path):
        models = [found for field in fields for found in configs_in(field.annotation)]
    return models


def takes_fractions(path: str) -> bool:
    """Whether a field is not one of whole numbers."""
    *_, (_, _, fields) = _walk(path)
    types = [leaf_types(typing.cast(typing.Hashable, field.annotation)) for field in fields]
    return any(float in one or int not in one for one in types)


def check_path(path: str) -> str:
    """Return a field's name of today, and warn if that is not the one given.

    Raises:
        BadInput: No configuration class has such a field; the nearest is suggested.
    """
    current = ""
    for models, name, fields in _walk(path):
        if not fields:
            where = f"{current} has" if models else f"{current} is a single value and has"
            known = {field for model in models for field in model.model_fields}
            raise BadInput(
                f"unknown field {path!r}: {where if current else 'an experiment has'} no {name!r}"
                f"{nearest(name, known)}"
            )
        current = f"{current}.{name}" if current else name
    if current != path:
        warn_renamed(path, current)
    return current


def current_path(path: str) -> str:
    """Return the name of today of a field that may be given by a former one."""
    return ".".join(name for _, name, _ in _walk(path))


def fields_of_kind(path: str, kind: Any) -> set[str]:
    """Return the fields of the union member at a dotted path that is of this kind."""
    return {
        name
        for model in field_models(path)
        if kind in typing.get_args(model.model_fields["kind"].annotation)
        for name in model.model_fields
    }


def _walk(path: str) -> Iterator[tuple[list[type[Config]], str, list[FieldInfo]]]:
    """Yield of each part of a dotted path: the classes it is in, its name of today, its fields."""
    models: list[type[Config]] = [Experiment]
    for part in path.split(".") if path else []:
        names = {model: model.former_names().get(part, part) for model in models}
        fields = [one.model_fields[name] for one, name in names.items() if name in one.model_fields]
        is_known = any(part in model.model_fields for model in models)
        former = [name for name in names.values() if name != part]
        yield models, former[0] if former and not is_known else part, fields
        models = [found for field in fields for found in configs_in(field.annotation)]


def _marks(path: str) -> Iterator[Any]:
    """Yield what is said about a field (`ssgan.base.config`), and about those it is part of."""
    return (mark for *_, fields in _walk(path) for field in fields for mark in field.metadata)


def configs_in(annotation: Any) -> list[type[Config]]:
    """Find the configuration classes in a type, through unions and annotations."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        if issubclass(annotation, OpenUnion) and "kind" not in annotation.model_fields:
            return [*annotation.members().values()]
        return [annotation]
    if typing.get_origin(annotation) in (tuple, list, dict):
        return []
    return [found for part in typing.get_args(annotation) for found in configs_in(part)]


def describe_fields(config: Config, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted names of all fields of a tree, in its order, each with what it means.

    The meaning is the first sentence of the field's description, of a `kind` that of its class's.
    """
    for name, field in type(config).model_fields.items():
        path, value = f"{prefix}{name}", getattr(config, name)
        if isinstance(value, Config):
            yield from describe_fields(value, f"{path}.")
        else:
            text = field.description or (type(config).__doc__ if name == "kind" else None) or ""
            yield path, " ".join(text.split()).partition(". ")[0].removesuffix(".")


def flatten(config: Config) -> dict[str, Any]:
    """Flatten a tree to dotted names and JSON values; lists stay whole."""
    return dict(leaves_of(config.model_dump(mode="json")))


def leaves_of(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield leaves by dotted name, each `kind` before its siblings."""
    for key in sorted(tree, key=lambda key: key != "kind"):
        value, path = tree[key], f"{prefix}{key}"
        if path.endswith(".kind"):  # let the union import a kind from outside of ssgan
            for model in field_models(path.removesuffix(".kind")):
                if issubclass(model, OpenUnion):
                    with suppress(PydanticCustomError):  # validation says what is wrong, and where
                        model.member(value)
        if isinstance(value, Mapping) and value and field_models(path):
            yield from leaves_of(value, f"{path}.")
        else:
            yield path, value


def difference(old: Experiment, new: Experiment) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ, with their old and new values; None where there is none."""
    return differing(flatten(old), flatten(new))


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the names whose values differ, with both values; None where there is none.

    A file is the same however its path is written.
    """
    pairs = {path: (before.get(path), after.get(path)) for path in {**before, **after}}
    return {path: pair for path, pair in pairs.items() if not _is_same(path, *pair)}


def _is_same(path: str, one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str) and beside_file(path):
        return os.path.abspath(one) == os.path.abspath(other)
    return bool(one == other)


def as_diff(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Write differences for people, a line for each."""
    return "\n".join(f"  {path}: {old} -> {new}" for path, (old, new) in changes.items())


def check_resume(old: Experiment, new: Experiment) -> None:
    """Refuse to resume a run as another one; log the changes that are allowed.

    Raises:
        BadInput: A field of the classes *identity* or *mutable* differs; the message is a diff.
    """
    changes = difference(old, new)
    refused = [path for path in changes if field_class(path) in ("identity", "mutable")]
    if refused:
        lines = as_diff({path: changes[path] for path in refused})
        raise BadInput(
            f"the run was started with other values, and a resume cannot change them:\n{lines}\n"
            "leave them out to resume the run, or start another with --name"
        )
    for path, (before, after) in changes.items():
        _log.info("resuming with %s=%s, before %s", path, after, before)
