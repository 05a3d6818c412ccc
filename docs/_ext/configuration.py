"""The configuration reference: written from the pydantic models, so that it cannot go stale.

``{configuration} ssgan.experiment.tree:Experiment`` lists every field of a model by its dotted
name: type, range, default, class and docstring. Each is a target of the role ``{field}``.
``{kinds} ssgan.method.schedules:Schedule`` lists the alternatives of a union.
"""

import importlib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ssgan.base.config import OpenUnion
from ssgan.method.schedules import Schedule

Classify = Callable[[str], str]
Model = type[BaseModel]

_WORDS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "`true` or `false`",
    Path: "path",
    type(None): "nothing",
}
_BOUNDS = {
    annotated_types.Ge: ("ge", "at least"),
    annotated_types.Gt: ("gt", "above"),
    annotated_types.Le: ("le", "at most"),
    annotated_types.Lt: ("lt", "below"),
}


def load(path: str) -> Any:
    """Import ``module:name``."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


class Configuration(SphinxDirective):
    """List all fields below a model, one section for each part of the tree."""

    required_arguments = 1
    option_spec: ClassVar = {"classes": directives.unchanged}
    has_content = False

    def run(self) -> list[nodes.Node]:
        """Write the fields as MyST and parse that."""
        try:
            model = load(self.arguments[0])
            classify = load(self.options["classes"]) if "classes" in self.options else None
        except (ImportError, AttributeError) as error:
            raise self.error(f"no configuration to describe: {error}") from error
        lines: list[str] = []
        loose: list[str] = []
        for name, field in model.model_fields.items():
            parts = _models(field.annotation)
            if parts == [_bare(field.annotation)]:
                lines += ["", f"## {name}", "", _one_line(field.description or ""), ""]
                lines += _fields(parts[0], f"{name}.", classify)
            else:
                loose += _entry(name, field, classify)
        lines += ["", "## Fields at the top", "", *loose]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Kinds(SphinxDirective):
    """List the alternatives of a discriminated union, one section each."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        """Write the alternatives as MyST and parse that."""
        lines = []
        for model in _models(load(self.arguments[0])):
            lines += ["", f"## `{_kind(model)}`", "", _one_line(model.__doc__ or ""), ""]
            lines += _fields(model, "", None, index=False)
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _fields(
    model: Model, prefix: str, classify: Classify | None, *, index: bool = True, depth: int = 0
) -> Iterator[str]:
    """Write a model's fields; `prefix` ends with a point unless it is empty."""
    for name, field in model.model_fields.items():
        if name != "kind":
            yield from _entry(prefix + name, field, classify, index=index, depth=depth)


def _entry(
    dotted: str,
    field: FieldInfo,
    classify: Classify | None,
    *,
    index: bool = True,
    depth: int = 0,
) -> Iterator[str]:
    """Write one field and, inside it, the fields of the models that it may hold."""
    fence = ":" * (12 - 2 * depth)  # an outer fence is longer than an inner one
    yield from ("", f"{fence}{{field}} {dotted}", *([] if index else [":no-index:"]), "")
    facts = [_type(field.annotation, field.metadata)]
    facts.append("required" if field.is_required() else f"default `{_default(field)}`")
    if classify is not None and index:
        facts.append(f"*{classify(dotted)}*")
    yield from ("; ".join(facts), "", field.description or "", "")
    inner = _models(field.annotation)
    if inner and not _is_schedule(inner):
        is_list = get_origin(_bare(field.annotation)) is tuple
        for model in inner:
            if len(inner) > 1:
                yield from (f"**{_kind(model)}**: {_one_line(model.__doc__ or '')}", "")
            yield from _fields(
                model,
                f"{dotted}[]." if is_list else f"{dotted}.",
                classify,
                index=index and len(inner) == 1 and not is_list,
                depth=depth + 1,
            )
    yield from (fence, "")


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _models(annotation: Any) -> list[Model]:
    """Find the models that a field's value can be or contain; of a union its members."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        is_union = issubclass(annotation, OpenUnion) and "kind" not in annotation.model_fields
        return [*annotation.members().values()] if is_union else [annotation]
    if get_origin(annotation) in (Union, types.UnionType, tuple):
        return [model for part in get_args(annotation) for model in _models(part)]
    return []


def _is_schedule(models: list[Model]) -> bool:
    """Whether they are kinds of schedules, which have a page of their own."""
    return bool(models) and all(issubclass(model, Schedule) for model in models)


def _kind(model: Model) -> str:
    kinds = get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()
    return str(kinds[0] if kinds else model.__name__)


def _type(annotation: Any, metadata: list[Any]) -> str:
    """Say in words what a field takes."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = [*metadata, *more]
    if _is_schedule(_models(annotation)):
        return "a [schedule](schedules.md)"
    origin, parts = get_origin(annotation), get_args(annotation)
    if len(_models(annotation)) > 1:
        return "one of the kinds below, which `kind` names"
    if _models(annotation) == [annotation]:
        return "fields"
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(part, []) for part in parts) + _bounds(metadata)
    if origin in (tuple, list, frozenset):
        inner = [_type(part, []) for part in parts if part is not Ellipsis]
        if Ellipsis in parts or origin is not tuple:
            return f"list of {inner[0]}"
        return "[" + ", ".join(inner) + "]"
    if origin is dict:
        return f"mapping of {_type(parts[0], [])} to {_type(parts[1], [])}"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation))) + _bounds(
        metadata
    )


def _bounds(metadata: list[Any]) -> str:
    words = []
    for constraint in metadata:
        for kind, (attribute, word) in _BOUNDS.items():
            if isinstance(constraint, kind):
                words.append(f"{word} {getattr(constraint, attribute):g}")
    return f" ({', '.join(words)})" if words else ""


def _default(field: FieldInfo) -> str:
    """Write a default as YAML on one line."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    text = yaml.safe_dump(
        _plain(value), default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, str | int | float | bool | None | dict):
        return value
    return str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and the objects that it describes."""
    app.add_object_type("field", "field", indextemplate="pair: %s; field")
    app.add_directive("configuration", Configuration)
    app.add_directive("kinds", Kinds)
    return {"parallel_read_safe": True}
