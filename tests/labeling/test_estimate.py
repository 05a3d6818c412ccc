"""The estimated share of pictures read right, and what is said of it."""

import torch
from torch import Tensor

from ssgan.data.asking import coverage_order
from ssgan.data.neighbors import build_graph
from ssgan.data.spread import SpreadConfig, spread
from ssgan.labeling.column import Column
from ssgan.labeling.estimate import Estimate, Estimates, advise, estimate_share

CONFIG = SpreadConfig(steps=50)


def clouds(spreading: float, seed: int) -> tuple[Tensor, Tensor]:
    """Draw 300 points of five classes around as many middles."""
    draw = torch.Generator().manual_seed(seed)
    middles = torch.randn(5, 8, generator=draw) * 2
    classes = torch.randint(5, (300,), generator=draw)
    return middles[classes] + spreading * torch.randn(300, 8, generator=draw), classes


def test_the_interval_holds_the_truth_where_it_is_easy_and_where_it_is_hard() -> None:
    held, shares = 0, []
    for spreading in (0.6, 1.5, 2.5):
        for seed in range(3):
            features, classes = clouds(spreading, seed)
            order = coverage_order(features, 25)
            cells = {row: str(int(classes[row])) for row in order}
            found = estimate_share(features, cells, CONFIG)
            assert found is not None
            labels = torch.full((300,), -1)
            labels[order] = classes[order]
            read = spread(build_graph(features, 10), labels, 5, CONFIG.steps, CONFIG.alpha)
            right = (read.argmax(dim=1) == classes).float().mean().item()
            held += found.low <= right <= found.high
            assert found.low <= found.share <= found.high
            shares.append(found.share)
    assert held >= 8
    assert max(shares[6:]) < min(shares[:3])


def test_answers_that_carry_no_class_are_read_as_badly_as_they_are() -> None:
    features, _ = clouds(0.6, 0)
    chance = torch.Generator().manual_seed(1)
    guesses = torch.randint(5, (60,), generator=chance).tolist()
    order = coverage_order(features, 60)
    cells = {row: str(guess) for row, guess in zip(order, guesses, strict=True)}
    found = estimate_share(features, cells, CONFIG)
    assert found is not None
    assert found.low < 0.2 + 0.8 * 0.2 < found.high  # the answers themselves, and chance


def test_there_is_none_before_a_class_has_two_answers() -> None:
    features, _ = clouds(0.6, 0)
    for cells in ({}, {0: "a"}, {0: "a", 1: "b"}, {0: "a", 1: "a"}):
        assert estimate_share(features, cells) is None


def test_estimates_are_made_of_the_newest_answers_of_each_column() -> None:
    features, classes = clouds(0.6, 0)
    estimates = Estimates(features)
    assert estimates.get("shape") is None
    for count in (10, 20):
        cells = {row: str(int(classes[row])) for row in range(count)}
        estimates.update("shape", cells)
    estimates.update("size", {0: "a"})
    estimates.wait()
    assert not estimates.pending
    found = estimates.get("shape")
    assert found is not None
    assert found.answers == 20
    assert estimates.get("size") is None


def test_the_advice_says_what_is_missing_and_when_to_stop() -> None:
    shape, angle = Column("shape"), Column("angle", is_number=True)

    def said(counts: dict[str, int], low: float | None = None, share: float = 0.95) -> str:
        total = sum(counts.values())
        found = None if low is None else Estimate(share, low, 0.99, total)
        return advise(shape, counts, 1000, found)

    assert said({}) == "Press n and name what you see."
    assert said({"a": 3}).startswith("All answers are a so far")
    assert said({"a": 9, "b": 1}) == "Go on: one answer only for b."
    assert said({"a": 9, "b": 2}).startswith("Go on: 20 answers")
    assert said({"a": 15, "b": 9}, 0.93).startswith("Enough: more answers would add little")
    assert said({"a": 15, "b": 9}, 0.8).startswith("Enough for a first training; more")
    assert said({"a": 15, "b": 9}, 0.3, 0.5).startswith("Go on: ten more")
    assert "ssgan label --run" in said({"a": 50, "b": 19}, 0.3, 0.5)
    assert advise(angle, {"1": 1}, 1000, None).startswith("Training needs two")
