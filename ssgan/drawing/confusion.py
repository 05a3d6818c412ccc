"""C's confusion matrix: how often each class is recognized in images asked for as each class."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from ssgan.drawing.sheet import CELLS, INK, LINE, Sheet, write

_NUMBERED = 12  # classes up to which cells hold their counts
_SIDES = ((_NUMBERED, 48), (40, 20), (math.inf, 10))  # pixels of a cell, up to so many classes
_NONE, _ALL = np.array([246, 248, 250]), np.array([8, 48, 107])  # colors of none and all of a row


def confusion_matrix(
    counts: Tensor, asked: Sequence[str], recognized: Sequence[str], title: str
) -> Image.Image:
    """Draw how often C recognizes each class in images asked for as each class.

    The counts are samples by asked (row) and recognized (column) class, (S, S).
    """
    table = counts.double().numpy()
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    is_numbered = len(asked) <= _NUMBERED
    side = next(side for most, side in _SIDES if len(asked) <= most)
    every = math.ceil(LINE / side)  # classes a label where cells are small

    def labels(names: Sequence[str]) -> list[str]:
        return [name if k % every == 0 else "" for k, name in enumerate(names)]

    above = [write(name) for name in labels(recognized)]
    if max(label.width for label in above) > side * every:
        above = [label.transpose(Image.Transpose.ROTATE_90) for label in above]
    sheet = Sheet(
        (side, side),
        [("", len(asked))],
        [("" if is_numbered else "the darker, the more of the row", len(recognized))],
        labels(asked),
        title,
        lines=math.ceil(max(label.height for label in above) / LINE) + 1,
        scale=1,
    )

    def cell(share: float, count: float) -> Image.Image:
        color = tuple((_NONE + share * (_ALL - _NONE)).round().astype(int).tolist())
        made = Image.new("RGB", (side, side), color)
        if count and is_numbered:
            text = write(f"{count:.0f}", "white" if share > 0.5 else INK, color)
            made.paste(text, ((side - text.width) // 2, (side - text.height) // 2))
        return made

    sheet.fill(map(cell, *row) for row in zip(shares, table, strict=True))
    for x, label in zip(sheet.cells.x, above, strict=True):
        sheet.image.paste(
            label, (x + (side - label.width) // 2, sheet.cells.y[0] - label.height - 4)
        )
    del sheet.image.info[CELLS]  # these cells hold no images
    return sheet.image
