"""JSON that comes from outside: manifests, records, cards that anybody may have written."""

import json
import math
from typing import Any, NoReturn

LARGEST_INTEGER = 2**64
"""Integers are smaller than this in size: no count, size or seed is larger."""

_LONGEST = 64 * 2**20  # bytes; the manifest of a million shards is shorter
_DEEPEST = 32  # levels; ssgan writes eight


def read_json(content: bytes | str, nan_is_null: bool = False) -> Any:
    """Read JSON: finite numbers, and within limits of length and depth.

    NaN is null where it may stand for "not known" (`nan_is_null`), and refused elsewhere.

    Raises:
        ValueError: It is something else; the message is one line.
    """
    if len(content) > _LONGEST:
        raise ValueError(f"{len(content):,} bytes of JSON are more than {_LONGEST:,}")
    constant = _null if nan_is_null else _refuse
    try:
        value = json.loads(
            content, parse_constant=constant, parse_float=_finite, parse_int=read_integer
        )
    except RecursionError:
        raise ValueError(f"it is nested deeper than {_DEEPEST} levels") from None
    level = [value]
    for _ in range(_DEEPEST):
        nested = [one for one in level if isinstance(one, dict | list)]
        level = [
            below for one in nested for below in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {_DEEPEST} levels")


def read_integer(text: str) -> int:
    """Read an integer in decimal digits (`ValueError` where it has more than 64 bits)."""
    if len(text) > 21 or abs(value := int(text)) >= LARGEST_INTEGER:
        raise ValueError(f"the number {text[:12]}... of {len(text)} digits has more than 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:24]} is too large")
    return value


def _null(name: str) -> None:
    if name != "NaN":
        _refuse(name)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
