"""The order in which pictures are asked about: those from which most of the others would learn.

Coverage of the images' features by a smooth kernel (`ssgan.data.asking`). With a trained model each
image counts by how unsure its Q_ss is of it, so that what it reads well needs no more answers. What
is most like a picture that is none of the classes counts nothing.
"""

from collections.abc import Collection, Sequence
from functools import partial

import torch
from torch import Tensor

from ssgan.data.asking import draw_together, next_images
from ssgan.data.neighbors import build_graph
from ssgan.labeling.heap import Heap


class Ranking:
    """Which pictures of a heap are asked about next.

    Args:
        heap: The pictures; of identical ones the first is asked about.
        features: Of its images, float32 (N, F).
        weights: What each image counts, float32 (N,), from 0; None for all alike.
    """

    def __init__(self, heap: Heap, features: Tensor, weights: Tensor | None = None) -> None:
        self._heap, self._features, self._weights = heap, features, weights
        self._drawn_together = draw_together(features, partial(build_graph, features))

    def after(self, asked: Sequence[int], none: Collection[int] = ()) -> list[int]:
        """Return the next pictures, best first; none of those that were asked about.

        Args:
            asked: Pictures that were asked about.
            none: Those of them that are none of the classes.
        """
        past = set(self._heap.firsts[list(asked)].tolist())
        left = [row for row in self._heap.firsts.unique().tolist() if row not in past]
        if not left:
            return []
        foreign = set(self._heap.firsts[list(none)].tolist())
        order = next_images(self._drawn_together, sorted(past), foreign, left, self._weights)
        # Images that differ, but not in their features, come last.
        return order or left

    def neighbors(self, picture: int, count: int) -> list[int]:
        """Return the pictures that are most like one, the nearest first, no two identical."""
        firsts = self._heap.firsts
        squares = (self._features - self._features[picture]).square().sum(dim=1)
        squares[firsts != torch.arange(len(firsts))] = torch.inf
        squares[firsts[picture]] = torch.inf
        order = squares.argsort(stable=True)[:count]
        return order[squares[order].isfinite()].tolist()
