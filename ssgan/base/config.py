"""The base of every configuration class: frozen trees, marks of fields, open unions."""

import hashlib
import importlib
import json
import logging
import typing
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ssgan.base.errors import BadInput
from ssgan.base.json_text import LARGEST_INTEGER
from ssgan.base.yaml_text import read_yaml, write_yaml

RENAMED_UNTIL = "0.3"
"""The version of ssgan that no longer reads the former names of fields."""
STORED = {"stored": True}
"""Context of validation for trees that ssgan wrote itself: former names are read in silence."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Formerly:
    """Marks a field that had another name: ``epochs: Annotated[int, Formerly("rounds")] = 1``."""

    name: str


@dataclass(frozen=True)
class Changes:
    """Who may change a field of a run that has started; without it nobody (*identity*).

    A field below a marked one is as marked as that.
    """

    by: Literal["mutable", "extent", "free"]


Mutable = Changes("mutable")
"""Population based training may change it while a run trains; a resume may not."""
Extent = Changes("extent")
"""How long and on what: a resume may change it."""
Free = Changes("free")
"""How the run is measured and recorded: a resume may change it."""


@dataclass(frozen=True)
class NotSearchable:
    """No search may vary the field, nor one below it; why, and what to do instead."""

    why: str = "it is the same for all trials; set it with an override"


@dataclass(frozen=True)
class BesideFile:
    """Marks a path that an experiment file gives relative to its own folder."""

    patterns: bool = False
    """Whether it may be a pattern (``*.parquet``) of files there."""


class Config(BaseModel):
    """A frozen piece of configuration. Unknown fields are errors; docstrings describe fields.

    Numbers are finite, of at most 64 bits, and no truth values.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @classmethod
    def former_names(cls) -> dict[str, str]:
        """Return the former names of fields, each with the name of today."""
        return {
            mark.name: name
            for name, field in cls.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, Formerly)
        }

    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return data
        for old, new in cls.former_names().items():
            if old in data:
                if new in data:
                    raise ValueError(f"{old} is the former name of {new}; set {new} alone")
                if info.context != STORED:
                    warn_renamed(old, new)
                data = {new if name == old else name: value for name, value in data.items()}
        return data

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_odd_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        types = leaf_types(cast(Hashable, cls.model_fields[str(info.field_name)].annotation))
        holds_numbers = bool(types & {int, float}) and not types & {bool, Any}
        is_nested = any(isinstance(one, type) and issubclass(one, Config) for one in types)
        _check_numbers(value, holds_numbers and not is_nested)
        return value

    def to_yaml(self) -> str:
        """Write the whole tree; `from_yaml` reads it back."""
        return write_yaml(self.model_dump(mode="json"))

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Read a tree that `to_yaml` wrote.

        Raises:
            BadInput: The text is something else.
        """
        what = cls.__name__.lower()
        try:
            return cls.model_validate(read_yaml(text, f"this {what}"), context=STORED)
        except ValidationError as error:
            raise BadInput(f"this is not a resolved {what} of ssgan: {in_a_line(error)}") from error


def warn_renamed(old: str, new: str) -> None:
    """Log that a field was given by its former name."""
    _log.warning(
        "%s is called %s now; the former name is read until ssgan %s", old, new, RENAMED_UNTIL
    )


class OpenUnion(Config):
    """A union of configuration classes told apart by their `kind`, open to other packages.

    A direct subclass is the union; it declares what its members do as abstract methods. A subclass
    of the union with a field `kind` is a member, from its definition on. A field of the union's
    type takes any member, or a mapping whose `kind` names one. Outside of ssgan a kind is named
    ``module.name``, and is all that it takes to use the class::

        class Letters(SourceConfig):  # in letters.py
            kind: Literal["letters.Letters"] = "letters.Letters"

    A kind that is not known yet is looked for by importing its module. So command line, experiment
    files, stored runs, exports and Ray workers find the class without being told of it elsewhere;
    the module has to be on the path of Python (installed, or by ``PYTHONPATH``) on every node.
    """

    default_kind: ClassVar[str | None] = None
    """The kind of a mapping that names none; None where it must."""
    _union_members: ClassVar[dict[str, type[Any]]]

    if TYPE_CHECKING:
        kind: str  # every member has it

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Note a new union, or a new member of one."""
        if OpenUnion in cls.__bases__:
            cls._union_members = {}
        elif "kind" in cls.model_fields:
            for kind in get_args(cls.model_fields["kind"].annotation):
                other = cls._union_members.get(kind, cls)
                if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                    raise TypeError(
                        f"{cls.__qualname__}: {other.__module__}.{other.__qualname__} is of the "
                        f"kind {kind!r} already; choose another name"
                    )
                cls._union_members[kind] = cls  # also when a notebook defines it again

    @classmethod
    def members(cls) -> dict[str, type[Self]]:
        """Return the members known so far, by kind."""
        return dict(cls._union_members)

    @classmethod
    def member(cls, kind: Any) -> type[Self]:
        """Return the member of a kind, importing the module that the kind names.

        Raises:
            PydanticCustomError: There is none; pydantic adds where.
        """
        module = str(kind).rpartition(".")[0]
        if kind is None:
            raise PydanticCustomError("kind", f"needs a kind{nearest('', cls._union_members)}")
        if str(kind) not in cls._union_members and all(map(str.isidentifier, module.split("."))):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                if not f"{module}.".startswith(f"{error.name}."):
                    raise  # the module is there, but one that it imports is not
                raise PydanticCustomError(
                    "kind",
                    f"there is no module {error.name!r} for kind={kind}; install it, or add its "
                    "folder to PYTHONPATH",
                ) from error
        if str(kind) not in cls._union_members:
            raise PydanticCustomError(
                "kind", f"there is no kind {kind!r}{nearest(str(kind), cls._union_members)}"
            )
        return cls._union_members[str(kind)]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate a union by the member that `kind` names, a member as any model."""
        if "kind" in cls.model_fields:
            return handler(source)
        return core_schema.with_info_plain_validator_function(
            cls._by_kind,
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda value, serialize: serialize(value), schema=core_schema.any_schema()
            ),
        )

    @classmethod
    def _by_kind(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            raise PydanticCustomError("kind", "takes fields and their values, among them `kind`")
        former = {
            old
            for member in cls._union_members.values()
            for old, new in member.former_names().items()
            if new == "kind"
        }
        kinds = [data[name] for name in ("kind", *former) if name in data]
        member = cls.member(kinds[0] if kinds else cls.default_kind)
        return member.model_validate(data, context=info.context)


@cache
def leaf_types(annotation: Hashable) -> frozenset[Any]:
    """Return the types that a field's annotation is made of, without its unions and containers."""
    if typing.get_origin(annotation) is Literal:
        return frozenset(map(type, get_args(annotation)))
    if typing.get_origin(annotation) is typing.Annotated:
        return leaf_types(get_args(annotation)[0])
    parts = get_args(annotation)
    return frozenset({annotation}).union(*map(leaf_types, parts))


def _check_numbers(value: Any, holds_numbers: bool) -> None:
    if isinstance(value, bool) and holds_numbers:
        raise PydanticCustomError("number", f"{str(value).lower()} is not a number")
    if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
        raise PydanticCustomError("number", "a number has at most 64 bits")
    if isinstance(value, dict) and holds_numbers:
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            _check_numbers(part, holds_numbers)


def in_a_line(error: ValidationError) -> str:
    """Say in a line what is wrong first, and how much else is."""
    first, *others = error.errors(include_url=False)
    where = ".".join(map(str, first["loc"]))
    more = f" (and {len(others)} more)" if others else ""
    return f"{where}{': ' if where else ''}{first['msg'].removeprefix('Value error, ')}{more}"


def canonical_hash(value: Any) -> str:
    """Return the SHA-256 of JSON-able data, 64 hex digits, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for a misspelled name, or all names when none is close."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known) or 'none'}"
