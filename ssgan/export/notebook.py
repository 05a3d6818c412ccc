"""What a notebook shows of a generator: its codes as a table, and a grid of samples."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ssgan.drawing.grids import generator_name
from ssgan.drawing.sheet import png
from ssgan.export.code_values import CodeInfo
from ssgan.export.grid import make_grid

if TYPE_CHECKING:
    from ssgan.export.generator import NamedGenerator

_CODES = 6  # in a line of text
_ROWS, _COLUMNS = 10, 8  # of the grid


def describe_in_a_line(generator: NamedGenerator) -> str:
    """Describe a generator in a line: the size of its images, and its first codes."""
    codes = generator.codes
    told = "; ".join(code.in_words() for code in codes[:_CODES])
    more = f"; {len(codes) - _CODES} more" if len(codes) > _CODES else ""
    return f"<NamedGenerator of {_size(generator)}: {told}{more}>"


def as_html(generator: NamedGenerator) -> str:
    """Write a generator as HTML without scripts: its codes, and samples of the first one's values.

    All that comes from the user is escaped.
    """
    rows = "".join(map(_row, generator.codes))
    first = generator.codes[0]
    values = list(first.classes[:_ROWS]) or np.linspace(_end(first.low), _end(first.high), 5)
    grid = make_grid(generator, {first.name: values}, _COLUMNS)
    picture = b64encode(png(grid.draw())).decode()
    return (
        f"<p><b>NamedGenerator</b>, {_size(generator)}, "
        f"{generator_name(generator.manifest.copy_of)}</p>"
        "<table><thead><tr><th>code</th><th>values</th><th>meaning</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        f'<img alt="{escape(grid.title)}" src="data:image/png;base64,{picture}">'
    )


def _size(generator: NamedGenerator) -> str:
    channels, height, width = generator.manifest.shape
    return f"{width}×{height} pixels" + (f", {channels} channels" if channels > 1 else "")


def _row(code: CodeInfo) -> str:
    # Names in other scripts go in their own direction.
    cells = (
        code.name,
        code.values_in_words(),
        "from labels" if code.supervised else "found by itself",
    )
    return "<tr>" + "".join(f'<td dir="auto">{escape(cell)}</td>' for cell in cells) + "</tr>"


def _end(value: float | None) -> float:
    assert value is not None  # of a continuous code
    return value
