"""Grids of samples: what Python gives stands for what the command line writes."""

from typing import Any

import numpy as np
import pytest
import torch

from ssgan.base.errors import BadInput
from ssgan.export import NamedGenerator
from ssgan.export.grid import make_grid
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.exports import save_untrained

SPACE = LatentSpace(
    supervised=(
        Code(name="pet", kind="categorical", classes=("cat", "all", "dog, wet")),
        Code(name="angle", kind="continuous", low=-30, high=60),
    ),
    unsupervised=(Code(name="n", kind="continuous"),),
    noise=4,
)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> NamedGenerator:
    """An untrained generator whose weights are large enough for codes to show."""
    folder = tmp_path_factory.mktemp("export")
    save_untrained(folder, DcganConfig(width=4, hidden=16, q_hidden=8), SPACE, (1, 8, 8))
    loaded = NamedGenerator.load(folder)
    with torch.no_grad():
        for parameter in loaded._generator.parameters():
            parameter.mul_(15)
    return loaded


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([-30, 15.0, 60], "-30, 15, 60"),
        (np.linspace(-30, 60, 3), "-30,15,60"),
        (torch.tensor([-30.0, 15.0, 60.0]), "-30,15,60"),
        (range(0, 9, 4), "0,4,8"),
        (np.linspace(-30, 60, 9), "-30..60"),
    ],
)
def test_a_sequence_is_a_list(generator: NamedGenerator, value: Any, text: str) -> None:
    given, written = (make_grid(generator, {"angle": one}, 2, 1) for one in (value, text))
    assert np.array_equal(given.images, written.images)
    assert len(given.rows) == len(value)
    assert given.columns == 2
    again = generator.sample(codes={"angle": float(value[1])}, n=2, seed=1)
    assert np.array_equal(given.images[2:4], again)


def test_a_class_whose_name_reads_as_a_list_is_a_class(generator: NamedGenerator) -> None:
    grid = make_grid(generator, {"pet": "dog, wet"}, 2)
    assert grid.title.endswith("draws, asked for pet = dog, wet")
    assert np.array_equal(grid.images, generator.sample(pet="dog, wet", n=2))
    assert len(make_grid(generator, {"pet": "all"}).images) == 16
    rows = make_grid(generator, {"pet": ["cat", "dog, wet"]}).rows
    assert rows == ["asked for: pet = cat", "asked for: pet = dog, wet"]


def test_two_codes_make_rows_and_columns(generator: NamedGenerator) -> None:
    grid = make_grid(generator, {"n": [-1, 0, 1], "angle": "0..60"}, seed=2)
    assert (len(grid.rows), grid.columns, len(grid.images)) == (3, 9, 27)
    assert grid.headers[:2] == ["0", "7.5"]
    assert np.array_equal(
        grid.images[10], generator.sample(codes={"n": 0, "angle": 7.5}, seed=2)[0]
    )
    picture = generator.grid(codes={"n": [-1, 0, 1], "angle": "0..60"}, seed=2)
    assert picture.tobytes() == grid.draw().tobytes()
    turned = generator.grid(codes={"n": [-1, 0, 1]}, angle="0..60", seed=2)  # keywords come first
    assert turned.height > picture.height


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 0}, "n must be a whole number of 1 or more, not 0"),
        ({"n": 1.5}, "n must be a whole number"),
        ({"n": 10_001}, "more than 10,000 images in one picture"),
        ({"angle": []}, "a sequence of values is empty"),
        ({"angle": "0..x"}, "is not a range"),
        ({"angle": [0, 500]}, "was trained from -30 to 60"),
        ({"pat": [0, 1]}, "did you mean 'pet'"),
        ({"pet": [0, 1], "codes": {"pet": 1}}, "given twice"),
        ({"pet": [0, 1], "angle": [0, 1], "codes": {"n": [0, 1]}}, "rows and columns only"),
        ({"pet": [0, 1], "angle": [0, 1], "n": 3}, "angle makes the columns"),
    ],
)
def test_bad_requests_say_what_would_be_right(
    generator: NamedGenerator, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        generator.grid(**given)
