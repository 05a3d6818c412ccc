import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.threads import use_threads
from ssgan.data import neighbors
from ssgan.data.neighbors import Graph, build_graph

unhurried = settings(deadline=None, max_examples=40)  # no timed assertions


def points(count: int, dims: int = 3, seed: int = 0, spread: int = 500) -> Tensor:
    """Draw points with integers for coordinates, whose distances are exact."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(-spread, spread, (count, dims), generator=draw).float()


def by_brute_force(features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    squares = (features[:, None].double() - features[None].double()).square().sum(dim=2)
    squares.fill_diagonal_(torch.inf)
    order = squares.argsort(dim=1, stable=True)[:, :k]
    return order, squares.gather(1, order).sqrt()


@unhurried
@given(count=st.integers(8, 60), k=st.integers(1, 6), seed=st.integers(0, 99), few=st.booleans())
def test_neighbors_are_those_of_brute_force(count: int, k: int, seed: int, few: bool) -> None:
    features = points(count, seed=seed, spread=3 if few else 500).unique(dim=0)  # many ties if few
    if len(features) <= k:
        return
    graph = build_graph(features, k)
    rows, distances = by_brute_force(features, k)
    assert torch.equal(graph.neighbors.long(), rows)
    torch.testing.assert_close(graph.distances, distances.float())
    assert torch.equal(graph.original, torch.arange(len(features)))


def test_blocks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
    with use_threads(1):
        whole = build_graph(features, 10)
    monkeypatch.setattr(neighbors, "_BLOCK", 7 * 300)
    with use_threads(2):
        assert build_graph(features, 10).hash == whole.hash


def test_a_permutation_of_the_images_permutes_the_graph() -> None:
    features = torch.randn(200, 20, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    graph, permuted = build_graph(features, 5), build_graph(features[order], 5)
    assert torch.equal(order[permuted.neighbors.long()], graph.neighbors[order].long())
    assert torch.equal(permuted.distances, graph.distances[order])


def test_a_copy_has_its_original_for_a_neighbor_and_nobody_has_a_copy() -> None:
    features = points(30, seed=3)
    features[[7, 19, 29]] = features[4].clone()
    graph = build_graph(features, 5)
    alone = build_graph(features[:7], 5)
    assert graph.original.tolist() == [4 if row in (7, 19, 29) else row for row in range(30)]
    assert not torch.isin(graph.neighbors[:, 1:], torch.tensor([7, 19, 29])).any()
    assert graph.neighbors[19].tolist() == [4, *graph.neighbors[4, :4].tolist()]
    assert graph.distances[19].tolist() == [0, *graph.distances[4, :4].tolist()]
    assert (alone.distances > 0).all()


def test_fewer_different_images_than_neighbors_are_refused() -> None:
    assert build_graph(points(6), 5).neighbors.shape == (6, 5)
    with pytest.raises(BadInput, match=r"5 neighbors .* among 5 different images"):
        build_graph(torch.cat([points(5), points(5)]), 5)
    with pytest.raises(BadInput, match=r"5 neighbors .* among 1 different images"):
        build_graph(torch.empty(9, 0), 5)  # as images that are all alike have no feature
    with pytest.raises(BadInput, match="one image or more"):
        build_graph(points(0), 5)
    with pytest.raises(BadInput, match="finite"):
        build_graph(torch.full((9, 2), torch.nan), 5)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_distances_are_in_the_units_of_the_features(scale: float) -> None:
    features = torch.randn(100, 8, generator=torch.Generator().manual_seed(0)).double() * scale
    graph = build_graph(features + scale, 4)
    exact = torch.cdist(features, features).gather(1, graph.neighbors.long())
    torch.testing.assert_close(graph.distances.double(), exact, rtol=0.01, atol=0)


def test_a_saved_graph_is_read_back() -> None:
    graph = build_graph(points(40), 5)
    read = Graph.from_parquet(graph.to_parquet())
    assert read.hash == graph.hash
    assert torch.equal(read.neighbors, graph.neighbors)
    assert torch.equal(read.distances, graph.distances)


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.9])
def test_a_damaged_graph_is_refused(at: float) -> None:
    whole = build_graph(points(40), 5).to_parquet()
    place = int(at * len(whole))
    with pytest.raises(CorruptFile, match="graph of neighbors"):
        Graph.from_parquet(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    with pytest.raises(CorruptFile, match="cannot be read"):
        Graph.from_parquet(whole[:place])


def test_images_that_a_search_does_not_reach_are_compared_with_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = points(60)
    exact = build_graph(features, 5)

    def get_lost(points: Tensor, k: int, advance: object) -> tuple[Tensor, Tensor, Tensor]:
        whole = exact.neighbors.long().clone(), exact.distances.square().long()
        is_found = torch.arange(len(points)) % 7 != 0
        whole[0][~is_found] = 3
        return *whole, is_found

    monkeypatch.setattr(neighbors, "MOST_EXACT", 50)
    monkeypatch.setattr(neighbors, "find_missing", lambda modules: None)
    monkeypatch.setattr(neighbors, "search_nearest", get_lost)
    found = build_graph(features, 5)
    assert torch.equal(found.neighbors, exact.neighbors)


def test_more_images_than_can_be_compared_are_refused_without_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbors, "MOST_EXACT", 50)
    monkeypatch.setattr(neighbors, "find_missing", lambda modules: modules[0])
    assert build_graph(points(50), 5).neighbors.shape == (50, 5)
    needed = (
        r"51 images, more than 50, .* needs faiss.*'ssgan\[neighbors\]', or set data\.spread=null"
    )
    with pytest.raises(BadInput, match=needed):
        build_graph(points(51), 5)
