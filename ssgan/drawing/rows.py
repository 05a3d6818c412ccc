"""Rows of a grid: one value of one code each, and the images that show it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ssgan.method.codes import Code

_LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # rows of a continuous code


class Row(NamedTuple):
    """A row of images in which one code has one value."""

    code: Code
    column: int
    """The code's column in a code table."""
    value: float
    """A class index, or a value in [-1, 1]."""
    name: str
    """The class, or the value in the user's units."""

    @property
    def label(self) -> str:
        """Code and value, in words."""
        return f"{self.code.name} = {self.name}"

    def pick(self, labels: Tensor, count: int) -> Tensor:
        """Find images that show the row's class, or the values nearest to its value.

        Args:
            labels: The images' code table, float32 (N, K); NaN unknown.
            count: How many images, at most.

        Returns:
            Indices into the table, the first ones of a class.
        """
        known = labels[:, self.column]
        if self.code.is_categorical:
            return torch.nonzero(known == self.value)[:count, 0]
        known = known.nan_to_num(torch.inf)
        picked = (known - self.value).abs().argsort(stable=True)[:count]
        return picked[known[picked].isfinite()]


def rows_of(codes: Sequence[Code]) -> list[Row]:
    """Return a row for each class of categorical codes, and five along each continuous one.

    Args:
        codes: The first columns of a code table.
    """
    rows = []
    for column, code in enumerate(codes):
        values: Sequence[float] = range(code.size) if code.is_categorical else _LEVELS
        units = code.from_unit(torch.tensor(values)).tolist()
        names = code.classes if code.is_categorical else [f"{value:.3g}" for value in units]
        rows += [Row(code, column, *both) for both in zip(values, names, strict=True)]
    return rows


def numbered(code: Code, name: str | None = None) -> Code:
    """Return a code that no label explained: its classes are numbers.

    Args:
        code: The code.
        name: What it is to be called; its own name by default.
    """
    classes = tuple(map(str, range(code.size))) if code.is_categorical else ()
    return code.model_copy(update={"name": name or code.name, "classes": classes})
