"""Pictures ask G for what they say, the same of every budget."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ssgan.base.errors import BadInput
from ssgan.drawing.sheet import Sheet, png
from ssgan.evaluation.grids import Real
from ssgan.export import NamedGenerator
from ssgan.method.codes import Code, Latents, LatentSpace
from ssgan.paper.grids import blocks_figure, sample_figure, traversal_figure
from ssgan.paper.runs import Group, read_groups
from ssgan.records.rundir import RunDir
from tests.helpers.papers import DIGITS, FACES, make_groups

VALUES = [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]
EMA = "What the generator (EMA) draws"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Group, ...]:
    """InfoGAN and 20 labels, two seeds each."""
    folder = tmp_path_factory.mktemp("digits")
    return read_groups(make_groups(folder, (0, 20), (0, 1), 1, exports=DIGITS))


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Group, ...]:
    """InfoGAN and 20 labels over three binary codes."""
    folder = tmp_path_factory.mktemp("faces")
    return read_groups(make_groups(folder, (0, 20), (0,), 1, exports=FACES))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Latents]:
    """All latents that generators are asked to render, call by call."""
    seen: list[Latents] = []
    render = NamedGenerator.render

    def record(self: NamedGenerator, latents: Latents) -> NDArray[np.uint8]:
        seen.append(latents)
        return render(self, latents)

    monkeypatch.setattr(NamedGenerator, "render", record)
    return seen


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of all sheets in the order of drawing, that of the whole figure last."""
    titles: list[str] = []
    sheet = Sheet.__init__

    def record(
        self: object,
        size: object,
        rows: object,
        columns: object,
        labels: object,
        title: str,
        *rest: object,
        **named: object,
    ) -> None:
        titles.append(title)
        sheet(self, size, rows, columns, labels, title, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Sheet, "__init__", record)
    return titles


def texts(monkeypatch: pytest.MonkeyPatch, draw: Callable[[], object]) -> list[str]:
    """Return all words that a figure writes."""
    written: list[str] = []
    write = Sheet._write

    def record(self: object, x: int, y: int, text: str, *rest: object, **named: object) -> None:
        written.append(text)
        write(self, x, y, text, *rest, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Sheet, "_write", record)
        draw()
    return written


def export_of(group: Group) -> Path:
    return Path(group.runs[0].run.location) / "export"


def test_a_traversal_changes_one_code_and_is_the_same_for_all_budgets(
    digits: tuple[Group, ...], asked: list[Latents], panels: list[str]
) -> None:
    assert traversal_figure(digits, "style_2") is not None
    infogan, labeled = asked
    for c, z in asked:
        assert c[:, 2].tolist() == VALUES * 10
        assert c[:, 0].tolist() == [float(i) for i in range(10) for _ in VALUES]
        assert len(c[:, 1].unique()) == 1
        assert len(z.unique(dim=0)) == 1
    torch.testing.assert_close(infogan.z, labeled.z, rtol=0, atol=0)
    assert panels == [
        "0 (InfoGAN), seed 0",
        "20 labels, seed 0",
        f"{EMA} as style_2 goes from -2 to 2 and all else in a row stays",
    ]


def test_a_traversal_holds_the_first_seeds_images(digits: tuple[Group, ...]) -> None:
    image = traversal_figure(digits[1:], "style_1")
    assert image is not None
    generator = NamedGenerator.load(export_of(digits[1]))
    base = generator.draw(1, seed=0)
    c = base.c.clone()
    c[0, 0], c[0, 1] = 3, -2
    cell = generator.render(Latents(c, base.z))[0, :, :, 0].repeat(4, 0).repeat(4, 1)
    pixels = np.asarray(image)[:, :, 0]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, cell.shape)
    corners = np.argwhere(
        (windows[:, :, 0, 0] == cell[0, 0]) & (windows[:, :, -1, -1] == cell[-1, -1])
    )
    assert any((windows[y, x] == cell).all() for y, x in corners)


