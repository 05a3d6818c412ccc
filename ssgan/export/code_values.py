"""How users set the codes of a generator: names, classes and units, checked and translated."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.method.codes import Code, Joint, LatentSpace

_SHOWN = 20  # classes in a message
_LISTED = 12  # classes of a code that is described
REACH = 2.0
"""Traversals go to twice the range of training, as in the paper's figures."""


class CodeInfo(NamedTuple):
    """One code, described for whoever wants to turn it."""

    name: str
    kind: Literal["categorical", "continuous"]
    supervised: bool
    """Whether labels gave the code its meaning."""
    size: int
    """Number of classes; 1 for a continuous code."""
    classes: tuple[str, ...]
    """Class names; empty for a continuous code."""
    low: float | None
    """Least value in training, in the user's units; continuous codes only."""
    high: float | None
    """Greatest value in training, in the user's units; continuous codes only."""

    def in_words(self) -> str:
        """Say what the code can be: ``digit: 0, 1, 2``, ``angle from -30 to 60``."""
        return f"{self.name}{':' * bool(self.classes)} {self.values_in_words()}"

    def values_in_words(self) -> str:
        """Name the first classes, or the range: ``from -30 to 60``."""
        if not self.classes:
            return f"from {self.low:g} to {self.high:g}"
        shown = (name if name.isprintable() else repr(name) for name in self.classes[:_LISTED])
        return ", ".join(shown) + " ..." * (self.size > _LISTED)


def describe(space: LatentSpace) -> tuple[CodeInfo, ...]:
    """Describe every code, supervised ones first."""
    return tuple(
        CodeInfo(
            code.name,
            code.kind,
            code in space.supervised,
            code.size,
            code.classes,
            *((None, None) if code.is_categorical else (code.low, code.high)),
        )
        for code in space.codes
    )


def count(n: int | None, values: Mapping[str, Any]) -> int:
    """Find the number of images: n, or else the length of the sequences given, or else 1.

    Raises:
        BadInput: n is not positive, or lengths differ.
    """
    if n is not None and (isinstance(n, bool) or int(n) != n or n < 1):
        raise BadInput(f"n must be a whole number of 1 or more, not {n!r}")
    for name, value in values.items():
        if not is_sequence(value):
            continue
        if n is not None and len(value) != n:
            raise BadInput(
                f"{name!r} has {len(value)} values where {n} are needed: give one value, or one "
                "an image"
            )
        n = len(value)
    if n == 0:
        raise BadInput("a sequence of values is empty; give one value or more")
    return 1 if n is None else int(n)


def is_sequence(value: Any) -> bool:
    """Whether a value holds one value an image."""
    return (
        not isinstance(value, str)
        and hasattr(value, "__len__")
        and getattr(value, "ndim", 1) > 0  # arrays of no dimension have a length that raises
    )


def to_column(code: Code, value: Any, n: int) -> Tensor:
    """Translate one value, or n of them, to a code table's column.

    Returns:
        float32 (n,): class indices or values in unit range; NaN for None.

    Raises:
        BadInput: There is no such class, or the value is not a number or out of reach.
    """
    if is_sequence(value):
        return torch.tensor([_cell(code, one) for one in value], dtype=torch.float32)
    return torch.full((n,), _cell(code, value), dtype=torch.float32)


def reach(code: Code) -> tuple[float, float]:
    """Return the least and the greatest value of a continuous code, in the user's units."""
    middle, half = (code.low + code.high) / 2, (code.high - code.low) / 2
    return middle - REACH * half, middle + REACH * half


def free_name(name: str, taken: set[str]) -> str:
    """Take a name that does not clash with those taken: one that does gets underscores."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def conditional_prior(space: LatentSpace, given: Tensor) -> LatentSpace:
    """Restrict an empirical prior to the rows that agree with the classes given.

    A user who asks for ``Male="yes"`` gets the other attributes as they occur among men. A
    combination that never occurred leaves the prior as it is. `given` is one row of a code table,
    float32 (K,), NaN where nothing is given.
    """
    if space.joint is None:
        return space
    wanted = {
        k: float(given[k])
        for k, code in enumerate(space.supervised)
        if code.is_categorical and not given[k].isnan()
    }
    weights = [
        weight if all(row[k] == value for k, value in wanted.items()) else 0.0
        for row, weight in zip(space.joint.rows, space.joint.weights, strict=True)
    ]
    if not wanted or not any(weights):
        return space
    joint = Joint(rows=space.joint.rows, weights=tuple(weights))
    return space.model_copy(update={"joint": joint})


def _cell(code: Code, value: Any) -> float:
    if isinstance(value, np.generic | np.ndarray | Tensor) and np.ndim(value) == 0:
        value = value.item()
    if value is None:
        return math.nan
    return float(_class_index(code, value)) if code.is_categorical else _unit_value(code, value)


def _class_index(code: Code, value: Any) -> int:
    """Find a class by name, or by index where names are not numbers and so cannot be meant."""
    if isinstance(value, bool):
        if code.size == 2:
            return int(value)
        raise BadInput(f"code {code.name!r} has {code.size} classes, so {value} names none")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if (name := str(value)) in code.classes:
        return code.classes.index(name)
    numbered = any(one.lstrip("-").isdigit() for one in code.classes)
    if isinstance(value, int) or (name.isdigit() and len(name) < 10):
        if not numbered and 0 <= int(value) < code.size:
            return int(value)
        if not numbered:
            raise BadInput(
                f"code {code.name!r} has the class indices 0 to {code.size - 1}, not {value}"
            )
    known = ", ".join(code.classes[:_SHOWN]) + ", ..." * (len(code.classes) > _SHOWN)
    hint = found if "did you mean" in (found := nearest(name, code.classes)) else ""
    raise BadInput(f"code {code.name!r} has no class {value!r}{hint}; its classes are {known}")


def _unit_value(code: Code, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadInput(f"code {code.name!r} takes a number, not {value!r}") from None
    unit = (number - code.low) / (code.high - code.low) * 2 - 1
    if not abs(unit) <= REACH * (1 + 1e-6):
        least, most = reach(code)
        raise BadInput(
            f"code {code.name!r} was trained from {code.low:g} to {code.high:g} and goes from "
            f"{least:g} to {most:g} here, not {number:g}"
        )
    return unit
