"""An axis of mixed values: numbers on a linear or logarithmic scale, words in rows."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from ssgan.base.formatting import number, spell

_NONE = -0.1


class Scale(NamedTuple):
    """Places values between 0 and 1."""

    low: float
    """Value at 0, as it is placed (the logarithm of a logarithmic scale's)."""
    high: float
    """Value at 1."""
    logarithmic: bool
    """Whether places go by the logarithm."""
    words: tuple[str, ...]
    """The rows from below where values are no numbers; else empty."""
    ticks: tuple[tuple[float, str], ...]
    """Where to write what."""

    def place(self, value: Any) -> float:
        """Return the place of a value; None, which a configuration may lack, is below all."""
        if value is None:
            return _NONE
        if self.words:
            return _row(self.words.index(spell(value)), len(self.words))
        if self.high == self.low:
            return 0.5
        placed = math.log(float(value)) if self.logarithmic else float(value)
        return (placed - self.low) / (self.high - self.low)


def make_scale(values: Sequence[Any], *, logarithmic: bool) -> Scale:
    """Make the scale of all values that an axis has; not all of them may be None."""
    scale = _make_scale(values, logarithmic)
    if None in values:
        return scale._replace(ticks=((_NONE, "none"), *scale.ticks))
    return scale


def _make_scale(values: Sequence[Any], logarithmic: bool) -> Scale:
    present = [value for value in values if value is not None]
    numbers = [one for value in present if (one := number(value)) is not None]
    if len(numbers) < len(present):
        words = tuple(sorted({spell(value) for value in present}))
        ticks = tuple((_row(i, len(words)), word) for i, word in enumerate(words))
        return Scale(0, 1, False, words, ticks)
    logarithmic = logarithmic and min(numbers) > 0
    low, high = min(numbers), max(numbers)
    bare = Scale(
        math.log(low) if logarithmic else low,
        math.log(high) if logarithmic else high,
        logarithmic,
        (),
        (),
    )
    between = [one for one in _round_values(low, high, logarithmic) if low <= one <= high]
    ticks = tuple((bare.place(one), f"{one:g}") for one in between)
    return bare._replace(ticks=ticks)


def _row(index: int, rows: int) -> float:
    return 0.5 if rows == 1 else index / (rows - 1)


def _round_values(low: float, high: float, logarithmic: bool) -> list[float]:
    if low == high:
        return [low]
    if logarithmic:
        subs = (1.0, 2.0, 5.0) if high / low < 200 else (1.0,)
        locator: LogLocator | MaxNLocator = LogLocator(subs=subs)
    else:
        locator = MaxNLocator(5)
    return [float(f"{one:.6g}") for one in np.asarray(locator.tick_values(low, high))]
