"""Neighbors found by search are nearly all of the nearest, and the same each time."""

import pytest
import torch
from torch import Tensor

from ssgan.base.threads import use_threads
from ssgan.data import neighbors
from ssgan.data.features import pixel_features
from ssgan.data.neighbors import Graph, build_graph
from ssgan.data.store import Store

pytest.importorskip("faiss", reason="the extra neighbors is not installed")


def search(features: Tensor, k: int) -> Graph:
    """Find neighbors as if the images were too many to compare all with all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "MOST_EXACT", 0)
        return build_graph(features, k)


def recall(found: Graph, exact: Graph) -> float:
    """Return the share of all nearest neighbors that were found."""
    both = (found.neighbors[:, :, None] == exact.neighbors[:, None, :]).any(dim=2)
    return both.double().mean().item()


@pytest.mark.slow
def test_the_nearest_of_20_000_images_are_found(digits_store: Store) -> None:
    train = digits_store.split("train")
    draw = torch.Generator().manual_seed(0)
    first, second = torch.randint(len(train), (2, 20_000), generator=draw)
    share = 0.5 * torch.rand(20_000, 1, 1, 1, generator=draw)

    def take(rows: Tensor) -> Tensor:  # digits through which others shine
        mixed = (1 - share[rows]) * train.take(first[rows]) + share[rows] * train.take(second[rows])
        return mixed.round().to(torch.uint8)

    features = pixel_features(take, 20_000, train.shape)
    found, exact = search(features, 10), build_graph(features, 10)
    assert recall(found, exact) > 0.99
    is_same = found.neighbors == exact.neighbors
    assert torch.equal(found.distances[is_same], exact.distances[is_same])
    assert (found.distances >= exact.distances).all()
    assert (found.distances.diff(dim=1) >= 0).all()


def test_threads_change_nothing() -> None:
    features = torch.randn(12_000, 16, generator=torch.Generator().manual_seed(0))
    with use_threads(1):
        alone = search(features, 10)
    with use_threads(2):
        assert search(features, 10).hash == alone.hash


def test_heaps_far_apart_are_all_reached() -> None:
    draw = torch.Generator().manual_seed(0)
    heaps = 1_000 * torch.eye(8).repeat_interleave(150, dim=0)
    features = heaps + torch.randn(1_200, 8, generator=draw)
    for k in (1, 10, 149):
        found, exact = search(features, k), build_graph(features, k)
        assert found.distances.eq(exact.distances).double().mean() > 0.99  # many are equally near
        of = torch.arange(1_200)[:, None] // 150
        assert (found.neighbors.long() // 150 == of).all()


def test_copies_count_once() -> None:
    features = torch.randn(300, 5, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    found, exact = search(features, 5), build_graph(features, 5)
    assert torch.equal(found.original, exact.original)
    assert recall(found, exact) > 0.99
