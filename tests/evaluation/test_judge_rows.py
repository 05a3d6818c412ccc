import math

import torch

from ssgan.evaluation.judge import judge_rows
from ssgan.method.codes import Code

SIDE = Code(name="side", kind="categorical", classes=("left", "right"))
LEVEL = Code(name="level", kind="continuous", low=0, high=100)


def test_halves_are_disjoint_and_hold_every_class() -> None:
    labels = torch.tensor([0.0] * 7 + [1.0] * 4 + [math.nan] * 3)[:, None]  # sorted by class
    whole, first, second = (
        judge_rows((SIDE,), labels, rows) for rows in ("whole", "first half", "second half")
    )
    assert torch.equal(torch.cat([first, second]).sort().values, whole)
    assert abs(len(first) - len(second)) <= 2
    for half in (first, second):
        assert {0.0, 1.0} <= set(labels[half, 0].tolist())
        assert torch.equal(half, half.sort().values)
    assert first.tolist() == [0, 1, 2, 7, 8, 11, 12]


def test_halves_go_by_combination_of_classes_and_without_classes_by_position() -> None:
    pairs = torch.tensor([[0.0, 0], [0, 0], [0, 1], [0, 1], [1, 0], [1, 0], [1, 1], [1, 1]])
    other = Code(name="other", kind="categorical", classes=("no", "yes"))
    assert judge_rows((SIDE, other), pairs, "first half").tolist() == [0, 2, 4, 6]
    assert judge_rows((LEVEL,), torch.zeros(6, 1), "first half").tolist() == [0, 1, 2]
    assert judge_rows((SIDE,), torch.zeros(0, 1), "second half").tolist() == []
