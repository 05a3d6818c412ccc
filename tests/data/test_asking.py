from functools import partial

import pytest
import torch
from torch import Tensor

from ssgan.base.errors import BadInput
from ssgan.base.threads import use_threads
from ssgan.data import asking
from ssgan.data.asking import coverage_order, draw_together, next_images, order_by_answers
from ssgan.data.neighbors import build_graph


def heaps(*sizes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw clusters of so many images, far from each other; return features and clusters."""
    draw = torch.Generator().manual_seed(seed)
    of = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return 20 * torch.eye(len(sizes))[of] + torch.randn(len(of), len(sizes), generator=draw), of


def test_the_first_images_come_from_all_clusters_the_largest_first() -> None:
    features, of = heaps(200, 150, 100, 60, 30)
    assert of[coverage_order(features, 5)].tolist() == [0, 1, 2, 3, 4]


def test_looking_at_few_candidates_at_a_time_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, _ = heaps(20, 15, 10)
    at_once = coverage_order(features, 45)
    assert sorted(at_once) == list(range(45))
    monkeypatch.setattr(asking, "_BLOCK", 2)
    assert coverage_order(features, 45) == at_once


def test_an_order_goes_on_from_what_was_asked() -> None:
    features, _ = heaps(60, 50, 40)
    order = coverage_order(features, 12)
    assert coverage_order(features, 5) == order[:5]
    assert coverage_order(features, 7, asked=order[:5]) == order[5:]
    assert coverage_order(features, 7, asked=order[4::-1]) == order[5:]


def test_images_are_asked_about_once_and_copies_not_at_all() -> None:
    features, _ = heaps(10, 10)
    twice = torch.cat([features, features])
    order = coverage_order(twice, 100)
    assert sorted(order) == list(range(20))
    assert not set(coverage_order(twice, 100, asked=[23, 5])) & {3, 23, 5, 25}
    assert len(coverage_order(twice, 100, asked=[23, 5])) == 18


def test_only_some_images_may_be_chosen() -> None:
    features, _ = heaps(30, 20)
    allowed = [3, 8, 35, 44]
    assert sorted(coverage_order(features, 10, among=allowed)) == allowed
    assert coverage_order(features, 10, asked=[3], among=[3]) == []


def test_a_large_heap_is_covered_by_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_COVERED", 40)
    features, of = heaps(300, 300)
    assert set(of[coverage_order(features, 2)].tolist()) == {0, 1}


def test_the_order_is_the_same_on_one_thread_and_on_two() -> None:
    features = torch.randn(400, 10, generator=torch.Generator().manual_seed(0))
    orders = []
    for threads in (1, 2):
        with use_threads(threads):
            orders.append(coverage_order(features, 30))
    assert orders[0] == orders[1]


def test_nothing_to_ask_about_is_an_empty_order() -> None:
    features, _ = heaps(5, 5)
    assert coverage_order(features, 0) == []
    assert coverage_order(features, 3, among=[]) == []
    with pytest.raises(BadInput, match="one image or more"):
        coverage_order(features[:0], 3)


def test_where_nothing_counts_every_image_is_asked_about_once() -> None:
    features, _ = heaps(9, 8)
    assert sorted(coverage_order(features, 17, weights=torch.zeros(17))) == list(range(17))


def test_images_that_count_more_are_covered_first() -> None:
    features, of = heaps(200, 150, 100)
    doubts = torch.tensor([0.0, 0.001, 1.0])[of]
    assert of[coverage_order(features, 4, weights=doubts)].tolist() == [2, 2, 2, 2]
    same = torch.ones(len(of))
    assert coverage_order(features, 30, weights=same) == coverage_order(features, 30)


def together(features: Tensor) -> Tensor:
    return draw_together(features, partial(build_graph, features))


def test_clusters_draw_together_and_copies_stay_copies() -> None:
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(1200, 30, generator=draw)
    features[600:] += 3
    features = torch.cat([features, features[:5]])
    found = together(features)
    for rows in (slice(0, 600), slice(600, 1200)):
        assert found[rows].std(dim=0).max() < 0.2
        assert (found[rows].mean(dim=0) - features[rows].mean(dim=0)).abs().max() < 0.5
    assert torch.equal(found[-5:], found[:5])
    few = heaps(40, 40)[0]
    assert together(few) is few


def test_what_is_like_an_image_of_no_class_need_not_be_covered() -> None:
    features, of = heaps(100, 90, 80, 70, 60, 50)
    is_none = of >= 3
    plain = of[coverage_order(features, 8)].tolist()
    assert plain[:6] == [0, 1, 2, 3, 4, 5]
    chosen = of[order_by_answers(features, 8, is_none)].tolist()
    assert chosen[:6] == [0, 1, 2, 3, 4, 5]  # each kind of them once
    assert max(chosen[6:]) < 3
    joined = features.clone()
    joined[of >= 3] = features[of == 3][:1] + 0.1 * features[of >= 3]  # one kind
    chosen = of[order_by_answers(joined, 8, is_none)].tolist()
    assert sum(index >= 3 for index in chosen) == 1
    assert order_by_answers(features, 8, torch.zeros(450, dtype=torch.bool)) == (
        coverage_order(features, 8)
    )


def test_answers_order_a_heap_to_its_end() -> None:
    features, of = heaps(9, 8, 7)
    for none in (of == 0, of >= 0):
        assert sorted(order_by_answers(features, 100, none)) == list(range(24))
    assert order_by_answers(features, 100, of == 0, among=[3, 20]) in ([3, 20], [20, 3])


def test_an_image_counts_by_the_answer_about_the_one_most_like_it_as_answers_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, of = heaps(100, 90, 80, 70)
    first = coverage_order(features, 4)
    assert of[first].tolist() == [0, 1, 2, 3]
    # Of four answers one is none: the best of the other three is next, and one alone.
    (following,) = next_images(features, first, first[:1])
    assert of[following] == 1
    weights = torch.where(of == 1, 0.01, 1.0)
    (following,) = next_images(features, first, first[:1], weights=weights)
    assert of[following] == 2
    asked = coverage_order(features, 16)
    assert len(next_images(features, asked, asked[:1])) == 2
    assert len(next_images(features, asked, [])) == 64
    monkeypatch.setattr(asking, "_BLOCK", 7)
    assert next_images(features, first, first[:1]) == next_images(features, first, first[:1])
    monkeypatch.setattr(asking, "_COVERED", 50)
    (following,) = next_images(features, first, first[:1])
    assert of[following] > 0
