"""Confidences of Q_ss, calibrated: what is fitted, what it is worth, what stays as it is."""

import math

import pytest
import torch
from torch import Tensor

from ssgan.evaluation.calibration import (
    LEAST_LABELS,
    calibrate,
    calibration_error,
    rescale,
)
from ssgan.method.codes import Code
from ssgan.method.objective import read_codes
from tests.helpers.networks import draw

SHAPE = Code(name="shape", kind="categorical", classes=("a", "b", "c"))
ANGLE = Code(name="angle", kind="continuous", low=0, high=90)


def overconfident(count: int, temperature: float) -> tuple[Tensor, Tensor]:
    """Draw logits, and labels that are as likely as these say at a temperature."""
    logits = 3 * torch.randn(count, 3, generator=draw(1))
    labels = (logits / temperature).softmax(dim=1).multinomial(1, generator=draw(2))
    return logits, labels.float()


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_the_temperature_that_labels_were_drawn_at_is_found(temperature: float) -> None:
    logits, labels = overconfident(20_000, temperature)
    (found,) = calibrate([SHAPE], "mse", logits, labels, [True])
    assert found.scale == pytest.approx(temperature, rel=0.05)
    assert (found.fitted, found.measured, found.reason) == (10_000, 10_000, "")
    assert found.before is not None
    assert found.after is not None
    assert found.after.ece < 0.02 < found.before.ece
    right = logits[1::2].argmax(dim=1) == labels[1::2, 0]
    assert found.right == pytest.approx(right.double().mean().item())
    assert found.after.nll < found.before.nll


def test_half_of_the_labels_fit_and_the_other_half_measures() -> None:
    logits, labels = overconfident(400, 2.0)
    (found,) = calibrate([SHAPE], "mse", logits, labels, [True])
    changed = labels.clone()
    changed[1::2] = (changed[1::2] + 1) % 3  # of those that measure
    (other,) = calibrate([SHAPE], "mse", logits, changed, [True])
    assert other.scale == found.scale
    assert found.after is not None
    assert other.after is not None
    assert other.after.nll > found.after.nll + 0.5
    unknown = torch.full((300, 1), math.nan)
    padded = torch.cat([unknown, labels]), torch.cat([torch.zeros(300, 3), logits])
    assert calibrate([SHAPE], "mse", padded[1], padded[0], [True]) == [found]


def test_a_few_labels_that_are_all_read_right_make_nothing_certain() -> None:
    labels = torch.arange(LEAST_LABELS)[:, None].float() % 3
    logits = 30 * torch.nn.functional.one_hot(labels[:, 0].long(), 3).float()
    (found,) = calibrate([SHAPE], "mse", logits, labels, [True])
    scaled = rescale([SHAPE], "mse", logits, [found.scale])
    confidence = read_codes([SHAPE], "mse", scaled).confidence
    fitted = LEAST_LABELS // 2
    assert confidence == pytest.approx(torch.full_like(confidence, (fitted + 1) / (fitted + 2)))


def test_a_reading_worse_than_chance_becomes_one_of_no_confidence() -> None:
    labels = torch.zeros(100, 1)
    logits = torch.tensor([0.0, 5.0, 0.0]).expand(100, 3)
    (found,) = calibrate([SHAPE], "mse", logits, labels, [True])
    read = read_codes([SHAPE], "mse", rescale([SHAPE], "mse", logits, [found.scale]))
    assert read.confidence.max() < 0.36
    assert read.value.unique().tolist() == [1]  # what is read stays


def test_the_deviation_of_a_gaussian_is_scaled() -> None:
    mean = torch.rand(4000, generator=draw(3)) * 2 - 1
    y = (mean + 0.3 * torch.randn(4000, generator=draw(4)))[:, None]
    q = torch.stack([mean, torch.full_like(mean, 2 * math.log(0.1))], dim=1)  # it says 0.1
    (found,) = calibrate([ANGLE], "gaussian", q, y, [True])
    assert found.scale == pytest.approx(3, rel=0.05)
    assert found.after is not None
    assert found.before is not None
    assert found.after.ece < 0.03 < found.before.ece
    assert found.right == pytest.approx(math.erf(1 / 3 / math.sqrt(2)), abs=0.03)
    scaled = rescale([ANGLE], "gaussian", q, [found.scale])
    assert torch.equal(scaled[:, 0], q[:, 0])
    assert (scaled[:, 1] / 2).exp() == pytest.approx(torch.full((4000,), 0.3), rel=0.05)


@pytest.mark.parametrize(
    ("code", "taught", "count", "reason"),
    [
        (ANGLE, True, 100, "says nothing of how sure a value is"),
        (SHAPE, False, 100, "no label was used to train it"),
        (SHAPE, True, LEAST_LABELS - 1, "19 held-out labels, of 20 that are needed"),
        (SHAPE, True, 0, "0 held-out labels"),
    ],
)
def test_what_cannot_be_calibrated_stays_as_it_is(
    code: Code, taught: bool, count: int, reason: str
) -> None:
    q, y = torch.zeros(count, code.size), torch.zeros(count, 1)
    (found,) = calibrate([code], "mse", q, y, [taught])
    assert (found.scale, found.fitted, found.after) == (1.0, 0, None)
    assert reason in found.reason
    assert torch.equal(rescale([code], "mse", q, [found.scale]), q)


def test_codes_have_scales_of_their_own() -> None:
    q = torch.arange(10.0).reshape(2, 5)
    scaled = rescale([SHAPE, ANGLE], "gaussian", q, [2.0, math.e])
    expected = [[0, 0.5, 1, 3, 6], [2.5, 3, 3.5, 8, 11]]
    assert scaled == pytest.approx(torch.tensor(expected))
    assert rescale([], "mse", torch.zeros(3, 0), []).shape == (3, 0)


def test_the_calibration_error_is_the_gap_of_each_bin_weighed_by_its_images() -> None:
    confidence = torch.tensor([0.95, 0.95, 0.55, 0.55])
    right = torch.tensor([True, False, True, False])
    assert calibration_error(confidence, right) == pytest.approx((0.9 + 0.1) / 4)
    assert calibration_error(torch.ones(2), torch.tensor([True, True])) == 0


def test_images_of_no_class_are_calibrated_with_the_classes() -> None:
    logits = 3 * torch.randn(20_000, 4, generator=draw(1))
    labels = (logits / 2).softmax(dim=1).multinomial(1, generator=draw(2)).float()
    assert (labels == SHAPE.none).any()
    (found,) = calibrate([SHAPE], "mse", logits, labels, [True])
    assert found.scale == pytest.approx(2, rel=0.05)
    assert found.after is not None
    assert found.after.ece < 0.02
    right = logits[1::2].argmax(dim=1) == labels[1::2, 0]
    assert found.right == pytest.approx(right.double().mean().item())
