"""Labels spread over the graph of neighbors: more y for equation 3 than were given.

F = α S F + (1 - α) Y (Zhou et al., 2004), with S = D^-1/2 W D^-1/2 and the weights of edges
w_ij = exp(-d_ij² / (σ_i σ_j)), where σ_i is the distance of i's farthest neighbor (Zelnik-Manor and
Perona, 2004). A column of F, divided by its sum, says how class c is distributed over the images,
p(x | c): a class has the same mass however many labels name it. Its share of an image is
p(x | c) / Σ p(x | c'), and how large the classes are is estimated by the images that each wins.

Before that, in rounds, every given label is spread by itself and again from the images that are
surest its own. A label of an image that lies among another class's, or two labels on one cluster
and none on the next, are put right so: the label that has few images of its own reaches out with
the same mass as the others, until it has those that nobody claims.

The shares so estimated do not weigh p(x | c) in turn (expectation maximization does that): the
densities that a handful of labels give are too rough, and large classes grow. On MNIST, by pixels
and with a label a class, doing so three times read 2 % fewer images right; with classes ten to one
2 % more.

Computed on one thread, in float64 and in a fixed order: the same bits whenever it is repeated.
"""

from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from ssgan.base.config import Config
from ssgan.data.neighbors import Graph

_FEW = 100  # labels, up to which each is spread by itself: it takes a column for each
_ROUND_SHARE, _ROUND_STEPS, _ROUND_ALPHA = 0.3, 50, 0.95  # of a round: the surest, and how far
_LAST_SHARE = 0.6  # of the images of each label, from which its class is spread at last


class SpreadConfig(Config):
    """How the labels of the budget are spread over the images' neighbors."""

    neighbors: int = Field(default=10, ge=1, le=1_000)
    """Nearest neighbors of each image in the graph."""
    steps: int = Field(default=200, ge=1, le=100_000)
    """Steps along the graph's edges; labels reach no farther."""
    alpha: float = Field(default=0.99, gt=0, lt=1)
    """Share α of what an image takes from its neighbors at each step; the rest is its own label."""
    rounds: int = Field(default=10, ge=0, le=1_000)
    """Times that each given label is spread again from its surest images, before its class is. Not
    done where more than 100 images are labeled, and not needed there."""
    share: float = Field(default=0.6, gt=0, le=1)
    """Surest share of the images of each class that become y."""
    weight: float = Field(default=1.0, gt=0)
    """What a spread label counts in L¹_IS, where a given one counts 1."""
    rebuild: int | None = Field(default=None, ge=1)
    """Epochs after which labels are spread again and again, over a graph of what D's trunk
    makes of the images by then; null keeps the graph of their pixels."""
    first: Literal["pixels", "none"] = "pixels"
    """What labels are spread over until the first rebuild. `none`: nothing, for photographs, whose
    pixels say little of their classes; Q_ss learns from the given labels alone until then."""

    @model_validator(mode="after")
    def _check_first(self) -> "SpreadConfig":
        if self.first == "none" and self.rebuild is None:
            raise ValueError(
                "first=none spreads no label before the first rebuild, and there is none; set "
                "data.spread.rebuild to a number of epochs with it, or data.spread=null"
            )
        return self


def spread(
    graph: Graph, labels: Tensor, classes: int, steps: int, alpha: float, rounds: int = 0
) -> Tensor:
    """Spread labels over a graph.

    Args:
        graph: The images' neighbors.
        labels: Class of each image, int64 (N,); -1 where it is not known.
        classes: Number of classes C.
        steps: Steps along edges.
        alpha: Share of its neighbors in what an image takes on.
        rounds: Times that each label is spread by itself before.

    Returns:
        How probable each class is, float32 (N, C); rows sum to 1. Copies of one image share a
        row. An image that no label reaches has 1 / C for every class; a class without any
        label has 0 where a label is.
    """
    known = (labels >= 0).nonzero()[:, 0]
    given = labels[known]
    edges, original = _edges(graph), graph.original.numpy()
    if rounds and 1 < len(known) <= _FEW:
        own = torch.arange(len(known))
        found = _reach(edges, original, known, own, len(known), steps, alpha)
        for _ in range(rounds):
            rows, of = surest(found, _ROUND_SHARE)
            found = _reach(edges, original, rows, of, len(known), _ROUND_STEPS, _ROUND_ALPHA)
        known, of = surest(found, _LAST_SHARE)
        given = given[of]
    return _reach(edges, original, known, given, classes, steps, alpha)


