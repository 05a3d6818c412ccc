import math
from fractions import Fraction
from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssgan.base.rng import Streams
from ssgan.data.orders import TABLE_ROWS, Feistel, draw_order

MASK = (1 << 64) - 1
keys = st.integers(0, 2**63 - 1)


def hashed(value: int, key: int) -> int:
    """Mix as `splitmix64` ends, in Python's integers."""
    z = (value + key) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return (z ^ (z >> 31)) >> 2


def row_at(position: int, key: int, rows: int) -> int:
    """Walk one position through the network, in Python's integers."""
    high_size = next(n for n in count(math.isqrt(rows)) if n * n >= rows)
    low_size = math.ceil(Fraction(rows, high_size))
    value = position
    while True:
        high, low = divmod(value, low_size)
        for round_ in range(6):
            mixer = Streams(key).key("round", round_)
            if round_ % 2 == 0:
                high = (high + hashed(low, mixer)) % high_size
            else:
                low = (low + hashed(high, mixer)) % low_size
        value = high * low_size + low
        if value < rows:
            return value


@given(rows=st.integers(1, 5000), key=keys)
def test_every_row_stands_at_one_position(rows: int, key: int) -> None:
    found = Feistel(key, rows).at(torch.arange(rows))
    assert torch.equal(found.sort().values, torch.arange(rows))


@given(data=st.data(), rows=st.integers(1, 2**60), key=keys)
def test_a_row_is_a_function_of_key_and_position(data: st.DataObject, rows: int, key: int) -> None:
    asked = data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=8))
    found = Feistel(key, rows).at(torch.tensor(asked))
    assert found.tolist() == [row_at(position, key, rows) for position in asked]


def test_positions_of_a_hundred_million_rows_meet_no_row_twice() -> None:
    rows = 100_000_000
    positions = torch.cat([torch.arange(50_000), torch.arange(rows - 50_000, rows)])
    found = Feistel(7, rows).at(positions)
    assert len(found.unique()) == 100_000
    assert (found >= 0).all()
    assert (found < rows).all()
    # Uniform over the rows, and not in step with the positions.
    counts = torch.bincount(found * 100 // rows, minlength=100).double()
    assert ((counts - 1000) ** 2 / 1000).sum() < 149  # chi squared of 99 degrees, p = 0.001
    assert torch.corrcoef(torch.stack([found[:-1], found[1:]]).double())[0, 1].abs() < 0.01


def test_the_first_row_of_many_orders_is_any_row() -> None:
    first = torch.cat([Feistel(key, 20).at(torch.tensor([0])) for key in range(4000)])
    counts = torch.bincount(first, minlength=20).double()
    assert ((counts - 200) ** 2 / 200).sum() < 43.8  # chi squared of 19 degrees, p = 0.001


@pytest.mark.parametrize(("rows", "is_table"), [(TABLE_ROWS, True), (TABLE_ROWS + 1, False)])
def test_up_to_a_million_rows_an_order_is_a_table(rows: int, is_table: bool) -> None:
    streams = Streams(3)
    order = draw_order(streams, "pool/all", rows, 2)
    positions = torch.arange(0, rows, 997)
    if is_table:
        table = torch.randperm(rows, generator=streams.generator("pool/all", 2))
        assert torch.equal(order.at(positions), table[positions])
    else:
        assert order == Feistel(streams.key("pool/all", 2), rows)
        assert order != draw_order(streams, "pool/all", rows, 3)


def test_the_largest_table_and_the_first_computed_rows_are_what_they_were() -> None:
    """A changed limit or network changes what every later draw gives."""
    assert TABLE_ROWS == 1_000_000
    assert Feistel(0, TABLE_ROWS + 1).at(torch.arange(4)).tolist() == [
        299695,
        354795,
        877171,
        111489,
    ]
