"""Recorded samples of the same epochs stand side by side, real images cut away."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.drawing.sheet import CELLS, Cells, Sheet, png
from ssgan.experiment.tree import Experiment
from ssgan.paper import epochs as recorded
from ssgan.paper.epochs import choose_epochs, epochs_figure
from ssgan.paper.runs import Group, PaperRun, read_groups
from ssgan.records.rundir import RunDir
from tests.helpers.papers import COLUMNS, DIGITS, make_groups, shade_of

REAL = 0  # the makers' real images are black, which no text is


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> tuple[Group, ...]:
    """InfoGAN and 20 labels, of four epochs each."""
    folder = tmp_path_factory.mktemp("recorded")
    return read_groups(make_groups(folder, (0, 20), (0, 1), 4, exports=DIGITS))


def grays(image: Image.Image, shade: int) -> list[tuple[int, int]]:
    """Return y and x of all pixels of a gray."""
    found = np.nonzero((np.asarray(image) == shade).all(axis=2))
    return list(zip(found[0].tolist(), found[1].tolist(), strict=True))


def picture_of(run: PaperRun, epoch: int) -> Image.Image:
    record = next(one for one in run.records if one.epoch == epoch)
    return Image.open(io.BytesIO(run.run.read_bytes(record.images["samples_ema"])))


def middle(image: Image.Image, shade: int) -> tuple[float, float]:
    y, x = np.mean(grays(image, shade), axis=0)
    return float(y), float(x)


def test_a_row_is_a_budget_and_a_column_an_epoch(groups: tuple[Group, ...]) -> None:
    image = epochs_figure(groups, [2, 4])
    assert image is not None
    (ay, ax), (by, bx), (cy, cx), (dy, dx) = (
        middle(image, shade_of(labels, 0, epoch)) for labels in (0, 20) for epoch in (2, 4)
    )
    assert (ay, cy) == pytest.approx((by, dy))
    assert (ax, bx) == pytest.approx((cx, dx))
    assert ay < cy
    assert ax < bx
    for labels, seed, epoch in ((0, 1, 2), (20, 1, 4), (20, 0, 3)):  # second seeds, other epochs
        assert not grays(image, shade_of(labels, seed, epoch))


def test_real_images_are_cut_away(groups: tuple[Group, ...]) -> None:
    run = groups[1].runs[0]
    whole = picture_of(run, 4)
    assert len(grays(whole, REAL)) == 10 * COLUMNS // 2 * 64**2  # 16 pixels, four times as large
    image = epochs_figure(groups[1:], [4])
    assert image is not None
    assert not grays(image, REAL)
    shade = shade_of(20, 0, 4)
    assert len(grays(image, shade)) == len(grays(whole, shade)) == 10 * COLUMNS * 64**2


def test_rows_are_cut_to_as_many_samples_as_other_figures_have(
    groups: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "_COLUMNS", COLUMNS - 1)
    image = epochs_figure(groups[1:], [4])
    assert image is not None
    assert len(grays(image, shade_of(20, 0, 4))) == 10 * (COLUMNS - 1) * 64**2


def test_a_picture_that_is_no_sheet_is_whole(tmp_path: Path) -> None:
    (group,) = read_groups(make_groups(tmp_path, (20,), (0,), 2))
    image = epochs_figure([group], [1, 2])
    assert image is not None
    for epoch in (1, 2):
        assert len(grays(image, shade_of(20, 0, epoch))) >= 8 * 8


def test_a_sheet_of_an_earlier_version_is_laid_out_again(
    groups: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of 0589714 have other titles and labels, and do not say where their cells are."""
    new = epochs_figure(groups, [4])
    for group in groups:
        run = group.runs[0]
        old = redraw_as_before(picture_of(run, 4), labeled=group.labels > 0)
        assert old.size != picture_of(run, 4).size
        path = next(one for one in run.records if one.epoch == 4).images["samples_ema"]
        content = {path: png(old)}
        read = RunDir.read_bytes
        monkeypatch.setattr(
            RunDir,
            "read_bytes",
            lambda self, name, r=read, c=content, w=run.run: (
                c[name] if self is w and name in c else r(self, name)
            ),
        )
    assert epochs_figure(groups, [4]) == new


