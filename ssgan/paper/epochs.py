"""The samples that runs recorded while they trained, budget by budget (the paper's figure 11)."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ssgan.evaluation.grids import COPIES, Album
from ssgan.export.format import MANIFEST
from ssgan.method.codes import LatentSpace
from ssgan.paper.panels import WIDEST, tabulate
from ssgan.paper.runs import Group, PaperRun

_COLUMNS = 8  # samples in a row, as in the other figures; more would make a large file
_PICTURE = "samples_ema"
_MARK = (255, 0, 255)  # a color that nothing else on a sheet of samples has


def choose_epochs(groups: Sequence[Group], count: int = 2) -> list[int]:
    """Choose epochs at which all budgets have a picture, evenly spread, the last one included.

    Args:
        groups: The runs by label budget; those without any picture are passed over.
        count: How many epochs; fewer are returned where there are not so many.

    Returns:
        Epochs, ascending.
    """
    common = _common(_pictured(groups))
    if not common:
        return []
    targets = [common[-1] * (i + 1) / count for i in range(count)]
    nearest = {min(common, key=lambda epoch: (abs(epoch - target), epoch)) for target in targets}
    return sorted(nearest)


def epochs_figure(groups: Sequence[Group], epochs: Sequence[int]) -> Image.Image | None:
    """Draw recorded samples: a column an epoch, a row a budget (the paper's figure 11).

    The first seed of each budget is shown, up to eight samples in a row. Real images that stand
    beside them are cut away, by the layout of the run's export; without an export the picture is
    shown whole.

    Args:
        groups: The runs by label budget; those without any picture are left out.
        epochs: Epochs to show; those that not all budgets have are left out.

    Returns:
        The pictures, shrunk where they would be wider than 2,100 pixels together; None where no
        epoch is left.
    """
    pictured = _pictured(groups)
    common = _common(pictured)
    shown = [epoch for epoch in dict.fromkeys(epochs) if epoch in common]
    if not shown:
        return None
    table = [
        [_synthetic(_read(run, epoch), run, labeled=group.labels > 0) for epoch in shown]
        for group, run in pictured
    ]
    widest = max(picture.width for row in table for picture in row)
    share = min(1.0, WIDEST / (len(shown) * widest))
    return tabulate(
        [[_shrink(picture, share) for picture in row] for row in table],
        [f"{group.title}, seed {run.seed}" for group, run in pictured],
        [f"epoch {epoch}" for epoch in shown],
        f"Samples at the same epochs: {COPIES['ema']}",
    )


def _pictured(groups: Sequence[Group]) -> list[tuple[Group, PaperRun]]:
    """Return the first run with pictures of each budget."""
    found = []
    for group in groups:
        run = next((one for one in group.runs if _epochs(one)), None)
        if run is not None:
            found.append((group, run))
    return found


def _common(pictured: Sequence[tuple[Group, PaperRun]]) -> list[int]:
    """Return the epochs at which all of them have a picture, ascending."""
    return sorted(set.intersection(*(_epochs(run) for _, run in pictured))) if pictured else []


def _epochs(run: PaperRun) -> set[int]:
    return {record.epoch for record in run.records if _PICTURE in record.images}


def _read(run: PaperRun, epoch: int) -> Image.Image:
    record = next(one for one in run.records if one.epoch == epoch)
    return Image.open(io.BytesIO(run.run.read_bytes(record.images[_PICTURE]))).convert("RGB")


def _synthetic(picture: Image.Image, run: PaperRun, *, labeled: bool) -> Image.Image:
    """Cut the synthetic images out of a recorded picture."""
    if not run.has_export:
        return picture
    content: dict[str, Any] = json.loads(run.run.read_bytes(f"export/{MANIFEST}"))
    space = LatentSpace.model_validate(content["space"])
    columns = run.experiment.evaluation.columns
    marked = _mark(space, content["shape"][1:], columns, labeled=labeled)
    if marked.size != picture.size:
        return picture
    is_image = (np.asarray(marked) == _MARK).all(axis=2)
    y, x = (np.flatnonzero(is_image.any(axis=axis)) for axis in (1, 0))
    cells = np.split(x, np.flatnonzero(np.diff(x) > 1) + 1)[:_COLUMNS]
    return picture.crop((int(x[0]), int(y[0]), int(cells[-1][-1]) + 1, int(y[-1]) + 1))


def _mark(space: LatentSpace, size: Sequence[int], columns: int, *, labeled: bool) -> Image.Image:
    """Draw the sheet that the run drew, with a mark for each synthetic image."""
    count = columns * max(code.size for code in space.codes)  # real images enough of each class
    labels = [torch.arange(float(count)) % code.size for code in space.supervised]
    album = Album(
        space,
        torch.zeros(count, 3, *size, dtype=torch.uint8),
        torch.stack(labels, dim=1) if labels else torch.zeros(count, 0),
        columns,
        labeled,
    )
    return album.class_rows(_Marker(size), "ema")


class _Marker(nn.Module):
    """A generator of marks."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.tensor(_MARK)[:, None, None].expand(3, *size) / 255)

    def forward(self, v: Tensor) -> Tensor:
        return self.image.expand(len(v), -1, -1, -1)


def _shrink(picture: Image.Image, share: float) -> Image.Image:
    if share == 1:
        return picture
    size = (max(1, int(picture.width * share)), max(1, int(picture.height * share)))
    return picture.resize(size, Image.Resampling.LANCZOS)
