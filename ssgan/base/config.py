"""The base of every configuration class, and the hash by which configurations are compared."""

import hashlib
import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen piece of configuration. Unknown fields are errors; docstrings describe fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class _Scalars(yaml.SafeLoader):
    """YAML with the plain scalars of its version 1.2."""


_BOOL, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"
_Scalars.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag not in (_BOOL, _FLOAT)]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Scalars.add_implicit_resolver(_BOOL, re.compile("^(true|True|TRUE|false|False|FALSE)$"), [*"tTfF"])
_NUMBER = (
    _FLOAT,
    re.compile(
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    [*"-+.0123456789"],
)
_Scalars.add_implicit_resolver(*_NUMBER)


class _Quoting(yaml.SafeDumper):
    """Quotes a word that YAML 1.1 or `_Scalars` would take for something else."""


_Quoting.add_implicit_resolver(*_NUMBER)


def read_yaml(text: str) -> Any:
    """Read YAML that a user wrote: ``no`` is a word (as of a class), ``1e-4`` is a number.

    Raises:
        yaml.YAMLError: The text is no YAML, or asks for more than plain data.
    """
    return yaml.load(text, _Scalars)  # derived from SafeLoader


def write_yaml(tree: Any) -> str:
    """Write plain data, keys in their order; `read_yaml` and YAML 1.1 both get it back."""
    text: str = yaml.dump(tree, Dumper=_Quoting, sort_keys=False, allow_unicode=True)
    return text


def canonical_hash(value: Any) -> str:
    """Hash JSON-able data independently of key order and white space.

    Returns:
        The SHA-256 of the canonical JSON, as 64 hexadecimal digits.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name closest to a misspelled one, as a clause to end an error with.

    Returns:
        ``"; did you mean 'x'?"``, or the list of known names when none is close.
    """
    known = sorted(known)
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known) or 'none'}"