def _reach(
    edges: Any,
    original: np.ndarray,
    rows: Tensor,
    labels: Tensor,
    classes: int,
    steps: int,
    alpha: float,
) -> Tensor:
    """Spread the labels, int64 (n,), of such rows, int64 (n,): see `spread`."""
    given = np.zeros((len(original), classes))
    np.add.at(given, (original[rows.numpy()], labels.numpy()), 1 - alpha)
    mass = given.copy()
    for _ in range(steps):
        mass = alpha * (edges @ mass) + given
    mass = mass[original]
    reached = mass.sum(axis=1) > 0
    probabilities = np.full((len(original), classes), 1 / classes)
    if reached.any():
        probabilities[reached] = _even(mass[reached])
    return torch.from_numpy(probabilities.astype(np.float32))


def is_known(probabilities: Tensor) -> Tensor:
    """Return which images any label has reached, bool (N,), from what `spread` returned."""
    return (probabilities != probabilities[:, :1]).any(dim=1)


def class_shares(probabilities: Tensor) -> Tensor:
    """Return the estimated share of each class, float64 (C,), among images that labels reach.

    An image counts for its most probable class. A class with a label has some share, however
    small, and one without any has none. Where no label reaches any image the shares are even.
    """
    classes = probabilities.shape[1]
    known = probabilities[is_known(probabilities)]
    if not len(known):
        return torch.full((classes,), 1 / classes, dtype=torch.float64)
    counts = known.argmax(dim=1).bincount(minlength=classes) + known.any(dim=0)
    return counts.double() / counts.sum()


def surest(probabilities: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Choose the surest share of the images of each class.

    Args:
        probabilities: From `spread`, float32 (N, C).
        share: Of the images whose most probable class is the same, in (0, 1]; rounded up.

    Returns:
        Their rows, int64 (n,), ascending, and their classes, int64 (n,).
    """
    confidence, classes = probabilities.max(dim=1)
    known = is_known(probabilities)
    rows = []
    for index in range(probabilities.shape[1]):
        of_class = (known & (classes == index)).nonzero()[:, 0]
        order = confidence[of_class].argsort(descending=True, stable=True)
        rows.append(of_class[order[: int(np.ceil(share * len(of_class)))]])
    chosen = torch.cat(rows).sort().values
    return chosen, classes[chosen]


def _edges(graph: Graph) -> Any:
    """Return S as a sparse array, float64 (N, N); rows and columns of copies are empty."""
    from scipy import sparse  # slow to import, and needed by few runs

    count, k = graph.neighbors.shape
    originals = (graph.original == torch.arange(count)).nonzero()[:, 0].numpy()
    distances = graph.distances.double().numpy()
    scale = distances[:, -1]
    sources = originals.repeat(k)
    targets = graph.neighbors.numpy()[originals].ravel()
    squares = np.square(distances[originals]).ravel()
    weights = np.exp(-squares / (scale[sources] * scale[targets]))
    one_way = sparse.csr_array((weights, (sources, targets)), shape=(count, count))
    both_ways = one_way + one_way.T  # an edge of two that name each other counts twice
    degree = both_ways.sum(axis=1)
    root = np.zeros(count)
    root[originals] = 1 / np.sqrt(degree[originals])
    return sparse.csr_array(both_ways.multiply(root[:, None]).multiply(root))


def _even(mass: np.ndarray) -> np.ndarray:
    """Turn the mass of classes, (n, C), into probabilities to which each class is equal."""
    totals = mass.sum(axis=0)
    densities = mass / np.where(totals, totals, 1)
    return np.asarray(densities / densities.sum(axis=1, keepdims=True))
