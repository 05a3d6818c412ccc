"""Figures made of images: class rows, traversals, attribute blocks (the paper's 2 to 10).

Images are enlarged by whole factors with nearest-neighbor scaling, so that a pixel stays a pixel.
Each figure's title names the copy of G that it shows. Equal input makes equal bytes.
"""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ssgan.method.codes import Code

_CELL = 56  # pixels an image's side should take about, at least
_GAP = 2  # pixels between neighbors
_GROUP_GAP = 14  # pixels between groups
_MARGIN = 14  # pixels around everything
_INK, _FAINT, _PAPER = "#1f2328", "#6e7781", "#ffffff"
_ACCENT = "#0969da"
_TITLE, _TEXT, _SMALL = 17, 14, 12  # font sizes in pixels


def class_rows(
    real: Sequence[Tensor], fake: Sequence[Tensor], labels: Sequence[str], title: str
) -> Image.Image:
    """Draw one row a class: real images on the left, synthetic ones on the right.

    Args:
        real: By row, uint8 (n, C, H, W); rows may hold fewer images than others, or none.
        fake: By row, uint8 (m, C, H, W); one at least in the first row.
        labels: By row, what it shows.
        title: Title, which names the copy of G.
    """
    shape = fake[0].shape[-2:]
    groups = [max(map(len, real), default=0), max(map(len, fake))]
    names = ["real", "synthetic"]
    if groups[0] == 0:
        groups, names = groups[1:], names[1:]
    sheet = Sheet(shape, [len(fake)], groups, labels, title, header=1)
    first = 0
    for name, width in zip(names, groups, strict=True):
        sheet.over(first, first + width - 1, name)
        first += width
    start = groups[0] if len(groups) == 2 else 0
    for row in range(len(fake)):
        for column, image in enumerate(real[row] if start else []):
            sheet.paste(row, column, image)
        for column, image in enumerate(fake[row]):
            sheet.paste(row, start + column, image)
    return sheet.image


