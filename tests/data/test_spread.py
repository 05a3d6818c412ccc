import pytest
import torch
from torch import Tensor

from ssgan.base.threads import use_threads
from ssgan.data.neighbors import Graph, build_graph
from ssgan.data.spread import class_shares, is_known, spread, surest

ALPHA, STEPS = 0.99, 200


def heaps(*sizes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw clusters of so many images, far from each other; return features and clusters."""
    draw = torch.Generator().manual_seed(seed)
    of = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    middles = 100 * torch.eye(len(sizes), 4)
    return middles[of] + torch.randn(len(of), 4, generator=draw), of


def label(count: int, known: dict[int, int]) -> Tensor:
    labels = torch.full((count,), -1)
    for row, index in known.items():
        labels[row] = index
    return labels


def run(graph: Graph, known: dict[int, int], classes: int = 2, steps: int = STEPS) -> Tensor:
    return spread(graph, label(len(graph), known), classes, steps, ALPHA)


def line(count: int) -> Graph:
    """Connect images in a row, each with its left and its right neighbor."""
    rows = torch.arange(count)
    neighbors = torch.stack([(rows - 1).abs(), rows + 1], dim=1)
    neighbors[0], neighbors[-1] = torch.tensor([1, 2]), torch.tensor([count - 2, count - 3])
    return Graph(neighbors.int(), (neighbors - rows[:, None]).abs().float())


def test_a_label_reaches_all_images_of_its_component_and_no_other() -> None:
    features, of = heaps(30, 40, 20)
    found = run(build_graph(features, 5), {3: 1, 50: 0})
    assert torch.equal(found[of == 0], torch.tensor([[0.0, 1.0]]).expand(30, -1))
    assert torch.equal(found[of == 1], torch.tensor([[1.0, 0.0]]).expand(40, -1))
    assert torch.equal(is_known(found), of < 2)  # nobody guesses the third


def test_a_label_goes_one_edge_a_step() -> None:
    found = run(line(12), {0: 0}, steps=4)
    # The ends of the line have a neighbor two images away.
    assert is_known(found).nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert is_known(run(line(12), {0: 0})).all()


def test_between_two_labels_the_nearer_one_wins() -> None:
    found = run(line(11), {0: 0, 10: 1})
    assert found.argmax(dim=1)[[0, 1, 2, 3, 4]].tolist() == [0] * 5
    assert found.argmax(dim=1)[[6, 7, 8, 9, 10]].tolist() == [1] * 5
    torch.testing.assert_close(found, found.flip(0, 1))


def test_rows_sum_to_one_whatever_is_known() -> None:
    features, _ = heaps(60, 60)
    graph = build_graph(features, 6)
    for known in ({}, {0: 1}, {0: 0, 1: 2, 70: 1}, dict.fromkeys(range(120), 2)):
        found = run(graph, known, classes=4)
        torch.testing.assert_close(found.sum(dim=1), torch.ones(120))
        assert found[:, 3][is_known(found)].eq(0).all()  # no label names it


def test_without_any_label_nothing_is_known() -> None:
    found = run(build_graph(heaps(20, 20)[0], 4), {}, classes=4)
    assert found.eq(0.25).all()
    assert not is_known(found).any()
    assert class_shares(found).tolist() == [0.25] * 4
    assert surest(found, 1.0)[0].tolist() == []


def test_one_class_alone_is_all_that_there_is() -> None:
    found = run(build_graph(heaps(40)[0], 4), {5: 1}, classes=3)
    assert torch.equal(found, torch.tensor([[0.0, 1.0, 0.0]]).expand(40, -1))
    assert class_shares(found).tolist() == [0, 1, 0]


def test_a_permutation_of_the_images_permutes_their_classes() -> None:
    features = torch.randn(150, 4, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(150, generator=torch.Generator().manual_seed(1))
    labels = label(150, {3: 0, 40: 1, 90: 2, 120: 1})
    found = spread(build_graph(features, 5), labels, 3, STEPS, ALPHA)
    permuted = spread(build_graph(features[order], 5), labels[order], 3, STEPS, ALPHA)
    torch.testing.assert_close(permuted, found[order])


def test_copies_share_a_row_and_one_answer_counts_for_all() -> None:
    features, _ = heaps(30, 30)
    features[[9, 44]] = features[2].clone()  # 44 else belongs to the other heap
    graph = build_graph(features, 5)
    found = run(graph, {44: 0, 50: 1})
    assert torch.equal(found[9], found[2])
    assert torch.equal(found[44], found[2])
    assert torch.equal(found, run(graph, {2: 0, 50: 1}))
    assert found[:30].argmax(dim=1).eq(0).all()


def test_a_class_has_the_same_mass_however_many_labels_name_it() -> None:
    features, of = heaps(200, 200)
    features[:, 0] *= 0.02  # so near that the heaps touch
    features[:, 1] *= 0.02
    graph = build_graph(features, 10)
    one_each = run(graph, {0: 0, 200: 1})
    many = run(graph, {**dict.fromkeys(range(20), 0), 200: 1})
    assert is_known(one_each).all()
    for found in (one_each, many):
        assert 0.3 < class_shares(found)[0] < 0.7
    assert (many.argmax(dim=1) == of).float().mean() > 0.5


def test_shares_are_estimated_not_assumed() -> None:
    features, _ = heaps(270, 30)
    found = run(build_graph(features, 5), {0: 0, 280: 1})
    assert class_shares(found).tolist() == pytest.approx([271 / 302, 31 / 302])


def test_the_surest_share_of_each_class_is_chosen() -> None:
    first = torch.tensor([0.9, 0.6, 0.7, 0.8, 0.5, 0.2, 0.1, 0.3])
    found = torch.stack([first, 1 - first], dim=1)
    rows, classes = surest(found, 0.5)
    assert rows.tolist() == [0, 3, 5, 6]  # of four and of three, rounded up; the flat row never
    assert classes.tolist() == [0, 0, 1, 1]
    rows, classes = surest(found, 1.0)
    assert rows.tolist() == [0, 1, 2, 3, 5, 6, 7]
    assert torch.equal(classes, found[rows].argmax(dim=1))


def test_the_same_labels_give_the_same_bits_on_one_thread_and_on_two() -> None:
    features = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    found = []
    for threads in (1, 2):
        with use_threads(threads):
            found.append(run(build_graph(features, 10), {0: 0, 9: 1, 77: 1}))
    assert torch.equal(*found)


def chain(seed: int = 0) -> tuple[Graph, Tensor]:
    """Draw two heaps of images and a thin line of images from the one to the other."""
    draw = torch.Generator().manual_seed(seed)
    heap = torch.randn(120, 2, generator=draw)
    way = torch.stack([torch.linspace(4, 16, 13), torch.zeros(13)], dim=1)
    features = torch.cat([heap, heap + torch.tensor([20.0, 0]), way])
    return build_graph(features, 6), torch.tensor([0] * 120 + [1] * 120 + [-1] * 13)


def test_in_rounds_a_label_that_lies_among_others_finds_the_images_that_no_other_claims() -> None:
    graph, of = chain()
    # Both labels lie in the first heap, that of the second class where the line begins.
    begin = graph.neighbors[240]
    labels = label(len(graph), {3: 0, int(begin[begin < 120][0]): 1})
    shares = [
        spread(graph, labels, 2, STEPS, ALPHA, rounds).argmax(dim=1)[of == 0].float().mean()
        for rounds in (0, 10)
    ]
    assert shares[1] < shares[0] / 2


def test_rounds_change_nothing_where_each_heap_has_its_label() -> None:
    features, of = heaps(60, 50)
    graph, labels = build_graph(features, 5), label(110, {0: 0, 70: 1})
    assert torch.equal(spread(graph, labels, 2, STEPS, ALPHA, 10).argmax(dim=1), of)


def test_more_than_a_hundred_labels_are_not_spread_each_by_itself() -> None:
    graph, of = chain()
    for every, are_alike in ((2, True), (4, False)):
        labels = torch.where(torch.arange(len(of)) % every == 0, of, -1)
        assert ((labels >= 0).sum() > 100) == are_alike
        found = [spread(graph, labels, 2, STEPS, ALPHA, rounds) for rounds in (0, 1)]
        assert torch.equal(*found) == are_alike
