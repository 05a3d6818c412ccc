"""The axis of a metric shows small values beside large ones."""

from collections.abc import Sequence

import pytest

from ssgan.drawing.axes import scale_metric
from ssgan.drawing.charts import make_figure


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
