"""Calibrated confidences of Q_ss: how sure it is, compared with how often it is right.

One number a code, fitted to held-out labels: a temperature that divides the logits of a
categorical code (Guo et al., 2017, arXiv:1706.04599), a factor of the standard deviation of a
continuous one under the posterior "gaussian". No value that is read changes by it. Half of the
labels fit the number, the other half says what it is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ssgan.method.codes import Code, Posterior
from ssgan.method.objective import NEAR, q_losses, read_codes, split_q

LEAST_LABELS = 20
"""Held-out labels of a code below which its confidences stay as they are."""
BINS = 15
"""Of the expected calibration error, as many as in the literature."""
_HOTTEST = 100.0
_HALVINGS = 60


class Reliability(NamedTuple):
    """How far the confidences of a code can be relied on."""

    nll: float
    """Mean negative log-likelihood of the labels, in nats."""
    ece: float
    """Expected calibration error in [0, 1]: mean difference between confidence and share right."""


@dataclass(frozen=True)
class CodeCalibration:
    """What held-out labels say of the confidences of one code."""

    name: str
    scale: float = 1.0
    """The temperature, or the factor of the standard deviation; 1 changes nothing."""
    fitted: int = 0
    """Labels that it was fitted to."""
    measured: int = 0
    """Others, by which `before` and `after` were measured."""
    right: float | None = None
    """Share of these that were read right: the class, or a number within `NEAR`."""
    before: Reliability | None = None
    after: Reliability | None = None
    reason: str = ""
    """Why confidences are as they are; empty where they were calibrated."""


def calibrate(
    codes: Sequence[Code], posterior: Posterior, q: Tensor, y: Tensor, taught: Sequence[bool]
) -> list[CodeCalibration]:
    """Fit the scale of each code to held-out labels.

    Args:
        codes: The supervised codes, K.
        posterior: Q's model of continuous ones.
        q: Q_ss of N held-out images in random order, float32 (N, width), N may be 0.
        y: Their labels, float32 (N, K), NaN where unknown; `Code.none` where Q can say so.
        taught: Whether any label was used to train each code.
    """
    found = []
    for k, (code, part) in enumerate(split_q(codes, posterior, q)):
        known = ~y[:, k].isnan()
        count = int(known.sum())
        reason = ""
        if not code.is_categorical and posterior == "mse":
            reason = 'codes.posterior "mse" says nothing of how sure a value is'
        elif not taught[k]:
            reason = "no label was used to train it, so what its values mean is not known"
        elif count < LEAST_LABELS:
            reason = f"{count} held-out labels, of {LEAST_LABELS} that are needed"
        if reason:
            found.append(CodeCalibration(code.name, reason=reason))
            continue
        part, labels = part[known], y[known, k : k + 1]
        ours, others = (part[::2], labels[::2, 0]), (part[1::2], labels[1::2])
        scale = _temperature(*ours) if code.is_categorical else _deviation(*ours)
        scaled = rescale([code], posterior, others[0], [scale])
        value = read_codes([code], posterior, scaled, none=True).value
        off = (value - others[1])[:, 0].abs()
        right = off == 0 if code.is_categorical else off <= NEAR
        before, after = (
            _reliability(code, posterior, q, others[1], right) for q in (others[0], scaled)
        )
        sizes, share = (len(ours[1]), len(others[1])), float(right.double().mean())
        found.append(CodeCalibration(code.name, scale, *sizes, share, before, after))
    return found


def rescale(
    codes: Sequence[Code], posterior: Posterior, q: Tensor, scales: Sequence[float]
) -> Tensor:
    """Apply the scale of each code to Q's output, float32 (B, width)."""
    parts = []
    for (code, part), scale in zip(split_q(codes, posterior, q), scales, strict=True):
        if code.is_categorical:
            parts.append(part / scale)
        elif posterior == "mse":
            parts.append(part)
        else:
            factor = torch.tensor(scale, dtype=torch.float64)
            parts.append(part + torch.stack([factor * 0, 2 * factor.log()]).to(part))
    return torch.cat(parts, dim=1) if parts else q


def _temperature(logits: Tensor, labels: Tensor) -> float:
    """Minimize the negative log-likelihood of labels (N,) over the temperature.

    The labels count as if one more of them had said otherwise (the rule of succession), so that
    a few that are all read right do not make Q certain. The loss is convex in 1 / temperature, and
    its derivative's zero is found by halving an interval.
    """
    z, classes = logits.double(), logits.shape[1]
    wrong = 1 / (len(labels) + 2)
    target = one_hot(labels.long(), classes).double()
    target = target * (1 - wrong) + (1 - target) * wrong / (classes - 1)
    low, high = torch.tensor([1 / _HOTTEST, _HOTTEST], dtype=torch.float64).log()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        slope = (((z * middle.exp()).softmax(dim=1) - target) * z).sum()
        low, high = (middle, high) if slope < 0 else (low, middle)
    return float((-(low + high) / 2).exp())


def _deviation(part: Tensor, labels: Tensor) -> float:
    """Return the factor of the deviation that is most likely, after one more label that fits."""
    mean, log_variance = part.double().unbind(dim=1)
    squares = (labels - mean).square() * torch.exp(-log_variance)
    return float(((squares.sum() + 1) / (len(labels) + 1)).sqrt())


def _reliability(
    code: Code, posterior: Posterior, q: Tensor, labels: Tensor, right: Tensor
) -> Reliability:
    """Compare confidences with what was right, bool (N,); labels are float32 (N, 1)."""
    nll = q_losses([code], posterior, q, labels).double().mean()
    confidence = read_codes([code], posterior, q, none=True).confidence[:, 0]
    return Reliability(float(nll), calibration_error(confidence, right))


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Return the expected calibration error over `BINS` bins of equal width.

    Confidences are float32 (N,) in [0, 1], N at least 1; `right` is bool (N,).
    """
    place = (confidence * BINS).long().clamp(0, BINS - 1)
    gaps = torch.zeros(BINS, dtype=torch.float64)
    gaps.index_add_(0, place, confidence.double() - right.double())
    return float(gaps.abs().sum() / len(right))
