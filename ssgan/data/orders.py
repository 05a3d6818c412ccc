"""Random orders of rows: a table of them up to a million rows, a keyed permutation beyond.

An order is a pure function of (seed, stream, step), the same on any number of ranks. A table costs
8 bytes a row and the time to shuffle them; a Feistel network computes the row at any position from
the key alone, without memory, in the same time for any number of rows.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ssgan.base.rng import Streams

TABLE_ROWS = 1_000_000
"""Up to so many rows an order is ``torch.randperm``, a table; part of what a seed means."""
_ROUNDS = 6  # three for each half
# The finalizer of splitmix64 (Stafford's mix 13): right shifts, each before a factor, as signed
# integers.
_MIX = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64), (31, 1))


class Order(Protocol):
    """A permutation of the rows 0 to N - 1."""

    def at(self, positions: Tensor) -> Tensor:
        """Return the rows, int64 (n,), that stand at positions from 0 to N - 1, int64 (n,)."""


def draw_order(streams: Streams, stream: str, rows: int, step: int = 0) -> Order:
    """Draw an order of so many rows, keyed as all draws of a stream are."""
    if rows <= TABLE_ROWS:
        return Table(torch.randperm(rows, generator=streams.generator(stream, step)))
    return Feistel(streams.key(stream, step), rows)


@dataclass(frozen=True)
class Table:
    """An order that is kept as a whole."""

    rows: Tensor
    """All rows, int64 (N,)."""

    def at(self, positions: Tensor) -> Tensor:
        """Look the rows up."""
        return self.rows[positions]


@dataclass(frozen=True)
class Feistel:
    """An order that is computed: a generalized Feistel network (Black and Rogaway, 2002).

    A position is a pair of numbers. Each in turn is moved by a hash of the other, which can be
    undone, so this is a permutation whatever the hash (Luby and Rackoff, 1988). There are a few
    more pairs than rows; one that is not a row goes through again until it is one (cycle walking).
    """

    key: int
    """Any integer."""
    rows: int
    """Number of rows N, from 1 to 2⁶⁰."""

    def at(self, positions: Tensor) -> Tensor:
        """Compute the rows; equal positions give equal rows, however they are asked for."""
        rows = self._encrypt(positions)
        while len(outside := (rows >= self.rows).nonzero()[:, 0]):
            rows[outside] = self._encrypt(rows[outside])
        return rows

    def _encrypt(self, values: Tensor) -> Tensor:
        """Permute the integers below a product of two factors that is hardly more than N."""
        high_size = math.isqrt(self.rows - 1) + 1
        low_size = -(-self.rows // high_size)
        high, low = values // low_size, values % low_size
        keys = Streams(self.key)
        for round_ in range(0, _ROUNDS, 2):
            high = (high + _hashed(low, keys.key("round", round_)) % high_size) % high_size
            low = (low + _hashed(high, keys.key("round", round_ + 1)) % low_size) % low_size
        return high * low_size + low


def _hashed(values: Tensor, key: int) -> Tensor:
    """Hash integers with a key to 62 bits, as unsigned arithmetic modulo 2⁶⁴ would."""
    mixed = values + key
    for shift, factor in _MIX:
        # A right shift of int64 repeats the sign, which is not part of an unsigned number.
        mixed = (mixed ^ ((mixed >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return (mixed >> 2) & ((1 << 62) - 1)
