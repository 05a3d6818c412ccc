"""Grids of images: rows, traversals, attribute blocks (the paper's figures 2 to 10), panels.

Equal input makes equal bytes.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ssgan.drawing.sheet import FAINT, INK, Sheet
from ssgan.method.codes import Code

WIDEST = 2_100  # pixels, about, that panels next to each other may take
_STRIP = 12  # values in a line of a strip
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

    The codes are the first columns of a code table.
    """
    rows = []
    for column, code in enumerate(codes):
        values: Sequence[float] = range(code.size) if code.is_categorical else _LEVELS
        units = code.from_unit(torch.tensor(values)).tolist()
        names = code.classes if code.is_categorical else [f"{value:.3g}" for value in units]
        rows += [Row(code, column, *both) for both in zip(values, names, strict=True)]
    return rows


def numbered(code: Code, name: str | None = None) -> Code:
    """Return a code that no label explained: its classes are numbers; `name` renames it."""
    classes = tuple(map(str, range(code.size))) if code.is_categorical else ()
    return code.model_copy(update={"name": name or code.name, "classes": classes})


def generator_name(copy: str) -> str:
    """Name a copy of G in titles: ``ema``, else the weights as they were trained."""
    return "the generator (EMA)" if copy == "ema" else "the generator (raw weights)"


def image_rows(
    groups: Sequence[tuple[str, Sequence[Tensor]]], labels: Sequence[str], title: str
) -> Image.Image:
    """Draw rows of images, in one group of columns or several.

    Args:
        groups: Header ("" for none) and rows of each, from left to right. A row is uint8
            (n, C, H, W) with fewer images than others perhaps, or none; groups without any are
            left out.
        labels: By row, what it shows.
        title: On top.
    """
    shown = [(header, rows) for header, rows in groups if any(map(len, rows))]
    columns = [(header, max(map(len, rows))) for header, rows in shown]
    size = groups[0][1][0].shape[-2:]
    sheet = Sheet(size, [("", len(labels))], columns, labels, title)
    first = 0
    for (_, rows), (_, width) in zip(shown, columns, strict=True):
        sheet.fill(rows, first)
        first += width
    return sheet.image


def traversal(
    images: Tensor, labels: Sequence[str], code: Code, values: Sequence[float], title: str
) -> Image.Image:
    """Draw a continuous code from left to right, one row a class (the paper's figure 2).

    The values inside [-1, 1], on which G was trained, stand under a bracket. Values in the user's
    units stand in a second line, where these are others.

    Args:
        images: uint8 (R, V, C, H, W).
        labels: R row labels.
        code: The code.
        values: V ascending values of the code.
        title: On top; it names the code and the copy of G.
    """
    has_units = (code.low, code.high) != (-1.0, 1.0)
    rows, columns = [("", len(labels))], [("", len(values))]
    sheet = Sheet(images.shape[-2:], rows, columns, labels, title, 2 + has_units)
    inside = [i for i, value in enumerate(values) if -1 <= value <= 1]
    for column, value in enumerate(values):
        ink = INK if column in inside else FAINT
        sheet.over(column, f"{value:+g}" if value else "0", line=1, ink=ink)
        if has_units:
            unit = code.from_unit(torch.tensor(value)).item()
            sheet.over(column, f"{unit:.4g}", line=2, ink=ink)
    if inside:
        sheet.bracket(inside[0], inside[-1], "trained on [-1, 1]")
    sheet.fill(images)
    return sheet.image


def strip(images: Tensor, headers: Sequence[str], title: str) -> Image.Image:
    """Draw the values of one code from left to right, one row a noise; after twelve a line below.

    Args:
        images: uint8 (R, V, C, H, W).
        headers: V names of values.
        title: On top.
    """
    rows, width = len(images), min(len(headers), _STRIP)
    starts = range(0, len(headers), width)
    groups = [(" ", rows)] * len(starts)  # with room for headers above each
    labels = [f"noise {row + 1}" for row in range(rows)] * len(starts)
    sheet = Sheet(images.shape[-2:], groups, [("", width)], labels, title)
    for line, first in enumerate(starts):
        for column, header in enumerate(headers[first : first + width]):
            sheet.over(column, header, row=line * rows)
    sheet.fill(row for first in starts for row in images[:, first : first + width])
    return sheet.image


def attribute_blocks(
    images: Tensor, y_code: Code, x_codes: Sequence[Code], title: str
) -> Image.Image:
    """Draw 2x2 blocks in which two binary codes change and all else stays (figure 6).

    Args:
        images: uint8 (P, N, 2, 2, C, H, W): by code of the x-axis, block, class of the code of
            the y-axis, class of the code of the x-axis.
        y_code: The binary code that changes from top to bottom.
        x_codes: P binary codes that change from left to right.
        title: On top; it names the copy of G.
    """
    arrow = " \N{RIGHTWARDS ARROW} "
    rows = [(f"{code.name}: {arrow.join(code.classes)}", 2) for code in x_codes]
    columns = [("", 2)] * images.shape[1]
    labels = [f"{y_code.name} = {name}" for name in y_code.classes] * len(x_codes)
    sheet = Sheet(images.shape[-2:], rows, columns, labels, title)
    sheet.fill(images.transpose(1, 2).flatten(2, 3).flatten(0, 1))  # (2P, 2N, C, H, W)
    return sheet.image


def side_by_side(panels: Sequence[Image.Image], title: str) -> Image.Image:
    """Put pictures, one at least, next to each other, and below where they would be too wide."""
    width = max(panel.width for panel in panels)
    rows = math.ceil(len(panels) / max(1, WIDEST // width))
    columns = math.ceil(len(panels) / rows)  # rows as even as can be
    table = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    return picture_table(table, [""] * rows, [""] * columns, title)


def picture_table(
    table: Sequence[Sequence[Image.Image]], rows: Sequence[str], columns: Sequence[str], title: str
) -> Image.Image:
    """Put pictures, by row, into a table whose cells are as large as the largest of them.

    Rows may hold fewer than others; a column's header may be "".
    """
    pictures = [picture for row in table for picture in row]
    size = max(one.height for one in pictures), max(one.width for one in pictures)
    row_groups, column_groups = [("", 1)] * len(table), [(name, 1) for name in columns]
    sheet = Sheet(size, row_groups, column_groups, rows, title)
    sheet.fill(table)
    return sheet.image