def redraw_as_before(picture: Image.Image, *, labeled: bool) -> Image.Image:
    """Draw a sheet as 0589714 did: bare classes on rows, a shorter title."""
    cells = Cells.read(picture)
    assert cells is not None
    labels = [str(i) if labeled else f"digit = {i}" for i in range(10)]
    title = "Class rows: G, moving average (EMA)"
    sheet = Sheet((16, 16), [("", 10)], cells.groups, labels, title)
    left, upper = cells.x[0], cells.y[0]
    block = picture.crop((left, upper, cells.x[-1] + cells.width, cells.y[-1] + cells.height))
    sheet.image.paste(block, (sheet.cells.x[0], sheet.cells.y[0]))
    del sheet.image.info[CELLS]
    return sheet.image


def test_a_record_of_0589714_is_cut_at_its_images() -> None:
    written = RunDir(Path(__file__).parents[1] / "compatibility" / "written-by-0589714" / "run")
    experiment = Experiment.from_yaml(written.definition())
    run = PaperRun("20", 20, 0, written, experiment)
    picture = Image.open(io.BytesIO(written.read_bytes("record/0002/samples_ema.png")))
    assert Cells.read(picture) is None
    cells = recorded._old_cells(picture, run, labeled=True)
    assert cells is not None
    pixels = np.asarray(picture.convert("RGB"))
    left, upper, right, lower = cells.box("synthetic", 8)
    assert (pixels[upper:lower, left - 2 : left] == 255).all()
    assert (pixels[upper:lower, right:] == 255).all()
    assert (pixels[upper, left:right] < 255).any()


def test_an_unknown_layout_is_shown_whole(
    groups: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cells, "read", lambda _: None)
    monkeypatch.setattr(recorded, "_OLD_TITLE", "A title that no sheet ever had " * 9)
    image = epochs_figure(groups[1:], [4])
    assert image is not None
    assert grays(image, REAL)


def test_epochs_are_shrunk_to_fit(
    groups: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = epochs_figure(groups, [1, 2, 3, 4])
    monkeypatch.setattr(recorded, "WIDEST", 400)
    narrow = epochs_figure(groups, [1, 2, 3, 4])
    assert wide is not None
    assert narrow is not None
    assert wide.width > recorded.WIDEST
    assert narrow.width < 700  # labels and margins have their own room


def test_epochs_are_evenly_spread_and_shared(tmp_path: Path, groups: tuple[Group, ...]) -> None:
    assert choose_epochs(groups) == [2, 4]
    assert choose_epochs(groups, 1) == [4]
    assert choose_epochs(groups, 3) == [1, 3, 4]
    assert choose_epochs(groups, 9) == [1, 2, 3, 4]
    (short,) = read_groups(make_groups(tmp_path, (50,), (0,), 3))
    assert choose_epochs([*groups, short]) == [1, 3]
    image = epochs_figure([*groups, short], [4, 3, 3, 7])
    assert image is not None
    assert grays(image, shade_of(0, 0, 3))
    assert not grays(image, shade_of(0, 0, 4))


def test_nothing_is_drawn_of_nothing(groups: tuple[Group, ...]) -> None:
    assert choose_epochs(()) == []
    assert epochs_figure((), [1]) is None
    assert epochs_figure(groups, []) is None
    assert epochs_figure(groups, [7]) is None


def test_budgets_without_pictures_are_left_out(tmp_path: Path, groups: tuple[Group, ...]) -> None:
    search = make_groups(tmp_path, (50,), (0,), 2)
    (bare,) = read_groups(search)
    run = bare.runs[0]
    run.__dict__["records"] = tuple(one.model_copy(update={"images": {}}) for one in run.records)
    assert choose_epochs([*groups, bare]) == [2, 4]
    assert epochs_figure([*groups, bare], [4]) == epochs_figure(groups, [4])
    assert epochs_figure([bare], [2]) is None


def test_equal_runs_make_equal_bytes(groups: tuple[Group, ...]) -> None:
    first, again = (epochs_figure(groups, [2, 4]) for _ in range(2))
    assert first is not None
    assert again is not None
    assert png(first) == png(again)
