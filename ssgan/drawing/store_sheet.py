"""The contact sheet of a store: real images of every class, or along a value, in rows."""

import torch

from ssgan.base.rng import Streams
from ssgan.data.store import Store
from ssgan.drawing.grids import image_rows, rows_of
from ssgan.drawing.sheet import png

_COLUMNS = 12
_MAX_ROWS = 40


def store_sheet(store: Store) -> bytes:
    """Draw images of the train split as a PNG, the same ones for the same store.

    A class has one row, a continuous column five; without labels the rows are random.
    """
    split, codes = store.split("train"), store.manifest.columns
    order = torch.randperm(len(split), generator=Streams(0).generator("contact sheet"))
    rows = rows_of(codes)
    title = f"{store.manifest.name}: real images of the train split"
    if len(rows) > _MAX_ROWS:
        title += f" (first {_MAX_ROWS} of {len(rows)} rows)"
    shown = rows[:_MAX_ROWS]
    if shown:
        columns = [code.to_unit(split.labels[order, k]) for k, code in enumerate(codes)]
        table = torch.stack(columns, dim=1)
        picked = [order[row.pick(table, _COLUMNS)] for row in shown]
    else:
        picked = list(order[: 8 * _COLUMNS].split(_COLUMNS))
    images = [split.take(indices) for indices in picked]
    labels = [
        row.label if row.code.is_categorical else f"{row.code.name} near {row.name}"
        for row in shown
    ]
    return png(image_rows([("", images)], labels or [""] * len(images), title))
