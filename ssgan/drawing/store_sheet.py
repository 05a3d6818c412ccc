"""The contact sheet of a store: real images of every class, or along a value, in rows."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ssgan.base.rng import Streams
from ssgan.data.store import Store
from ssgan.drawing.grids import Sheet, png
from ssgan.method.codes import Code

_COLUMNS = 12
_MOST_ROWS = 40
_LEVELS = 5  # rows of a continuous column


def store_sheet(store: Store) -> bytes:
    """Draw images of the train split, the same ones for the same store.

    Returns:
        A PNG: one row a class, `_LEVELS` rows for a continuous column, random rows without labels.
    """
    split = store.split("train")
    order = torch.randperm(len(split), generator=Streams(0).generator("contact sheet"))
    rows: list[tuple[str, Tensor]] = []
    for k, code in enumerate(store.manifest.columns):
        rows.extend(_rows(code, split.labels[order, k], order))
    if not rows:
        rows = [("", part) for part in order[: 8 * _COLUMNS].split(_COLUMNS)]
    title = f"{store.manifest.name}: real images of the train split"
    if len(rows) > _MOST_ROWS:
        title += f" (first {_MOST_ROWS} of {len(rows)} rows)"
    rows = rows[:_MOST_ROWS]
    labels = [label for label, _ in rows]
    sheet = Sheet(store.manifest.shape[1:], [len(rows)], [_COLUMNS], labels, title, header=0)
    for row, (_, picked) in enumerate(rows):
        for column, image in enumerate(split.images[picked]):
            sheet.paste(row, column, image)
    return png(sheet.image)


def _rows(code: Code, values: Tensor, order: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield rows of images as labels and indices."""
    if code.is_categorical:
        for index, name in enumerate(code.classes):
            yield f"{code.name} = {name}", order[values == index][:_COLUMNS]
        return
    for step in range(_LEVELS):
        value = code.low + (code.high - code.low) * step / (_LEVELS - 1)
        nearest = (values - value).abs().nan_to_num(torch.inf).argsort(stable=True)[:_COLUMNS]
        known = nearest[~values[nearest].isnan()]
        yield f"{code.name} near {value:.3g}", order[known]
