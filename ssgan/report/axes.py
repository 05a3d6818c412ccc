"""How charts scale the axis of a metric."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from ssgan.report.shades import is_wide, plain


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
