"""Comparisons of Euclidean distances, most of them decided by a matrix product.

|a|² + |b|² - 2ab takes a tenth of the time of the sum of squared differences, but is off by
rounding, which counts near 0 and where distances are equal. How far it can be off is known, and
what that leaves open is decided by the sum: every answer is that of `torch.cdist` without the
product, in float64, to the bit.
"""

import torch
from torch import Tensor

_PAIRS = 2**13  # whose differences are held at once
_FEW = 1 / 16  # of all pairs; more are found sooner where all are summed


def kth_smallest(x: Tensor, k: int) -> Tensor:
    """Return each point's k-th smallest distance to all points, its own 0 among them.

    The points are float64 (N, F), 1 <= k <= N, the distances float64 (N,).
    """
    squared, slack = _squared(x, x)
    bound = squared.topk(k, dim=1, largest=False).values.amax(dim=1, keepdim=True) + 2 * slack
    rows, columns = torch.nonzero(~(squared > bound), as_tuple=True)  # NaN leaves all open
    counts = torch.bincount(rows, minlength=len(x))
    place = torch.arange(len(rows), device=x.device) - (counts.cumsum(0) - counts)[rows]
    nearest = x.new_full((len(x), int(counts.max())), torch.inf)
    nearest[rows, place] = _distances(x, x, rows, columns)
    return nearest.kthvalue(k, dim=1).values


class Between:
    """The distances between the points of two sets, to be compared with radii."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        """Take points, float64 (N, F) and (M, F)."""
        self._a, self._b = a, b
        self._squared, self._slack = _squared(a, b)

    def within(self, radius: Tensor) -> Tensor:
        """Say which distances are at most a radius, bool (N, M).

        The radii are distances of such points, float64 (N, 1) or (1, M).
        """
        excess = self._squared - radius.square()
        found = excess <= 0
        rows, columns = torch.nonzero(~(excess.abs() > self._slack), as_tuple=True)
        exact = _distances(self._a, self._b, rows, columns)
        found[rows, columns] = exact <= radius.expand_as(found)[rows, columns]
        return found


def _squared(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return squared distances by a matrix product, (N, M), and a bound on how far they are off.

    Off from the squares of what `_distances` returns, which is rounded too.
    """
    norm_a, norm_b = a.square().sum(dim=1), b.square().sum(dim=1)
    squared = torch.addmm(norm_a[:, None] + norm_b, a, b.T, alpha=-2)
    # Sums of F terms are off by F roundings at most, of half an epsilon of (|a| + |b|)² each; both
    # sides are such sums. The 8 is for what stands around them.
    largest = torch.maximum(norm_a.max(), norm_b.max())
    return squared, 4 * (a.shape[1] + 8) * torch.finfo(a.dtype).eps * largest


def _distances(a: Tensor, b: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the distances of pairs of points, by their differences."""
    if len(rows) > _FEW * len(a) * len(b):
        return _cdist(a, b)[rows, columns]
    parts = zip(rows.split(_PAIRS), columns.split(_PAIRS), strict=True)
    return torch.cat([_cdist(a[i, None], b[j, None]).flatten() for i, j in parts])


def _cdist(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
