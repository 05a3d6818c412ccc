"""Rows ask for one value of one code each, and find real images of it."""

import torch

from ssgan.drawing.rows import numbered, rows_of
from ssgan.method.codes import Code

PET = Code(name="pet", kind="categorical", classes=("cat", "dog", "cow"))
ANGLE = Code(name="angle", kind="continuous", low=-30, high=30)
LABELS = torch.stack([torch.arange(8.0) % 3, torch.linspace(-1, 1, 8)], dim=1)


def test_a_class_is_a_row_and_a_value_makes_five() -> None:
    rows = rows_of((PET, ANGLE))
    assert [row.label for row in rows[:4]] == ["pet = cat", "pet = dog", "pet = cow", "angle = -30"]
    assert [(row.column, row.value) for row in rows[2:5]] == [(0, 2), (1, -1), (1, -0.5)]
    assert len(rows) == 8


def test_images_show_the_class_or_the_nearest_value() -> None:
    _, dogs, _, smallest, *_ = rows_of((PET, ANGLE))
    assert dogs.pick(LABELS, 2).tolist() == [1, 4]
    assert smallest.pick(LABELS, 2).tolist() == [0, 1]


def test_images_without_a_label_show_nothing() -> None:
    unknown = torch.full((4, 2), torch.nan)
    unknown[3, 1] = 1
    rows = rows_of((PET, ANGLE))
    assert [row.pick(unknown, 2).tolist() for row in (rows[0], rows[3])] == [[], [3]]


def test_classes_of_an_unlabeled_code_are_numbers() -> None:
    assert [row.label for row in rows_of([numbered(PET, "c1")])] == ["c1 = 0", "c1 = 1", "c1 = 2"]
    assert numbered(ANGLE).name == "angle"