def traversal(
    images: Tensor,
    labels: Sequence[str],
    values: Sequence[float],
    title: str,
    units: Sequence[str] | None = None,
) -> Image.Image:
    """Draw a continuous code from left to right, one row a class (the paper's figure 2).

    The values inside [-1, 1], on which G was trained, stand under a bracket.

    Args:
        images: uint8 (R, V, C, H, W).
        labels: R row labels.
        values: V ascending values of the code.
        title: Title, which names the code and the copy of G.
        units: V values in the user's units, written in a second line.
    """
    lines = 2 if units is None else 3
    sheet = Sheet(images.shape[-2:], [len(images)], [len(values)], labels, title, lines)
    inside = [i for i, value in enumerate(values) if -1 <= value <= 1]
    for column, value in enumerate(values):
        ink = _INK if column in inside else _FAINT
        sheet.over(column, column, f"{value:+g}" if value else "0", line=1, ink=ink)
        if units is not None:
            sheet.over(column, column, units[column], line=2, ink=ink)
    if inside:
        sheet.bracket(inside[0], inside[-1], "trained on [-1, 1]")
    for row in range(len(images)):
        for column in range(len(values)):
            sheet.paste(row, column, images[row, column])
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
        title: Title, which names the copy of G.
    """
    pairs, blocks = images.shape[:2]
    labels = [f"{y_code.name} = {name}" for name in y_code.classes] * pairs
    sheet = Sheet(images.shape[-2:], [2] * pairs, [2] * blocks, labels, title, header=0, above=1)
    for pair, code in enumerate(x_codes):
        sheet.above(2 * pair, f"{code.name}: " + " \N{RIGHTWARDS ARROW} ".join(code.classes))
        for block in range(blocks):
            for row in (0, 1):
                for column in (0, 1):
                    picture = images[pair, block, row, column]
                    sheet.paste(2 * pair + row, 2 * block + column, picture)
    return sheet.image


def png(image: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


class Sheet:
    """A grid of enlarged images in groups, with a title, column headers and row labels."""

    def __init__(
        self,
        size: Sequence[int],
        row_groups: Sequence[int],
        column_groups: Sequence[int],
        labels: Sequence[str],
        title: str,
        header: int,
        above: int = 0,
    ) -> None:
        """Lay the sheet out.

        Args:
            size: Height and width of an image, in pixels.
            row_groups: Rows of each group.
            column_groups: Columns of each group.
            labels: One a row, on the left.
            title: The line on top.
            header: Lines of text above the columns.
            above: Lines of text above each group of rows.
        """
        height, width = size
        self._scale = max(1, round(_CELL / max(height, width)))
        cell_y, cell_x = height * self._scale, width * self._scale
        label_width = max(_measure(label, _TEXT) for label in labels)
        line = _SMALL + 6
        self._header = _MARGIN + _TITLE + 12
        self._above = above * line
        top, left = self._header + header * line, _MARGIN + label_width + 10
        self._y, end_y = _positions(top, cell_y, row_groups, self._above)
        self._x, end_x = _positions(left, cell_x, column_groups, 0)
        self._cell = cell_x, cell_y
        width = max(end_x, _MARGIN + _measure(title, _TITLE)) + _MARGIN
        self.image = Image.new("RGB", (width, end_y + _MARGIN), _PAPER)
        self._draw = ImageDraw.Draw(self.image)
        self._write(_MARGIN, _MARGIN, title, _TITLE, anchor="la")
        for y, label in zip(self._y, labels, strict=True):
            self._write(left - 10, y + cell_y // 2, label, _TEXT, anchor="rm")

    def paste(self, row: int, column: int, image: Tensor) -> None:
        """Put an image, uint8 (C, H, W), into a cell."""
        pixels = image.cpu().numpy()
        if pixels.shape[0] == 1:
            pixels = np.repeat(pixels, 3, axis=0)
        picture = Image.fromarray(np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))
        enlarged = picture.resize(self._cell, Image.Resampling.NEAREST)
        self.image.paste(enlarged, (self._x[column], self._y[row]))

    def over(self, first: int, last: int, text: str, line: int = 0, ink: str = _INK) -> None:
        """Center a line of the header over some columns."""
        middle = (self._x[first] + self._x[last] + self._cell[0]) // 2
        y = self._header + line * (_SMALL + 6)
        self._write(middle, y, text, _SMALL, anchor="ma", ink=ink)

    def bracket(self, first: int, last: int, text: str) -> None:
        """Draw a bracket with a text over some columns, in the header's first line."""
        left, right = self._x[first], self._x[last] + self._cell[0] - 1
        y = self._header + (_SMALL + 6) // 2
        self._draw.line([(left, y + 5), (left, y), (right, y), (right, y + 5)], _ACCENT)
        half = _measure(text, _SMALL) // 2 + 6
        middle = (left + right) // 2
        self._draw.rectangle([middle - half, y - 7, middle + half, y + 8], fill=_PAPER)
        self._write(middle, y, text, _SMALL, anchor="mm", ink=_ACCENT)

    def above(self, row: int, text: str) -> None:
        """Write a line over a group of rows, from its left edge."""
        y = self._y[row] - self._above
        self._write(self._x[0], y, text, _SMALL, anchor="la")

    def _write(self, x: int, y: int, text: str, size: int, anchor: str, ink: str = _INK) -> None:
        self._draw.text((x, y), text, fill=ink, font=_font(size), anchor=anchor)


_Sheet = Sheet


def _positions(start: int, cell: int, groups: Sequence[int], above: int) -> tuple[list[int], int]:
    """Return where each cell starts, and where the last one ends."""
    positions, at = [], start
    for number, group in enumerate(groups):
        at += above + (_GROUP_GAP if number else 0)
        for member in range(group):
            at += _GAP if member else 0
            positions.append(at)
            at += cell
    return positions, at


def _measure(text: str, size: int) -> int:
    """Width of a line of text in pixels."""
    return round(_font(size).getlength(text))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font that matplotlib brings along: the same on every machine."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)
