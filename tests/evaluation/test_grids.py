import torch
from torch import Tensor, nn

from ssgan.evaluation.grids import Album
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


def album(
    supervised: tuple[Code, ...], unsupervised: tuple[Code, ...] = (STYLE,), labeled: bool = True
) -> Album:
    space = LatentSpace(supervised=supervised, unsupervised=unsupervised, noise=3)
    labels = torch.stack(
        [
            torch.arange(8.0) % code.size if code.is_categorical else torch.linspace(-1, 1, 8)
            for code in supervised
        ]
        or [torch.zeros(8)],
        dim=1,
    )[:, : len(supervised)]
    return Album(space, REAL, labels, columns=4, labeled=labeled)


def test_the_pictures_are_named_by_code_and_copy() -> None:
    names = set(album((SMILE, HAT, ANGLE)).draw(Recorder(), "ema"))
    assert names == {
        "samples_ema",
        "traversal_an_gle_ema",
        "traversal_style_ema",
        "attributes_ema",
    }
    assert set(album((PET,), ()).draw(Recorder(), "raw")) == {"samples_raw"}


def test_class_rows_ask_for_one_class_a_row() -> None:
    generator = Recorder()
    album((PET,)).class_rows(generator, "ema")
    (inputs,) = generator.seen
    assert inputs[:, :3].argmax(dim=1).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert len(inputs[:, 4:].unique(dim=0)) == 12  # the noise differs


def test_a_traversal_changes_one_code_only() -> None:
    generator = Recorder()
    album((PET,)).traversal(generator, "ema", STYLE)
    (inputs,) = generator.seen
    inputs = inputs.unflatten(0, (3, 9))
    assert inputs[0, :, 3].tolist() == [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2]
    assert inputs[:, 0, :3].argmax(dim=1).tolist() == [0, 1, 2]
    assert len(inputs[:, :, 4:].flatten(0, 1).unique(dim=0)) == 1


def test_without_classes_each_row_of_a_traversal_has_its_own_noise() -> None:
    generator = Recorder()
    album((), (STYLE,)).traversal(generator, "ema", STYLE)
    (inputs,) = generator.seen
    assert len(inputs[:, 1:].unique(dim=0)) == 5


def test_attribute_blocks_change_two_codes_only() -> None:
    generator = Recorder()
    album((SMILE, PET, HAT)).attribute_blocks(generator, "ema")
    (inputs,) = generator.seen  # five blocks of smile and hat
    assert inputs[:4, 1].tolist() == [0, 0, 1, 1]  # smile = yes
    assert inputs[:4, 6].tolist() == [0, 1, 0, 1]  # hat = yes
    assert len(inputs[:4, 2:5].unique(dim=0)) == len(inputs[:4, 7:].unique(dim=0)) == 1
    assert len(inputs[:, 7:].unique(dim=0)) == 5


def test_real_images_show_the_class_or_the_nearest_value() -> None:
    book = album((PET, ANGLE))
    rows = book._rows()
    assert [row.label for row in rows[:4]] == [
        "pet = cat",
        "pet = dog",
        "pet = cow",
        "an/gle = -30",
    ]
    assert book._real(rows[1])[:, 0, 0, 0].tolist() == [1, 4]  # dogs
    assert book._real(rows[3])[:, 0, 0, 0].tolist() == [0, 1]  # the smallest angles
    assert album((PET,))._rows()[0].label == "cat"


def test_unlabeled_codes_are_counted_and_stand_alone() -> None:
    book = album((PET,), labeled=False)
    assert [row.label for row in book._rows()] == ["pet = 0", "pet = 1", "pet = 2"]
    assert len(book._real(book._rows()[0])) == 0


def test_latents_are_the_same_for_every_album() -> None:
    first, again = Recorder(), Recorder()
    album((PET,)).draw(first, "ema")
    album((PET,)).draw(again, "raw")
    assert all(torch.equal(a, b) for a, b in zip(first.seen, again.seen, strict=True))
