"""The samples that runs recorded while they trained, budget by budget (the paper's figure 11)."""

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from ssgan.drawing.grids import WIDEST, generator_name, numbered, picture_table, rows_of
from ssgan.drawing.sheet import Cells, Sheet
from ssgan.evaluation.grids import MAX_ROWS, REAL, SYNTHETIC, row_label
from ssgan.export.format import MANIFEST
from ssgan.method.codes import LatentSpace
from ssgan.paper.runs import Group, PaperRun

_COLUMNS = 8  # samples in a row, as in the other figures; more would make a large file
_PICTURE = "samples_ema"
_OLD_TITLE = "Class rows: G, moving average (EMA)"


def choose_epochs(groups: Sequence[Group], count: int = 2) -> list[int]:
    """Choose epochs, ascending, at which all budgets have a picture: evenly spread, and the last.

    Budgets without any picture do not count; where epochs are too few, fewer than `count` return.
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
    next to them are cut away; a picture that does not say where they are is shown whole. Left out
    are budgets without any picture, and epochs that not all others have.

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
        [_synthetic(run, epoch, labeled=group.labels > 0) for epoch in shown]
        for group, run in pictured
    ]
    share = min(1.0, WIDEST / (len(shown) * max(one.width for row in table for one in row)))
    if share < 1:
        table = [[_shrink(one, share) for one in row] for row in table]
    return picture_table(
        table,
        [f"{group.title}, seed {run.seed}" for group, run in pictured],
        [f"epoch {epoch}" for epoch in shown],
        f"What {generator_name('ema')} draws at the same epochs, by number of labels",
    )


def _shrink(image: Image.Image, share: float) -> Image.Image:
    size = int(image.width * share), int(image.height * share)
    return image.resize(size, Image.Resampling.LANCZOS)


def _pictured(groups: Sequence[Group]) -> list[tuple[Group, PaperRun]]:
    """Return the first run with pictures of each budget."""
    first = ((group, next(filter(_epochs, group.runs), None)) for group in groups)
    return [(group, run) for group, run in first if run is not None]


def _common(pictured: Sequence[tuple[Group, PaperRun]]) -> list[int]:
    """Return the epochs at which all of them have a picture, ascending."""
    return sorted(set.intersection(*(_epochs(run) for _, run in pictured))) if pictured else []


def _epochs(run: PaperRun) -> set[int]:
    return {record.epoch for record in run.records if _PICTURE in record.images}


def _synthetic(run: PaperRun, epoch: int, *, labeled: bool) -> Image.Image:
    """Cut the synthetic images out of a recorded picture."""
    record = next(one for one in run.records if one.epoch == epoch)
    picture = Image.open(io.BytesIO(run.run.read_bytes(record.images[_PICTURE])))
    cells = Cells.read(picture) or _old_cells(picture, run, labeled=labeled)
    whole = picture.convert("RGB")
    return whole if cells is None else whole.crop(cells.box(SYNTHETIC, _COLUMNS))


def _old_cells(picture: Image.Image, run: PaperRun, *, labeled: bool) -> Cells | None:
    """Find the cells of a sheet that does not say where they are, as 0589714 drew them."""
    if not run.has_export:
        return None
    content: dict[str, Any] = run.run.read_json(f"export/{MANIFEST}")
    columns = run.experiment.evaluation.columns
    space = LatentSpace.model_validate(content["space"])
    codes = space.supervised or space.codes
    rows = rows_of(codes if labeled else [numbered(code) for code in codes])
    groups = [(REAL, max(1, columns // 2))] * labeled + [(SYNTHETIC, columns)]
    title = _OLD_TITLE + f" (first {MAX_ROWS} of {len(rows)} rows)" * (len(rows) > MAX_ROWS)
    labels = [row_label(row, space, labeled=labeled) for row in rows[:MAX_ROWS]]
    sheet = Sheet(content["shape"][1:], [("", len(labels))], groups, labels, title)
    return sheet.cells if sheet.image.size == picture.size else None
