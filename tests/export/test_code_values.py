"""What users may say to a code, and what it turns into."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssgan.base.errors import BadInput
from ssgan.export.code_values import CodeInfo, conditional_prior, count, describe, to_column
from ssgan.method.codes import Code, Joint, LatentSpace

DIGIT = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
SMILING = Code(name="Smiling", kind="categorical", classes=("no", "yes"))
PET = Code(name="strange pet", kind="categorical", classes=("cat", "dog", "axolotl"))
YEAR = Code(name="year", kind="categorical", classes=("2", "1", "3"))
ANGLE = Code(name="angle", kind="continuous", low=-45, high=45)


@pytest.mark.parametrize(
    ("code", "value", "index"),
    [
        (DIGIT, 7, 7),
        (DIGIT, "7", 7),
        (DIGIT, 7.0, 7),
        (DIGIT, np.int64(7), 7),
        (DIGIT, torch.tensor(7), 7),
        (SMILING, True, 1),
        (SMILING, np.False_, 0),
        (SMILING, "yes", 1),
        (SMILING, 1, 1),
        (PET, "axolotl", 2),
        (PET, 2, 2),
        (PET, "2", 2),
        (YEAR, 2, 0),  # names that are numbers win over indices
        (YEAR, "1", 1),
    ],
)
def test_classes_go_by_name_or_index(code: Code, value: object, index: int) -> None:
    assert to_column(code, value, 3).tolist() == [index] * 3


@given(low=st.floats(-1e3, 1e3), width=st.floats(1e-2, 1e3), share=st.floats(-0.5, 1.5, width=32))
def test_units_map_to_the_range_and_to_twice_of_it(low: float, width: float, share: float) -> None:
    code = Code(name="x", kind="continuous", low=low, high=low + width)
    unit = to_column(code, low + share * width, 1)
    assert unit.item() == pytest.approx(2 * share - 1, abs=1e-3)
    assert abs(unit.item()) <= 2 + 1e-5


@pytest.mark.parametrize(
    ("code", "value", "message"),
    [
        (SMILING, "yess", "no class 'yess'; did you mean 'yes'"),
        (PET, "dig", "'strange pet' has no class 'dig'; did you mean 'dog'"),
        (PET, 3, "class indices 0 to 2, not 3"),
        (PET, -1, "class indices 0 to 2, not -1"),
        (PET, 1.5, "no class 1.5"),
        (DIGIT, 10, "no class 10"),
        (DIGIT, True, "has 10 classes"),
        (YEAR, 0, "no class 0"),
        (ANGLE, 91, "trained from -45 to 45 and goes from -90 to 90 here, not 91"),
        (ANGLE, -90.1, "not -90.1"),
        (ANGLE, "steep", "takes a number, not 'steep'"),
        (ANGLE, [0, "up"], "not 'up'"),
        (ANGLE, math.nan, "not nan"),
        (ANGLE, math.inf, "not inf"),
    ],
)
def test_what_cannot_be_meant_is_refused(code: Code, value: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        to_column(code, value, 2)


def test_sequences_may_leave_cells_to_the_prior() -> None:
    column = to_column(ANGLE, [45, None, -45], 3)
    assert column[[0, 2]].tolist() == [1, -1]
    assert column[1].isnan()


@pytest.mark.parametrize(
    ("n", "values", "found"),
    [
        (None, {}, 1),
        (5, {"a": 1}, 5),
        (np.int64(5), {}, 5),
        (None, {"a": "text", "b": range(4)}, 4),
        (3, {"a": np.zeros(3), "b": np.float32(1), "c": torch.tensor(1)}, 3),
    ],
)
def test_the_number_of_images(n: int | None, values: dict[str, object], found: int) -> None:
    assert count(n, values) == found


@pytest.mark.parametrize(
    ("n", "values", "message"),
    [
        (0, {}, "whole number of 1 or more, not 0"),
        (True, {}, "not True"),
        (1.5, {}, "not 1.5"),
        (3, {"a": [1, 2]}, "'a' has 2 values where 3 are needed"),
        (None, {"a": [1, 2], "b": [1, 2, 3]}, "'b' has 3 values where 2 are needed"),
        (None, {"a": []}, "empty"),
    ],
)
def test_numbers_that_do_not_fit(n: int | None, values: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        count(n, values)


def test_codes_are_described() -> None:
    space = LatentSpace(
        supervised=(SMILING, ANGLE),
        unsupervised=(Code(name="style", kind="continuous"),),
        noise=2,
    )
    assert describe(space) == (
        CodeInfo("Smiling", "categorical", True, 2, ("no", "yes"), None, None),
        CodeInfo("angle", "continuous", True, 1, (), -45, 45),
        CodeInfo("style", "continuous", False, 1, (), -1, 1),
    )


BALD = Code(name="Bald", kind="categorical", classes=("no", "yes"))
FACES = LatentSpace(
    supervised=(SMILING, BALD),
    unsupervised=(Code(name="style", kind="continuous"),),
    noise=3,
    joint=Joint(rows=((0, 0), (1, 0), (1, 1)), weights=(0.5, 0.25, 0.25)),
)


@pytest.mark.parametrize(
    ("row", "possible"),
    [
        ([math.nan, math.nan], {(0, 0), (1, 0), (1, 1)}),
        ([0, math.nan], {(0, 0)}),
        ([1, math.nan], {(1, 0), (1, 1)}),
        ([math.nan, 1], {(1, 1)}),
        ([0, 1], {(0, 0), (1, 0), (1, 1)}),  # never seen: as before
    ],
)
def test_an_empirical_prior_is_conditioned_on_the_classes_given(
    row: list[float], possible: set[tuple[int, int]]
) -> None:
    space = conditional_prior(FACES, torch.tensor([*row, math.nan]))
    drawn = space.sample(200, torch.Generator().manual_seed(0)).c[:, :2]
    assert {tuple(one) for one in drawn.int().tolist()} == possible


def test_a_uniform_prior_stays() -> None:
    space = FACES.model_copy(update={"joint": None})
    assert conditional_prior(space, torch.tensor([1.0, math.nan, math.nan])) is space
