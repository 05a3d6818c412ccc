import math

import pytest
import torch

from ssgan.evaluation.metrics import (
    accuracy,
    agreements,
    confusion,
    diversity,
    frechet_distance,
    precision_recall_density_coverage,
    zero_one_loss,
)
from ssgan.method.codes import Code

PET = Code(name="pet", kind="categorical", classes=("cat", "dog", "cow"))
SIZE = Code(name="size", kind="categorical", classes=("small", "large"))
ANGLE = Code(name="angle", kind="continuous", low=-30, high=30)
NAN = math.nan


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_zero_one_loss_by_class_and_mean() -> None:
    asked, seen = column(0, 0, 0, 0, 1, 1), column(0, 0, 0, 1, 1, 2)
    found = zero_one_loss(asked, seen, (PET,))
    assert found.classes == {"pet": {"cat": 0.25, "dog": 0.5}}
    assert found.mean == 0.375  # of the two classes that were asked for
    assert found.assignment == {"pet": [0, 1, 2]}


def test_zero_one_loss_averages_codes_and_passes_over_continuous_ones() -> None:
    asked = torch.tensor([[0.0, 0.3, 0], [1, 0.3, 1]])
    seen = torch.tensor([[0.0, -0.9, 1], [2, -0.9, 1]])
    found = zero_one_loss(asked, seen, (PET, ANGLE, SIZE))
    assert found.codes == {"pet": 0.5, "size": 0.5}
    assert found.mean == 0.5
    assert zero_one_loss(asked[:, 1:2], seen[:, 1:2], (ANGLE,)).mean is None


def test_hungarian_matching_finds_the_permutation() -> None:
    asked, seen = column(0, 0, 1, 1, 2, 2), column(2, 2, 0, 0, 1, 2)
    assert zero_one_loss(asked, seen, (PET,)).mean == pytest.approx(5 / 6)
    found = zero_one_loss(asked, seen, (PET,), "hungarian")
    assert found.assignment == {"pet": [2, 0, 1]}
    assert found.classes["pet"] == {"cat": 0.0, "dog": 0.0, "cow": 0.5}


def test_hungarian_matching_beats_greed() -> None:
    # Greedy: class 0 takes its largest cell, column 0 (5 right), and leaves 1 with 0: 5 in all.
    asked = column(*[0.0] * 9 + [1.0] * 4)
    seen = column(*[0.0] * 5 + [1.0] * 4 + [0.0] * 4)
    assert zero_one_loss(asked, seen, (SIZE,), "hungarian").assignment == {"size": [1, 0]}


def test_confusion_counts_pairs_and_leaves_unknown_out() -> None:
    counts = confusion(torch.tensor([0, 0, 1, NAN]), torch.tensor([1.0, 1, 0, 1]), 2)
    assert counts.tolist() == [[0, 2], [1, 0]]


def test_accuracy_is_over_known_labels() -> None:
    labels = torch.tensor([[0.0, NAN], [1, NAN], [NAN, NAN], [2, NAN]])
    read = torch.tensor([[0.0, 1], [1, 1], [1, 1], [0, 1]])
    assert accuracy(labels, read, (PET, SIZE)) == {"pet": pytest.approx(2 / 3)}


def test_agreement_speaks_the_users_units() -> None:
    wanted = column(-1.0, 0, 1, NAN)
    found = agreements(wanted, wanted * 0.5, (ANGLE,))["angle"]
    assert found.correlation == pytest.approx(1)
    assert found.rmse == pytest.approx(math.sqrt((15**2 + 15**2) / 3))
    assert agreements(wanted, -wanted, (ANGLE,))["angle"].correlation == pytest.approx(-1)
    assert agreements(wanted, torch.zeros(4, 1), (ANGLE,))["angle"].correlation is None
    assert agreements(wanted[2:], wanted[2:], (ANGLE,)) == {}
    assert agreements(wanted, wanted, (PET,)) == {}


def test_frechet_distance_of_two_squares() -> None:
    # Covariance 4/3 I and 16/3 I, means (0, 0) and (3, 4): 25 + 2 (2 - 1)^2 * 4/3.
    square = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    far = 2 * square + torch.tensor([3.0, 4])
    assert frechet_distance(square, far) == pytest.approx(25 + 8 / 3)
    assert frechet_distance(square, square) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_survives_singular_covariances() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(10, 64, generator=generator)
    value = frechet_distance(a, torch.zeros(5, 64))
    expected = a.double().mean(dim=0).square().sum() + torch.cov(a.double().T).trace()
    assert value == pytest.approx(expected.item())


def test_precision_recall_density_coverage_on_a_line() -> None:
    # k = 1. Balls of real: 0±1, 1±1, 2±1, 10±8. Balls of fake: 0.5±0.1, 0.6±0.1, 30±29.4.
    real, fake = column(0, 1, 2, 10), column(0.5, 0.6, 30)
    found = precision_recall_density_coverage(real, fake, k=1)
    assert found.precision == pytest.approx(2 / 3)  # 30 lies in no ball
    assert found.recall == pytest.approx(3 / 4)  # 1, 2 and 10 lie in the ball of 30
    assert found.density == pytest.approx(4 / 3)  # 0.5 and 0.6 lie in the balls of 0 and 1
    assert found.coverage == pytest.approx(2 / 4)


def test_equal_sets_overlap_wholly() -> None:
    x = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    found = precision_recall_density_coverage(x, x, k=3)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    with pytest.raises(ValueError, match="20"):
        precision_recall_density_coverage(x, x, k=20)


def images(*levels: int) -> torch.Tensor:
    return torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 4, 4)


def test_diversity_is_the_ratio_of_mean_distances() -> None:
    real, labels = images(0, 40, 0, 100), column(0, 0, 1, 1)
    samples, asked = images(10, 30, 50, 50), column(0, 0, 1, 1)
    ratio, classes = diversity(samples, asked, real, labels, (SIZE,))
    assert classes == {"size": {"small": 0.5, "large": 0.0}}
    assert ratio == 0.25


def test_diversity_without_classes_or_without_pairs() -> None:
    samples, real = images(0, 10), images(0, 40)
    empty = torch.zeros(2, 0)
    assert diversity(samples, empty, real, empty, ())[1] == {"all": {"all": 0.25}}
    labels = column(NAN, 0)
    assert diversity(samples, column(0, 0), real, labels, (SIZE,))[0] is None


def test_a_checkerboard_does_not_pass_for_diversity() -> None:
    board = torch.tensor([[0, 200], [200, 0]], dtype=torch.uint8).repeat(2, 2)[None, None]
    samples = torch.cat([board, 200 - board])
    labels = column(0, 0)
    assert diversity(samples, labels, images(0, 100), labels, (SIZE,))[0] == 0
