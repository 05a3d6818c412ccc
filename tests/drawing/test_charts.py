"""Charts show their numbers, small ones next to large ones, and cut nothing off."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from ssgan.drawing.charts import (
    asked_measured,
    loss_curve,
    make_figure,
    scale_metric,
)
from ssgan.drawing.sheet import png

EMA, JUDGE = (9, 105, 218), (207, 34, 46)


def count(image: Image.Image, color: tuple[int, int, int]) -> int:
    """Count pixels of about a color; lines are smoothed at their edges."""
    distance = np.abs(np.asarray(image).astype(int) - np.array(color)).max(axis=2)
    return int((distance < 40).sum())


def is_framed(image: Image.Image) -> bool:
    """Tell whether a white margin shows that nothing is cut off."""
    pixels = np.asarray(image)
    return all((edge == 255).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


def test_the_curve_shows_the_judges_own_error() -> None:
    with_judge = loss_curve([1, 2, 3], [0.5, None, 0.2], [0.4, 0.2, 0.1], 0.05, "0-1 loss")
    without = loss_curve([1, 2, 3], [0.5, None, 0.2], [0.4, 0.2, 0.1], None, "0-1 loss")
    assert count(with_judge, JUDGE) > 100
    assert count(without, JUDGE) == 0
    assert count(without, EMA) > 100
    assert is_framed(with_judge)


def test_a_curve_without_values_is_an_empty_plot() -> None:
    image = loss_curve([1], [None], [None], None, "0-1 loss")
    assert count(image, EMA) == 0


def test_equal_input_makes_equal_bytes() -> None:
    x = torch.linspace(-1, 1, 5)
    first, again = (png(asked_measured(x, x, "angle", "angle: G (EMA)")) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.02, 0.9], "log"),
        ([0.3, 0.9], "linear"),
        ([0.0, 0.02, 0.9], "symlog"),
        ([0.0, 0.0], "linear"),
        ([-0.5, 0.9], "linear"),
    ],
)
def test_the_scale_follows_the_values(values: Sequence[float], scale: str) -> None:
    _, axes = make_figure(3, 3, "t")
    axes.plot(range(len(values)), values)
    scale_metric(axes, values)
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert low <= min(values)
    assert high >= max(values)
    assert (low == 0) == (scale == "symlog" or values[0] in (0.0, 0.3))
