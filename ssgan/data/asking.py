"""Which image next: the order in which labels are asked for.

Images are chosen one after the other so that those chosen cover the heap best (MaxHerding, Bae et
al., 2024): the next one is that which adds most to Σ_x max_s k(x, s), over images x and chosen
images s, under a Gaussian kernel k of their features. No label is needed for that, and what was
asked before counts as chosen. Before that, clusters are drawn together along the graph of
neighbors: a rare kind of images that lies close by itself is then asked about before a large one is
for the third time.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ssgan.base.rng import Streams
from ssgan.base.threads import use_threads
from ssgan.data.neighbors import (
    Graph,
    as_integers,
    find_originals,
    is_searched,
    squared_distances,
)

_COVERED = 5_000  # images, drawn from a larger heap, that are to be covered
_PAIRED = 1_000  # of these, whose distances to the others decide the kernel's width
_BLOCK = 512  # candidates that are looked at together
_WIDTH = 0.1  # share of pairs of images that are nearer than the kernel's standard deviation
_NEIGHBORS, _STEPS = 10, 20  # of the graph, and along it
_HEAP = 100  # images to a neighbor at least: kinds with fewer images than neighbors would be mixed


def draw_together(features: Tensor, find: Callable[[int], Graph]) -> Tensor:
    """Move images half of the way to the middle of their neighbors, again and again.

    Features stay as they are of less than 100 different images, and of so many that their neighbors
    are not found exactly.

    Args:
        features: Of all images, float32 (N, F).
        find: Finds so many neighbors of each image, or builds their graph.

    Raises:
        BadInput: A feature is not finite.
    """
    different = len(find_originals(as_integers(features)[0]).unique())
    neighbors = min(_NEIGHBORS, different // _HEAP)
    if not neighbors or is_searched(len(features)):
        return features
    graph = find(neighbors)
    for _ in range(_STEPS):
        around = torch.zeros_like(features)
        for nearest in graph.neighbors.long().unbind(dim=1):
            around += features[nearest]
        features = (features + around / neighbors) / 2
    return features[graph.original]  # copies stay copies


def coverage_order(
    features: Tensor,
    count: int,
    asked: Sequence[int] = (),
    among: Iterable[int] | None = None,
    weights: Tensor | None = None,
) -> list[int]:
    """Return the next images to ask about, best first.

    An image is not asked about twice, nor are two with the same features, so that there may be
    fewer than asked for.

    Args:
        features: Of all images, float32 (N, F).
        count: How many to choose.
        asked: Rows of images that were asked about before.
        among: Rows that may be chosen; null is all.
        weights: What it counts that an image is covered, float32 (N,) from 0; null is 1 for all.
            With a model's doubts this is uncertainty herding (Bae et al., 2025).

    Raises:
        BadInput: A feature is not finite.
    """
    with use_threads(1):  # exp has other last bits where threads meet
        return _choose(features, count, asked, among, weights)


def _choose(
    features: Tensor,
    count: int,
    asked: Sequence[int],
    among: Iterable[int] | None,
    weights: Tensor | None,
) -> list[int]:
    whole = as_integers(features)[0].cpu()
    original, points = find_originals(whole), whole.float()
    heap = torch.randperm(len(points), generator=Streams(0).generator("heap to cover"))[:_COVERED]
    rows_to_cover = heap.sort().values
    heap = points[rows_to_cover]
    some = squared_distances(heap[:_PAIRED], heap).flatten()
    width = 2 * some.kthvalue(1 + int(_WIDTH * (len(some) - 1))).values.clamp(min=1)

    def kernel(rows: Tensor) -> Tensor:
        return torch.exp(-squared_distances(points[rows], heap) / width)

    candidates = _first_of_each(original, asked, among)
    covered = torch.zeros(len(heap))
    for rows in torch.tensor(asked, dtype=torch.int64).split(_BLOCK):
        covered = torch.cat([covered[None], kernel(rows)]).amax(dim=0)
    gains = torch.full((len(candidates),), torch.inf)
    order: list[int] = []
    for _ in range(min(count, len(candidates))):
        best = -torch.inf
        # What an image adds can only fall, so that old gains are bounds of the new ones.
        for block in gains.argsort(descending=True, stable=True).split(_BLOCK):
            if gains[block[0]] <= best:
                break
            added = (kernel(candidates[block]) - covered).clamp(min=0)
            if weights is not None:
                added = added * weights[rows_to_cover]
            gains[block] = added.sum(dim=1)
            best = max(best, gains[block].max().item())
        chosen = int(gains.argmax())
        gains[chosen] = -torch.inf
        order.append(int(candidates[chosen]))
        covered = torch.maximum(covered, kernel(candidates[chosen : chosen + 1])[0])
    return order


def _first_of_each(original: Tensor, asked: Sequence[int], among: Iterable[int] | None) -> Tensor:
    """Return the images that may be chosen, ascending: one of each group of copies, none asked."""
    groups = original.tolist()
    seen = {groups[row] for row in asked}
    rows = []
    for row in range(len(groups)) if among is None else sorted(among):
        if groups[row] not in seen:
            seen.add(groups[row])
            rows.append(row)
    return torch.tensor(rows, dtype=torch.int64)
