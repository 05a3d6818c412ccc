"""The estimated shares of classes, and of images that are none of them, among all images.

The answers are spread over the images' neighbors, as training does (`ssgan.data.spread`) but for
its rounds, and a class's share is that of the images that are read as it. For the interval each
image i has probabilities P_i of the classes: how probable it is that it is read right follows from
its margin, by the curve that the answers left out have given (`ssgan.labeling.estimate`); what is
left goes to the other classes in the proportion that the spread gives them. The spread takes
classes for equally large, and answers that are asked for do not come in their proportion, either.
Where images are read for sure that makes no difference; elsewhere the truth is between P_i, and P_i
times the number of answers that name the class, plus one.

Images that are like each other are read alike, right or wrong. So the error is as if each of the n
answers stood for as many images: the variance of a share is the mean of P_i(c) (1 - P_i(c)) / n.
It is 0 where all images are read for sure, and where nothing is, that of n answers about
images at random. The interval is Wilson's for that variance, around the mean of P_i(c), and spans
those of both kinds of P_i and of both ends of how easy images may be (`estimate`).
`docs/labeling.md` says how often it held.

Nothing is known of classes that no answer has named.
"""

from collections import Counter
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ssgan.base.errors import BadInput
from ssgan.data.dataset import Dataset
from ssgan.data.features import pixel_features
from ssgan.data.neighbors import build_graph
from ssgan.data.spread import SpreadConfig, spread
from ssgan.evaluation.metrics import wilson
from ssgan.labeling.estimate import (
    find_margins,
    fit_curve,
    leave_out,
    sample_images,
    to_bins,
)

_LEAST = 1e-30  # what is divided by


class Share(NamedTuple):
    """The estimated share of a class among all images."""

    share: float
    low: float
    """Lower end of the interval of 95 %."""
    high: float

    def __str__(self) -> str:
        return f"{self.share:.1%} ({self.low:.1%} to {self.high:.1%})"


def shares_of(dataset: Dataset, config: SpreadConfig) -> dict[str, dict[str, Share]]:
    """Estimate the shares of classes in a data set from its label budget, held-out labels too.

    Returns:
        The share of each class that a label names, *none of these* among them, by code; empty where
        every image has a label.
    """
    y, train = dataset.given.clone(), dataset.train
    if dataset.test is None:
        y[dataset.budget.held_out] = dataset.held_out(none=True)[1]
    if not y.isnan().any():
        return {}
    features = pixel_features(train.take, len(train), train.shape)
    found = {}
    for code, column in zip(dataset.space.supervised, y.unbind(dim=1), strict=True):
        if code.is_categorical:
            shares = estimate_shares(features, column.nan_to_num(-1).long(), config)
            found[code.name] = {code.answers[index]: share for index, share in shares.items()}
    return found


def estimate_shares(features: Tensor, labels: Tensor, config: SpreadConfig) -> dict[int, Share]:
    """Estimate the shares of classes from the answers about some images.

    Args:
        features: Of all images, float32 (N, F).
        labels: The class of each image, int64 (N,); -1 where it is not known.
        config: How answers are spread.

    Returns:
        The share of each class that an answer names, by class; they sum to 1. Empty where no class
        has two answers, all answers name one class, or images are fewer than neighbors.
    """
    answered = (labels >= 0).nonzero()[:, 0].tolist()
    rows = sample_images(len(features), answered)
    labels = labels[rows]
    known = labels >= 0
    counts = Counter(labels[known].tolist())
    left_out = [row for row in known.nonzero()[:, 0].tolist() if counts[int(labels[row])] > 1]
    if len(counts) < 2 or not left_out:
        return {}
    classes = max(counts) + 1
    try:
        graph = build_graph(features[rows], min(config.neighbors, len(rows) - 1))
    except BadInput:
        return {}
    curve = fit_curve(*leave_out(graph, labels, left_out, classes, config))
    read = spread(graph, labels, classes, config.steps, config.alpha).double()
    given = one_hot(labels[known], classes).double()
    first = one_hot(read.argmax(dim=1), classes).double()
    # An image that one class alone reaches may be of any other.
    others = read.clamp_min(_LEAST) * (1 - first)
    others = others / others.sum(dim=1, keepdim=True)
    seen = labels[known].bincount(minlength=classes).double() + 1
    ends = []
    for right in curve[:, to_bins(find_margins(read))].unsqueeze(dim=2):
        plain = first * right + others * (1 - right)
        for prior in (torch.ones(classes), seen):
            probabilities = plain * prior
            probabilities = probabilities / probabilities.sum(dim=1, keepdim=True)
            probabilities[known] = given
            ends.append(_intervals(probabilities, len(answered), len(features)))
    first[known] = given
    found = {}
    for of in sorted(counts):
        share = first[:, of].mean().item()
        lows, highs = zip(*(end[of] for end in ends), strict=True)
        found[of] = Share(share, min(share, *lows), max(share, *highs))
    return found


def _intervals(probabilities: Tensor, answers: int, count: int) -> list[tuple[float, float]]:
    """Return the interval of each class's share, from probabilities of some of `count` images."""
    sample, shares = len(probabilities), probabilities.mean(dim=0)
    even = shares * (1 - shares)
    variances = (probabilities * (1 - probabilities)).mean(dim=0) / answers
    variances = variances + even / sample * (1 - sample / count)
    trials = even / variances.clamp_min(_LEAST) + _LEAST
    return [wilson(*pair) for pair in zip(shares.tolist(), trials.tolist(), strict=True)]
