"""Which image next: the order in which labels are asked for.

Images are chosen one after the other so that those chosen cover the heap best (MaxHerding, Bae et
al., 2024): the next one is that which adds most to Σ_x max_s k(x, s), over images x and chosen
images s, under a Gaussian kernel k of their features. No label is needed for that, and what was
asked before counts as chosen. Before that, clusters are drawn together along the graph of
neighbors: a rare kind of images that lies close by itself is then asked about before a large one is
for the third time. Images that are none of the classes, by the answer about the one that is most
like them, need not be covered: there may be many kinds of these, and one answer tells as much as
ten.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

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

_AHEAD = 64  # images whose order is found at a time
_AGAIN = 8  # where answers weigh images, they do so again when they are an eighth more
_COVERED = 5_000  # images, drawn from a larger heap, that are to be covered, or chosen from
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
        weights: What it counts that an image is covered, float32 (N,) from 0; null is 1 for all,
            and where it is 0 the image is left out, of the kernel's width too. With a model's
            doubts this is uncertainty herding (Bae et al., 2025).

    Raises:
        BadInput: A feature is not finite.
    """
    with use_threads(1):  # exp has other last bits where threads meet
        return _choose(features, count, asked, among, weights)


def order_by_answers(
    features: Tensor, count: int, is_none: Tensor, among: Iterable[int] | None = None
) -> list[int]:
    """Return the images that are asked about one after the other, best first, and answered.

    Args:
        features: Of all images, float32 (N, F).
        count: How many to choose.
        is_none: Which images the answer would call none of the classes, bool (N,).
        among: Rows that may be chosen; null is all.

    Raises:
        BadInput: A feature is not finite.
    """
    among, asked = None if among is None else list(among), list[int]()
    while len(asked) < count:
        none = [row for row in asked if is_none[row]]
        found = next_images(features, asked, none, among, ahead=count - len(asked))
        if not found:
            break
        first = next((place for place, row in enumerate(found) if is_none[row]), len(found))
        asked += found[: first + 1]
    return asked[:count]


def next_images(
    features: Tensor,
    asked: Sequence[int],
    none: Collection[int],
    among: Iterable[int] | None = None,
    weights: Tensor | None = None,
    ahead: int = _AHEAD,
) -> list[int]:
    """Return the next images to ask about, as `coverage_order` does, in the light of the answers.

    An image counts nothing if that which was asked about and is most like it is none of the
    classes. Since each answer may change that, few images are returned then.

    Args:
        features: Of all images, float32 (N, F).
        asked: Rows of images that were asked about before.
        none: Those of them that are none of the classes.
        among: Rows that may be chosen; null is all.
        weights: What it counts that an image is covered, as of `coverage_order`.
        ahead: How many to return while no answer is none of the classes.

    Raises:
        BadInput: A feature is not finite.
    """
    if not none:
        return coverage_order(features, ahead, asked, among, weights)
    points = as_integers(features)[0].cpu().float()
    rows = torch.tensor(asked)
    with use_threads(1):
        nearest = torch.cat(
            [squared_distances(block, points[rows]).argmin(dim=1) for block in points.split(_BLOCK)]
        )
    counted = 1 - torch.isin(rows[nearest], torch.tensor([*none])).float()
    if weights is not None:
        counted *= weights
    few = max(1, len(asked) // _AGAIN)
    return coverage_order(features, few, asked, _some(features, asked, among), counted)


def _some(features: Tensor, asked: Sequence[int], among: Iterable[int] | None) -> list[int]:
    """Return as many of the rows that may be chosen as can be looked at after each answer."""
    may_be = torch.ones(len(features), dtype=torch.bool)
    if among is not None:
        may_be[:] = False
        may_be[torch.tensor([*among], dtype=torch.int64)] = True
    may_be[torch.tensor(asked)] = False
    shuffled = torch.randperm(len(features), generator=Streams(0).generator("images to choose"))
    found: list[int] = shuffled[may_be[shuffled]][:_COVERED].tolist()
    return found


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
    if weights is not None and weights[rows_to_cover].any():
        rows_to_cover = rows_to_cover[weights[rows_to_cover] > 0]
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
            gains[block] = added.sum(dim=1).masked_fill(gains[block] == -torch.inf, -torch.inf)
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