def test_infogans_rows_are_numbered_and_labeled_ones_named(
    faces: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = texts(monkeypatch, lambda: traversal_figure(faces[:1], "style_1"))
    assert {"c1 = 0", "c1 = 1"} <= set(written)
    assert "no" not in written
    written = texts(monkeypatch, lambda: traversal_figure(faces[1:], "style_1"))
    assert {"no", "yes"} <= set(written)


def test_without_classes_a_traversal_has_rows_of_noise(
    tmp_path: Path, asked: list[Latents], monkeypatch: pytest.MonkeyPatch
) -> None:
    angle = Code(name="angle", kind="continuous", low=-30, high=30)
    space = LatentSpace(supervised=(angle,), unsupervised=FACES.unsupervised, noise=8)
    groups = read_groups(make_groups(tmp_path, (20,), (0,), 1, exports=space))
    written = texts(monkeypatch, lambda: traversal_figure(groups, "angle"))
    assert {"noise 1", "noise 5", "-60", "60"} <= set(written)
    ((c, z),) = asked
    assert c[:, 0].tolist() == VALUES * 5
    assert len(z.unique(dim=0)) == 5
    assert sample_figure(groups) is not None
    assert blocks_figure(groups[0]) is None


def test_only_continuous_codes_are_traversed(digits: tuple[Group, ...]) -> None:
    with pytest.raises(BadInput, match="'digit' is categorical"):
        traversal_figure(digits, "digit")
    with pytest.raises(BadInput, match="no code is named 'style_3'"):
        traversal_figure(digits, "style_3")


def test_samples_have_a_row_a_class(
    digits: tuple[Group, ...], asked: list[Latents], panels: list[str]
) -> None:
    assert sample_figure(digits) is not None
    infogan, labeled = asked
    assert labeled.c[:, 0].tolist() == [float(i) for i in range(10) for _ in range(8)]
    assert len(labeled.z.unique(dim=0)) == 80
    assert len(labeled.c[:, 1].unique()) == 80
    torch.testing.assert_close(infogan.z, labeled.z, rtol=0, atol=0)
    torch.testing.assert_close(infogan.c, labeled.c, rtol=0, atol=0)
    assert panels == [
        "0 (InfoGAN), seed 0",
        "20 labels, seed 0",
        f"{EMA}, asked for the digit of each row, by number of labels",
    ]


def test_several_binary_codes_make_rows_without_meaning(
    faces: tuple[Group, ...], asked: list[Latents], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = texts(monkeypatch, lambda: sample_figure(faces[1:]))
    title = f"{EMA}, asked for codes at random, by number of labels"
    assert " ".join(text for text in written if text) == f"20 labels, seed 0 {title}"
    ((c, z),) = asked
    assert len(z.unique(dim=0)) == 64
    assert len(c[:, :3].unique(dim=0)) == 8  # all combinations occur


def shades(image: Image.Image) -> set[int]:
    """Return the grays of an image."""
    pixels = np.asarray(image).reshape(-1, 3)
    return {int(r) for r, g, b in np.unique(pixels, axis=0) if r == g == b}


def flat(shade: int, count: int) -> Tensor:
    return torch.full((count, 1, 16, 16), shade, dtype=torch.uint8)


def test_real_images_stand_first_by_class(
    digits: tuple[Group, ...], panels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets: list[list[Tensor]] = []
    fill = Sheet.fill

    def record(self: Sheet, rows: list[Tensor], first: int = 0) -> None:
        sheets.append(rows)
        fill(self, rows, first)

    monkeypatch.setattr(Sheet, "fill", record)
    images = torch.cat([flat(201, 9), flat(202, 3)])
    labels = torch.tensor([[3.0]] * 9 + [[0.0]] * 2 + [[torch.nan]])
    assert sample_figure(digits, Real(images, labels)) is not None
    # Two of class 0, eight of the nine of class 3, none whose label is not known.
    real, *synthetic = ([row[:, 0, 0, 0].tolist() for row in rows] for rows in sheets[:3])
    assert real == [[202] * 2, [], [], [201] * 8, *[[]] * 6]
    assert [[len(row) for row in rows] for rows in synthetic] == [[8] * 10] * 2
    assert panels[0] == "real images"


def test_real_faces_are_the_first_ones(faces: tuple[Group, ...]) -> None:
    real = Real(torch.cat([flat(201, 64), flat(202, 1)]), torch.zeros(65, 3))
    image, bare = sample_figure(faces, real), sample_figure(faces)
    assert image is not None
    assert bare is not None
    marked = (np.asarray(image) == 201).all(axis=2).sum()
    assert marked >= 64 * 64**2
    assert (np.asarray(bare) == 201).all(axis=2).sum() < 64**2
    assert image.width > bare.width


def test_blocks_change_two_codes_only(faces: tuple[Group, ...], asked: list[Latents]) -> None:
    assert blocks_figure(faces[1]) is not None
    assert len(asked) == 2  # smiling against each of the two others
    for column, (c, z) in zip((1, 2), asked, strict=True):
        c, z = c.unflatten(0, (5, 4)), z.unflatten(0, (5, 4))
        assert c[0, :, 0].tolist() == [0, 0, 1, 1]
        assert c[0, :, column].tolist() == [0, 1, 0, 1]
        rest = [k for k in range(4) if k not in (0, column)]
        for block in range(5):
            assert len(c[block][:, rest].unique(dim=0)) == 1
            assert len(z[block].unique(dim=0)) == 1
    torch.testing.assert_close(asked[0].z, asked[1].z, rtol=0, atol=0)


def test_blocks_name_what_labels_named(
    faces: tuple[Group, ...], digits: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow = "\N{RIGHTWARDS ARROW}"
    written = texts(monkeypatch, lambda: blocks_figure(faces[1]))
    assert {
        "Smiling = yes",
        f"Male: no {arrow} yes",
        f"{EMA} as two attributes change: 20 labels, seed 0",
    } <= set(written)
    written = texts(monkeypatch, lambda: blocks_figure(faces[0]))
    assert {
        "c1 = 1",
        f"c3: 0 {arrow} 1",
        f"{EMA} as two attributes change: 0 (InfoGAN), seed 0",
    } <= set(written)
    assert blocks_figure(digits[1]) is None


def test_budgets_without_an_export_are_left_out(
    tmp_path: Path, digits: tuple[Group, ...], panels: list[str]
) -> None:
    (bare,) = read_groups(make_groups(tmp_path, (50,), (0,), 1))
    assert traversal_figure([digits[0], bare, digits[1]], "style_1") is not None
    assert panels[:2] == ["0 (InfoGAN), seed 0", "20 labels, seed 0"]
    for nothing in ((), (bare,)):
        assert traversal_figure(nothing, "style_1") is None
        assert sample_figure(nothing) is None
    assert blocks_figure(bare) is None


def test_an_export_may_be_in_an_object_store(digits: tuple[Group, ...]) -> None:
    first, *_ = digits[1].runs
    folder = Path(first.run.location)
    store = pafs.SubTreeFileSystem(str(folder.parent), pafs.LocalFileSystem())
    remote = replace(digits[1], runs=(replace(first, run=RunDir(folder.name, store)),))
    assert remote.runs[0].run.local_path is None
    assert traversal_figure([remote], "style_1") == traversal_figure([digits[1]], "style_1")


def test_equal_runs_make_equal_bytes(digits: tuple[Group, ...], faces: tuple[Group, ...]) -> None:
    for draw in (
        lambda: traversal_figure(digits, "style_1"),
        lambda: sample_figure(digits),
        lambda: blocks_figure(faces[1]),
    ):
        first, again = draw(), draw()
        assert first is not None
        assert again is not None
        assert png(first) == png(again)
