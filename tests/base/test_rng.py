import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.base.rng import Streams

unhurried = settings(deadline=None, max_examples=50)  # no timed assertions

seeds = st.integers(-(2**70), 2**70)
names = st.text(min_size=1, max_size=12)
steps = st.integers(0, 10**9)


def draw(streams: Streams, name: str, step: int) -> list[float]:
    return torch.rand(4, generator=streams.generator(name, step)).tolist()


@unhurried
@given(seeds, st.lists(st.tuples(names, steps), min_size=1, max_size=5))
def test_draws_do_not_depend_on_their_order(seed: int, keys: list[tuple[str, int]]) -> None:
    forwards = {key: draw(Streams(seed), *key) for key in keys}
    streams = Streams(seed)
    backwards = {key: draw(streams, *key) for key in reversed(keys)}
    assert forwards == backwards


@unhurried
@given(st.lists(st.tuples(seeds, names, steps), min_size=2, max_size=6, unique=True))
def test_every_key_has_numbers_of_its_own(keys: list[tuple[int, str, int]]) -> None:
    drawn = [draw(Streams(seed), name, step) for seed, name, step in keys]
    for one, other in itertools.combinations(drawn, 2):
        assert one != other


@unhurried
@given(seeds, names, steps)
def test_keys_are_seeds_that_torch_takes(seed: int, name: str, step: int) -> None:
    assert 0 <= Streams(seed).key(name, step) < 2**63


def test_neighboring_keys_differ_in_many_bits() -> None:
    keys = [Streams(0).key("coin", step) for step in range(200)]
    distances = [(a ^ b).bit_count() for a, b in itertools.pairwise(keys)]
    assert 25 < sum(distances) / len(distances) < 38  # of 63


def test_the_values_of_a_published_seed_never_change() -> None:
    # Runs, label budgets and exports name these draws: a change here breaks every one of them.
    assert Streams(0).key("weights of G") == 6047912483535292715
    assert Streams(7).key("coin", 3) == 8159596148907340990


def test_generators_stand_on_the_device_asked_for() -> None:
    assert Streams(1).generator("x").device == torch.device("cpu")
    assert Streams(1).generator("x", 2, torch.device("cpu")).device == torch.device("cpu")


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0), (1.0, 500)])
def test_a_certain_coin_is_certain(probability: float, expected: int) -> None:
    streams = Streams(3)
    assert sum(streams.coin("coin", step, probability) for step in range(500)) == expected


def test_a_biased_coin_has_its_bias() -> None:
    heads = sum(Streams(3).coin("coin", step, 0.3) for step in range(2000))
    assert 0.26 < heads / 2000 < 0.34  # four standard deviations are 0.041
