"""Axes of charts of metrics: their colors, their scale, the numbers on them."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

INK, FAINT, GRID = "#1f2328", "#59636e", "#d0d7de"
_WIDE = 10.0  # largest by smallest value from which a scale is logarithmic


def scale_metric(axes: Axes, values: Sequence[float]) -> None:
    """Scale the y axis: by logarithms where that shows more, with room for a value of 0.

    Args:
        axes: The chart.
        values: All that is drawn there, one at least.
    """
    positive = [value for value in values if value > 0]
    if min(values) >= 0 and positive and is_wide(positive):
        if min(values) > 0:
            axes.set_yscale("log")
        else:
            axes.set_yscale("symlog", linthresh=min(positive), linscale=0.3, subs=(2, 5))
            axes.set_ylim(0, 1.3 * max(positive))
        axes.yaxis.set_major_formatter(FuncFormatter(plain))
        axes.yaxis.set_minor_formatter(FuncFormatter(plain))
    elif min(values) >= 0:
        axes.set_ylim(bottom=0)


def is_wide(values: Sequence[float]) -> bool:
    """Whether values want a logarithmic scale."""
    return min(values) > 0 and max(values) / min(values) >= _WIDE


def plain(value: float, _: int | None = None) -> str:
    """Write 1, 2 and 5 times a power of ten on a logarithmic axis."""
    return f"{value:g}" if f"{value:e}"[0] in "0125" else ""


def thousands(value: float, _: int | None = None) -> str:
    """Write a count of images on an axis: 60k, 1.2M."""
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{suffix}"
    return f"{value:g}"
