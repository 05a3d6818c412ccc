"""Pictures beside each other on one sheet."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ssgan.drawing.grids import Sheet

WIDEST = 2_100  # pixels, about, that panels beside each other may take
_PAPER = (255, 255, 255)


def arrange(panels: Sequence[Image.Image], title: str) -> Image.Image:
    """Put panels beside each other, and below where they would be too wide; in reading order.

    Args:
        panels: One at least.
        title: The line on top.
    """
    width = max(panel.width for panel in panels)
    fitting = max(1, WIDEST // width)
    rows = math.ceil(len(panels) / fitting)
    columns = math.ceil(len(panels) / rows)  # rows as even as can be
    table = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    return tabulate(table, [""] * rows, [], title)


def tabulate(
    table: Sequence[Sequence[Image.Image]], rows: Sequence[str], columns: Sequence[str], title: str
) -> Image.Image:
    """Put panels into a table; each has the room of the largest.

    Args:
        table: By row, one panel at least; rows may hold fewer panels than others.
        rows: Labels on the left.
        columns: Headers; none at all make no line for them.
        title: The line on top.
    """
    width = max(panel.width for row in table for panel in row)
    height = max(panel.height for row in table for panel in row)
    most = max(map(len, table))
    apart = [1] * len(table), [1] * most
    sheet = Sheet((height, width), *apart, rows, title, header=bool(columns))
    for column, name in enumerate(columns):
        sheet.over(column, column, name)
    for row, panels in enumerate(table):
        for column, panel in enumerate(panels):
            sheet.paste(row, column, _pixels(panel, width, height))
    return sheet.image


def _pixels(panel: Image.Image, width: int, height: int) -> Tensor:
    """Return a panel at the upper left of a white sheet, uint8 (3, height, width)."""
    paper = Image.new("RGB", (width, height), _PAPER)
    paper.paste(panel, (0, 0))
    return torch.from_numpy(np.array(paper)).permute(2, 0, 1)
