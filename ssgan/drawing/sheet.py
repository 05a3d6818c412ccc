"""The sheet that images are drawn on: a grid of cells with a title, headers and row labels.

Images are enlarged by whole factors with nearest-neighbor scaling, so that a pixel stays a pixel.
A sheet's PNG holds the places of its cells as text, so that a reader finds the images again.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ssgan.base.json_text import read_json

LINE = 18
"""Pixels from one line of a header to the next."""
CELLS = "ssgan:cells"
"""Name of a PNG's text chunk that says where the cells of a sheet are."""

_CELL = 56  # pixels an image's side should take about, at least
_GAP = 2  # pixels between neighbors
_GROUP_GAP = 14  # pixels between groups
_MARGIN = 14  # pixels around everything
_TITLE, _TEXT, _SMALL = 17, 14, 12  # font sizes in pixels
_TITLE_LINE = _TITLE + 6
_TITLE_WIDTH = 560  # pixels that a title may take on a sheet that is narrower
INK, FAINT, ACCENT = "#1f2328", "#6e7781", "#0969da"
"""Colors of text: plain, of less weight, and of what is pointed at."""
_PAPER = "#ffffff"


class Cells(NamedTuple):
    """Where the images of a sheet are, in pixels."""

    x: list[int]
    """Left edge of each column."""
    y: list[int]
    """Upper edge of each row."""
    width: int
    """Of every cell."""
    height: int
    """Of every cell."""
    groups: list[tuple[str, int]]
    """Header and number of columns of each group, from left to right; "" for no header."""

    @classmethod
    def read(cls, image: Image.Image) -> Self | None:
        """Read them from a picture; None where it is not a sheet, or is older than this."""
        text = image.info.get(CELLS)
        try:
            return None if text is None else cls(**read_json(text))
        except (ValueError, TypeError):  # of another program
            return None

    def box(self, group: str, columns: int) -> tuple[int, int, int, int]:
        """Return the box around the first columns of a group: left, upper, right, lower."""
        for first, name, width in _starts(self.groups):
            if name == group:
                last = first + min(columns, width) - 1
                right = self.x[last] + self.width
                return self.x[first], self.y[0], right, self.y[-1] + self.height
        raise KeyError(group)


