import pytest
import torch
from torch import Tensor, nn

from ssgan.drawing.sheet import Cells, Sheet
from ssgan.evaluation.grids import EvaluationGrids, Real, row_label
from ssgan.method.codes import Code, LatentSpace

PET = Code(name="pet", kind="categorical", classes=("cat", "dog", "cow"))
SMILE = Code(name="smile", kind="categorical", classes=("no", "yes"))
HAT = Code(name="hat", kind="categorical", classes=("no", "yes"))
ANGLE = Code(name="an/gle", kind="continuous", low=-30, high=30)
STYLE = Code(name="style", kind="continuous")
REAL = torch.arange(8, dtype=torch.uint8)[:, None, None, None].expand(8, 1, 8, 8)


class Recorder(nn.Module):
    """A generator of black images that keeps its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))
        self.seen: list[Tensor] = []

    def forward(self, v: Tensor) -> Tensor:
        self.seen.append(v)
        return torch.zeros(len(v), 1, 8, 8) + self.anchor


def grids(
    supervised: tuple[Code, ...], unsupervised: tuple[Code, ...] = (STYLE,), labeled: bool = True
) -> EvaluationGrids:
    space = LatentSpace(supervised=supervised, unsupervised=unsupervised, noise=3)
    labels = torch.stack(
        [
            torch.arange(8.0) % code.size if code.is_categorical else torch.linspace(-1, 1, 8)
            for code in supervised
        ]
        or [torch.zeros(8)],
        dim=1,
    )[:, : len(supervised)]
    return EvaluationGrids(space, Real(REAL, labels), columns=4, labeled=labeled)


def test_the_pictures_are_named_by_code_and_copy() -> None:
    names = set(grids((SMILE, HAT, ANGLE)).draw(Recorder(), "ema"))
    assert names == {
        "samples_ema",
        "traversal_an_gle_ema",
        "traversal_style_ema",
        "attributes_ema",
    }
    assert set(grids((PET,), ()).draw(Recorder(), "raw")) == {"samples_raw"}


def test_class_rows_ask_for_one_class_a_row() -> None:
    generator = Recorder()
    grids((PET,)).samples(generator, "ema")
    (inputs,) = generator.seen
    assert inputs[:, :3].argmax(dim=1).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert len(inputs[:, 4:].unique(dim=0)) == 12  # the noise differs


def test_a_traversal_changes_one_code_only() -> None:
    generator = Recorder()
    grids((PET,))._grids(generator).traversal(STYLE, "t", str)
    (inputs,) = generator.seen
    inputs = inputs.unflatten(0, (3, 9))
    assert inputs[0, :, 3].tolist() == [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2]
    assert inputs[:, 0, :3].argmax(dim=1).tolist() == [0, 1, 2]
    assert len(inputs[:, :, 4:].flatten(0, 1).unique(dim=0)) == 1


def test_without_classes_each_row_of_a_traversal_has_its_own_noise() -> None:
    generator = Recorder()
    grids((), (STYLE,))._grids(generator).traversal(STYLE, "t", str)
    (inputs,) = generator.seen
    assert len(inputs[:, 1:].unique(dim=0)) == 5


def test_attribute_blocks_change_two_codes_only() -> None:
    generator = Recorder()
    grids((SMILE, PET, HAT))._grids(generator).attributes("t")
    (inputs,) = generator.seen  # five blocks of smile and hat
    assert inputs[:4, 1].tolist() == [0, 0, 1, 1]  # smile = yes
    assert inputs[:4, 6].tolist() == [0, 1, 0, 1]  # hat = yes
    assert len(inputs[:4, 2:5].unique(dim=0)) == len(inputs[:4, 7:].unique(dim=0)) == 1
    assert len(inputs[:, 7:].unique(dim=0)) == 5


def test_rows_name_a_single_labeled_code_by_its_class_alone() -> None:
    def labels(drawn: EvaluationGrids) -> list[str]:
        rows = drawn._grids(Recorder()).rows
        return [row_label(row, drawn.space, labeled=drawn.labeled) for row in rows]

    assert labels(grids((PET,))) == ["cat", "dog", "cow"]
    assert labels(grids((PET, ANGLE)))[2:4] == ["pet = cow", "an/gle = -30"]
    assert labels(grids((PET,), labeled=False)) == ["pet = 0", "pet = 1", "pet = 2"]


def test_a_grid_of_samples_says_in_plain_words_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    monkeypatch.setattr(Sheet, "_write", lambda _, x, y, text, *rest, **named: written.append(text))
    grids((PET,)).samples(Recorder(), "ema")
    title = "What the generator (EMA) draws, asked for each pet; real images left"
    assert title in " ".join(written)  # in two lines, as the sheet is narrow
    assert {"asked for: cat", "real", "synthetic"} <= set(written)
    written.clear()
    grids((PET,), labeled=False).samples(Recorder(), "raw")
    assert "asked for: pet = 0" in written
    assert "without labels" in " ".join(written)
    assert "real" not in written


def test_a_grid_of_samples_tells_real_and_synthetic_cells() -> None:
    cells = Cells.read(grids((PET,)).samples(Recorder(), "ema"))
    assert cells is not None
    assert (cells.groups, len(cells.y)) == ([["real", 2], ["synthetic", 4]], 3)


def test_latents_are_the_same_for_every_grids() -> None:
    first, again = Recorder(), Recorder()
    grids((PET,)).draw(first, "ema")
    grids((PET,)).draw(again, "raw")
    assert all(torch.equal(a, b) for a, b in zip(first.seen, again.seen, strict=True))
