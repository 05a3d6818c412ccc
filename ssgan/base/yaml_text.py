"""YAML that people write: the plain scalars of its version 1.2, no key twice, within limits."""

import re
from importlib import import_module
from typing import Any, ClassVar

import yaml
from yaml import composer, constructor, parser, reader, resolver, scanner
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from ssgan.base.errors import BadInput
from ssgan.base.json_text import read_integer

LONGEST = 100_000
"""Characters that a text may have: the whole tree of an experiment takes 5,000."""

_DEEPEST = 32  # levels, aliases followed; an experiment takes seven
_MOST_NODES = 50_000  # values, those that aliases repeat counted again
_TOO_DEEP = f"nested deeper than {_DEEPEST} levels"
_TAG = "tag:yaml.org,2002:"
_INT = (
    f"{_TAG}int",
    re.compile(r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    [*"-+0123456789"],
)
_FLOAT = (
    f"{_TAG}float",
    re.compile(
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    [*"-+.0123456789"],
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")


# PyYAML's parser in C is ten times as fast; nodes are composed in Python, where they are checked.
_PARSERS: tuple[Any, ...] = (reader.Reader, scanner.Scanner, parser.Parser)
if yaml.__with_libyaml__:
    _PARSERS = (import_module("yaml.cyaml").CParser,)


class _Reader(composer.Composer, *_PARSERS, constructor.SafeConstructor, resolver.Resolver):  # type: ignore[misc]
    """Reads plain data as the core schema of YAML 1.2 has it, and merges (``<<``)."""

    def __init__(self, text: str) -> None:
        for base in _PARSERS:
            base.__init__(self, *((text,) if base in _PARSERS[:1] else ()))
        for base in (composer.Composer, constructor.SafeConstructor, resolver.Resolver):
            base.__init__(self)

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (types-PyYAML has it so)
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        tag: constructor.SafeConstructor.yaml_constructors[tag]
        for tag in (f"{_TAG}null", f"{_TAG}map", f"{_TAG}seq", None)
    }
    _depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self._depth == _DEEPEST:
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=self.peek_event().start_mark)
        self._depth += 1
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node: MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise _at(key, "a field's name is text, not a list or a mapping")
            name = (key.tag, key.value)
            if name in lines:
                raise _at(key, f"{key.value} is set already, in line {lines[name]}; set it once")
            lines[name] = line
        return node


def _construct_int(loader: _Reader, node: ScalarNode) -> int:
    text: str = loader.construct_scalar(node)
    try:
        return int(text, 0) if text[:2] in ("0o", "0x") and len(text) < 18 else read_integer(text)
    except ValueError as error:
        raise _at(node, str(error)) from None


def _construct_float(loader: _Reader, node: ScalarNode) -> float:
    text: str = loader.construct_scalar(node)
    try:
        return float(re.sub(r"\.(?=[in])", "", text.lower()))
    except ValueError:
        raise _at(node, f"{text!r} is not a number") from None


def _construct_bool(loader: _Reader, node: ScalarNode) -> bool:
    text: str = loader.construct_scalar(node)
    if text.lower() not in ("true", "false"):
        raise _at(node, f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _construct_text(loader: _Reader, node: ScalarNode) -> str:
    text: str = loader.construct_scalar(node)
    if found := _CONTROL.search(text):
        raise _at(node, f"the text {text!r} holds the control character {found[0]!r}")
    return text


def _at(node: Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


_Reader.add_implicit_resolver(
    f"{_TAG}bool", re.compile("^(true|True|TRUE|false|False|FALSE)$"), [*"tTfF"]
)
_Reader.add_implicit_resolver(f"{_TAG}null", re.compile("^(~|null|Null|NULL|)$"), ["~", *"nN", ""])
_Reader.add_implicit_resolver(f"{_TAG}merge", re.compile("^<<$"), ["<"])
_Reader.add_implicit_resolver(*_INT)
_Reader.add_implicit_resolver(*_FLOAT)
_Reader.add_constructor(f"{_TAG}bool", _construct_bool)
_Reader.add_constructor(f"{_TAG}int", _construct_int)
_Reader.add_constructor(f"{_TAG}float", _construct_float)
_Reader.add_constructor(f"{_TAG}str", _construct_text)


class _Writer(yaml.SafeDumper):
    """Quotes a word that YAML 1.1 or `_Reader` would take for something else."""


_Writer.add_implicit_resolver(*_INT)
_Writer.add_implicit_resolver(*_FLOAT)


def read_yaml(text: str, where: str = "the text") -> Any:
    """Read YAML: ``no`` is a word (as of a class), ``1e-4`` a number, ``0777`` is 777.

    Messages name `where` it was found, and the line.

    Raises:
        BadInput: The text is not YAML, asks for more than plain data, has a key twice, a number of
            more than 64 bits or a control character, is too long, or is nested too deeply.
    """
    if len(text) > LONGEST:
        raise BadInput(f"{where}: {len(text):,} characters of YAML are more than {LONGEST:,}")
    try:
        loader = _Reader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None or "\n" not in text.strip() else f", line {mark.line + 1}"
        told = " ".join(filter(None, (error.context, error.problem)))
        is_syntax = isinstance(error, scanner.ScannerError | parser.ParserError)
        raise BadInput(f"{where}{' is not YAML' if is_syntax else ''}{line}: {told}") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is not YAML: {' '.join(str(error).split())}") from error


def write_yaml(tree: Any) -> str:
    """Write plain data, keys in their order; `read_yaml` and YAML 1.1 both get it back."""
    text: str = yaml.dump(tree, Dumper=_Writer, sort_keys=False, allow_unicode=True)
    return text


def _measure(node: Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values a node stands for, and their levels, with all that aliases repeat."""
    if id(node) in known:
        count, depth = known[id(node)]
        if not count:
            raise _at(node, "this holds an alias of itself")
        return count, depth
    known[id(node)] = (0, 0)
    count, depth = 1, 1
    if isinstance(node, CollectionNode):
        for part in node.value:
            for below in part if isinstance(part, tuple) else (part,):
                more, levels = _measure(below, known)
                count, depth = count + more, max(depth, levels + 1)
    if depth > _DEEPEST:
        raise _at(node, _TOO_DEEP)
    if count > _MOST_NODES:
        raise _at(node, f"aliases make more than {_MOST_NODES:,} values of this")
    known[id(node)] = (count, depth)
    return count, depth