class Sheet:
    """A grid of enlarged images in groups, with a title, column headers and row labels."""

    def __init__(
        self,
        size: Sequence[int],
        rows: Sequence[tuple[str, int]],
        columns: Sequence[tuple[str, int]],
        labels: Sequence[str],
        title: str,
        lines: int = 0,
        scale: int | None = None,
    ) -> None:
        """Lay the sheet out.

        Args:
            size: Height and width of an image, in pixels.
            rows: Header and number of rows of each group; "" for no header.
            columns: The same of columns.
            labels: One a row, on the left.
            title: On top; broken into lines where it is wider than the sheet.
            lines: Lines of text between the headers of columns and the cells.
            scale: Times that images are enlarged; None is to 56 pixels, about.
        """
        height, width = size
        self._scale = scale or max(1, round(_CELL / max(height, width)))
        height, width = height * self._scale, width * self._scale
        label_width = max((_measure(label, _TEXT) for label in labels), default=0)
        left = _MARGIN + label_width + 10
        x, right = _positions(left, width, columns, 0)
        wrapped = _wrap(title, max(right - _MARGIN, _TITLE_WIDTH))
        self._header = _MARGIN + len(wrapped) * _TITLE_LINE + 6
        self._lines = self._header + LINE * any(name for name, _ in columns)
        above = LINE * any(name for name, _ in rows)
        y, bottom = _positions(self._lines + lines * LINE, height, rows, above)
        self.cells = Cells(x, y, width, height, list(columns))
        right = max(right, *(_MARGIN + _measure(line, _TITLE) for line in wrapped))
        self.image = Image.new("RGB", (right + _MARGIN, bottom + _MARGIN), _PAPER)
        self.image.info[CELLS] = json.dumps(self.cells._asdict())
        self._draw = ImageDraw.Draw(self.image)
        for i, line in enumerate(wrapped):
            self._write(_MARGIN, _MARGIN + i * _TITLE_LINE, line, _TITLE, anchor="la")
        for first, name, count in _starts(columns):
            self._center(self._header, first, first + count - 1, name, INK)
        for first, name, _ in _starts(rows):
            self._write(left, y[first] - above, name, _SMALL, anchor="la")
        for top, label in zip(y, labels, strict=True):
            self._write(left - 10, top + height // 2, label, _TEXT, anchor="rm")

    def fill(self, rows: Iterable[Iterable[Tensor | Image.Image]], first: int = 0) -> None:
        """Put images into the cells, by row and column, from the first column on.

        They are uint8 (C, H, W), or pictures, which go to the upper left of their cells.
        """
        for y, images in zip(self.cells.y, rows, strict=False):
            for x, image in zip(self.cells.x[first:], images, strict=False):
                picture = _picture(image) if isinstance(image, Tensor) else image
                size = picture.width * self._scale, picture.height * self._scale
                self.image.paste(picture.resize(size, Image.Resampling.NEAREST), (x, y))

    def over(self, column: int, text: str, line: int = 0, ink: str = INK, row: int = 0) -> None:
        """Center a text over a column, in one of the lines above a row that begins a group."""
        y = self._lines + line * LINE + self.cells.y[row] - self.cells.y[0]
        self._center(y, column, column, text, ink)

    def bracket(self, first: int, last: int, text: str) -> None:
        """Draw a bracket with a text over some columns, in the first line above the cells."""
        left, right = self.cells.x[first], self.cells.x[last] + self.cells.width - 1
        y = self._lines + LINE // 2
        self._draw.line([(left, y + 5), (left, y), (right, y), (right, y + 5)], ACCENT)
        half = _measure(text, _SMALL) // 2 + 6
        middle = (left + right) // 2
        self._draw.rectangle([middle - half, y - 7, middle + half, y + 8], fill=_PAPER)
        self._write(middle, y, text, _SMALL, anchor="mm", ink=ACCENT)

    def _center(self, y: int, first: int, last: int, text: str, ink: str) -> None:
        """Write a line in the middle over some columns, cut where it would reach its neighbors."""
        if not text:
            return
        left, right = self.cells.x[first], self.cells.x[last] + self.cells.width
        shown = text
        while len(shown) > 2 and _measure(shown, _SMALL) > right - left + _GAP:
            shown = shown[:-2] + "\N{HORIZONTAL ELLIPSIS}"
        self._write((left + right) // 2, y, shown, _SMALL, anchor="ma", ink=ink)

    def _write(self, x: int, y: int, text: str, size: int, anchor: str, ink: str = INK) -> None:
        self._draw.text((x, y), text, fill=ink, font=_font(size), anchor=anchor)


def write(
    text: str, ink: str = INK, paper: str | tuple[int, ...] = _PAPER, size: int = _SMALL
) -> Image.Image:
    """Make a picture of a line of text."""
    image = Image.new("RGB", (_measure(text, size), LINE), paper)
    place = (image.width // 2, LINE // 2)
    ImageDraw.Draw(image).text(place, text, fill=ink, font=_font(size), anchor="mm")
    return image


def _picture(image: Tensor) -> Image.Image:
    pixels = image.cpu().numpy()
    if pixels.shape[0] == 1:
        pixels = np.repeat(pixels, 3, axis=0)
    return Image.fromarray(np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))


def _starts(groups: Sequence[tuple[str, int]]) -> Iterator[tuple[int, str, int]]:
    """Yield the first column (or row), the name and the number of columns of each group."""
    first = 0
    for name, count in groups:
        yield first, name, count
        first += count


def _positions(
    start: int, cell: int, groups: Sequence[tuple[str, int]], above: int
) -> tuple[list[int], int]:
    """Return where each cell starts, and where the last one ends."""
    positions, at = [], start
    for number, (_, count) in enumerate(groups):
        at += above + (_GROUP_GAP if number else 0)
        for member in range(count):
            at += _GAP if member else 0
            positions.append(at)
            at += cell
    return positions, at


def _wrap(text: str, width: int) -> list[str]:
    """Break a title between words into lines of so many pixels."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and _measure(longer, _TITLE) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _measure(text: str, size: int) -> int:
    """Width of a line of text in pixels."""
    return round(_font(size).getlength(text))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that matplotlib brings along: the same on every machine.

    Without the extra `train`, which brings matplotlib, it is Pillow's own.
    """
    try:
        found = find_spec("matplotlib")  # which takes a while to import
    except ImportError:
        found = None
    if found is None or found.origin is None:
        return ImageFont.load_default(size)
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def png(image: Image.Image) -> bytes:
    """Encode a picture as PNG; a sheet with the places of its cells (`ssgan.drawing.sheet`)."""
    buffer, texts = io.BytesIO(), PngInfo()
    if CELLS in image.info:
        texts.add_text(CELLS, image.info[CELLS])
    image.save(buffer, format="PNG", pnginfo=texts)  # optimize: 5 times the time, 2 % less
    return buffer.getvalue()


THUMBNAIL = 256
"""Pixels of a thumbnail's longer side, as MLflow's own."""


def thumbnail(
    picture: Image.Image | bytes,
    side: int = THUMBNAIL,
    quality: int = 90,
    *,
    enlarge: bool = True,
) -> bytes:
    """Make a small WebP copy of a picture or its PNG, `side` pixels on its longer side.

    The quality is WebP's, 0 to 100. A smaller picture is enlarged unless told otherwise, so that
    digits of 8 pixels stay crisp.
    """
    if isinstance(picture, bytes):
        with Image.open(io.BytesIO(picture)) as image:
            small = image.convert("RGB")
    else:
        small = picture.convert("RGB")
    scale = side / max(small.size)
    if scale < 1 or enlarge:
        size = (max(1, round(small.width * scale)), max(1, round(small.height * scale)))
        resampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
        small = small.resize(size, resampling)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()
