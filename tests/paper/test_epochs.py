"""Recorded samples of the same epochs stand side by side, real images cut away."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.drawing.grids import png
from ssgan.paper import epochs as recorded
from ssgan.paper.epochs import choose_epochs, epochs_figure
from ssgan.paper.runs import Group, read_groups
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
    whole = recorded._read(run, 4)
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


def test_without_an_export_the_picture_is_whole(tmp_path: Path) -> None:
    (group,) = read_groups(make_groups(tmp_path, (20,), (0,), 2))
    image = epochs_figure([group], [1, 2])
    assert image is not None
    for epoch in (1, 2):
        assert len(grays(image, shade_of(20, 0, epoch))) >= 8 * 8


def test_an_unknown_layout_is_shown_whole(
    groups: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "_mark", lambda *_, **__: Image.new("RGB", (5, 5)))
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
