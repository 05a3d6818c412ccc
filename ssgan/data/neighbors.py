"""The graph of images: each one's nearest neighbors by its features.

Neighbors are exact and the same to the last bit on any device and any number of threads: features
are rounded to integers, so fine that it does not matter, and small enough that float32 holds every
sum of products exactly, in whatever order it is added up.

More than `MOST_EXACT` images are not compared one by one: most neighbors are then found by search
(`ssgan.data.approximate_neighbors`), and those of images that a search does not reach as above.

Images with equal features are *copies* of the first of them. They count once: nothing else has a
copy for a neighbor, and a copy's first neighbor is the image that it copies, at distance 0.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ssgan.base.errors import BadInput
from ssgan.base.extras import NEIGHBORS, find_missing
from ssgan.base.progress import Advance
from ssgan.data.approximate_neighbors import search_nearest
from ssgan.data.sealed_table import as_column, as_tensor, read_sealed, seal

MOST_EXACT = 200_000
"""Images of which all are compared with all: a quarter of an hour on one core."""

_RADIUS = 2_000  # of features as integers: 4 r² < 2²⁴, beyond which float32 skips integers
_BLOCK = 2**24  # distances that are in memory at a time


@dataclass(frozen=True)
class Graph:
    """The nearest neighbors of N images."""

    neighbors: Tensor
    """int32 (N, k): rows of the nearest images, nearest first, without the image itself."""
    distances: Tensor
    """float32 (N, k): how far away they are, in units of the features."""

    def __len__(self) -> int:
        return len(self.neighbors)

    @cached_property
    def original(self) -> Tensor:
        """int64 (N,): the first image that each is a copy of, or the image itself."""
        first = self.neighbors[:, 0].long()
        return torch.where(self.distances[:, 0] == 0, first, torch.arange(len(self)))

    @cached_property
    def hash(self) -> str:
        """Identify the graph by its content, 64 hexadecimal digits."""
        digest = hashlib.sha256(f"{tuple(self.neighbors.shape)}".encode())
        digest.update(self.neighbors.numpy().astype("<i4").tobytes())
        digest.update(self.distances.numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def to_parquet(self) -> bytes:
        """Serialize to a Parquet file, one row an image; its hash goes along as metadata."""
        tensors = {"neighbors": self.neighbors, "distances": self.distances}
        columns = {name: as_column(tensor) for name, tensor in tensors.items()}
        return seal(pa.table(columns), {"hash": self.hash})

    @classmethod
    def from_parquet(cls, data: bytes) -> "Graph":
        """Read a saved graph.

        Raises:
            CorruptFile: The file cannot be read, or holds something else than was saved.
        """

        def build(table: pa.Table, facts: dict[str, Any]) -> tuple[Graph, bool]:
            graph = cls(as_tensor(table["neighbors"]), as_tensor(table["distances"]))
            return graph, graph.hash == facts["hash"]

        return read_sealed(data, "the graph of neighbors", "", build)


def is_searched(count: int) -> bool:
    """Whether so many images are too many to compare all with all."""
    return count > MOST_EXACT


def check_count(count: int) -> None:
    """Refuse so many images that a search is needed, where what does it is not installed.

    Raises:
        BadInput: With the command that installs it.
    """
    if is_searched(count) and (missing := find_missing(NEIGHBORS)):
        raise BadInput(
            f"to find the neighbors of {count:,} images, more than {MOST_EXACT:,}, data.spread "
            f"needs {missing}, which is not installed: pip install 'ssgan[neighbors]', or set "
            "data.spread=null"
        )


def build_graph(features: Tensor, k: int, advance: Advance | None = None) -> Graph:
    """Find the k nearest neighbors of every image, float32 (N, F) features on any device.

    Of images that are equally near the first ones count.

    Raises:
        BadInput: There are not more than k different images, or a feature is not finite; or
            there are too many (`check_count`).
    """
    check_count(len(features))
    whole, unit = as_integers(features)
    original = find_originals(whole)
    different, place = original.unique(return_inverse=True)
    if len(different) <= k:
        raise BadInput(
            f"{k} neighbors of an image cannot be found among {len(different)} different images; "
            "ask for fewer neighbors (data.spread.neighbors) or give more images"
        )
    points = whole[different.to(whole.device)].float()
    if is_searched(len(features)):
        nearest, squares, is_found = search_nearest(points, k, advance)
        lost = (~is_found).nonzero()[:, 0]
        if len(lost):
            nearest[lost], squares[lost] = _nearest(points, k, lost)
    else:
        nearest, squares = _nearest(points, k, torch.arange(len(points)), advance)
    neighbors, distances = different[nearest][place], squares.double().sqrt()[place] * unit
    is_copy = original != torch.arange(len(original))
    neighbors[is_copy] = torch.cat([original[is_copy, None], neighbors[is_copy, :-1]], dim=1)
    distances[is_copy] = distances[is_copy].roll(1, dims=1)
    distances[is_copy, 0] = 0
    return Graph(neighbors.int(), distances.float())


def as_integers(features: Tensor) -> tuple[Tensor, float]:
    """Round features (N, F) to integers, so small that float32 is exact for squared distances.

    Returns:
        The integers, float64 (N, F), and how much of a feature 1 stands for.

    Raises:
        BadInput: There is no image, or a feature is not finite.
    """
    features = features.double()
    if not len(features) or not features.isfinite().all():
        raise BadInput("neighbors need features that are finite, of one image or more")
    features = features - (features.amin(dim=0) + features.amax(dim=0)) / 2
    norm = features.square().sum(dim=1).max().sqrt().item()
    # A power of two, which the last bits of the norm do not change.
    unit = 2.0 ** math.ceil(math.log2(norm / _RADIUS)) if norm else 1.0
    return (features / unit).round(), unit


def find_originals(whole: Tensor) -> Tensor:
    """Return the first image that has the features of each, int64 (N,), from `as_integers`."""
    values = whole.cpu().numpy().astype("<i2")
    if not values.shape[1]:  # as no image differs from another
        return torch.zeros(len(values), dtype=torch.int64)
    rows = np.ascontiguousarray(values).view(np.dtype((np.void, 2 * values.shape[1])))[:, 0]
    _, first, group = np.unique(rows, return_index=True, return_inverse=True)
    return torch.from_numpy(first[group])


def squared_distances(points: Tensor, others: Tensor) -> Tensor:
    """Return |a - b|² of integers, float32 (n, F) and (m, F), exactly: float32 (n, m)."""
    norms = points.square().sum(dim=1)[:, None] + others.square().sum(dim=1)
    return norms - 2 * (points @ others.T)


def _nearest(
    points: Tensor, k: int, of: Tensor, advance: Advance | None = None
) -> tuple[Tensor, Tensor]:
    """Return the k nearest other points of m of them, int64 (m, k), and their squared distances.

    Points are float32 (n, F) integers, all different; the m are rows, int64 (m,).
    """
    count, device = len(points), points.device
    rows, squares, done = [], [], 0
    for block in of.to(device).split(max(1, _BLOCK // count)):
        square = squared_distances(points[block], points)
        # Distance and row in one integer: no two are equal, so that ties go to the first row.
        keys = square.long() * count + torch.arange(count, device=device)
        keys[torch.arange(len(block), device=device), block] = torch.iinfo(torch.int64).max
        found = keys.topk(k, dim=1, largest=False).values.cpu()
        rows.append(found % count)
        squares.append(found // count)
        done += len(block)
        if advance is not None:
            advance(done, len(of))
    return torch.cat(rows), torch.cat(squares)
