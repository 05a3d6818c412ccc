"""The label budget as an axis: how few labels are enough."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ssgan.drawing.axes import GRID, INK, scale_metric
from ssgan.drawing.charts import make_figure
from ssgan.evaluation import catalog
from ssgan.paper.palette import SMALL, add_legend, color_budgets, draw_reference
from ssgan.paper.runs import Group

_APART = 0.8  # decades between no label and the smallest budget
_NEAR = 0.08  # share of the axis under which the names of two budgets would touch


def plot_budgets(
    groups: Sequence[Group], metric: str, title: str, chance: float | None = None
) -> Figure | None:
    """Plot a metric's last value over the number of labels: how few are enough.

    Args:
        groups: The runs by label budget.
        metric: Name of the metric.
        title: Title.
        chance: What guessing reaches, drawn as a dashed line.

    Returns:
        A dot a run, and of several their mean and standard deviation (over n - 1), 8.0 x 4.8
        inches; None where no run has a value.
    """
    found = [(group, values) for group in groups if (values := group.finals(metric))]
    if not found:
        return None
    colors = color_budgets(groups)
    places = place_budgets([group.labels for group, _ in found])
    span = places[-1] - places[0] + 1
    figure, axes = make_figure(8.0, 4.8, title)
    for place, (group, values) in zip(places, found, strict=True):
        color = colors[group.amount]
        beside = [place - 0.015 * span] * len(values)
        axes.plot(beside, values, "o", color=color, ms=5, alpha=0.5, mew=0)
        if len(values) > 1:
            mean, deviation = fmean(values), stdev(values)
            axes.errorbar(place, mean, deviation, fmt="_", color=color, ms=16, mew=2.2, capsize=4)
    handles = [
        Line2D([], [], color=INK, marker="o", ms=5, alpha=0.5, mew=0, ls="", label="one run")
    ]
    if axes.containers:
        name = "mean ± standard deviation"
        handles.append(Line2D([], [], color=INK, marker="_", ms=14, mew=2.2, ls="", label=name))
    if chance is not None:
        handles.append(draw_reference(axes, chance, f"chance: {chance:.4g}"))
    if len(found) > 1 and found[0][0].labels == 0:
        axes.axvline((places[0] + places[1]) / 2, color=GRID, linestyle=":", linewidth=1.2)
    axes.set_xticks(places, _ticks(found, places), fontsize=SMALL)
    axes.set_xlim(places[0] - 0.08 * span, places[-1] + 0.08 * span)
    axes.set_xlabel("labeled images")
    axes.set_ylabel(catalog.title(metric))
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    shown = [value for _, values in found for value in values]
    shown += [] if chance is None else [chance]
    if catalog.direction(metric) == "min":  # shares of right answers want a linear scale
        scale_metric(axes, shown)
    elif min(shown) >= 0:
        axes.set_ylim(bottom=0)
    add_legend(figure, handles)
    return figure


def place_budgets(labels: Sequence[int]) -> list[float]:
    """Return where label budgets, ascending, stand on a logarithmic axis that has room for 0."""
    least = min((count for count in labels if count), default=1)
    return [math.log10(count) if count else math.log10(least) - _APART for count in labels]


def _ticks(found: Sequence[tuple[Group, list[float]]], places: Sequence[float]) -> list[str]:
    """Write budgets under their places; one too near to the one before goes below it."""
    texts: list[str] = []
    lowered = False
    for i, (group, values) in enumerate(found):
        name = group.title if group.labels == 0 else f"{group.labels:,}"
        share = f"\n{group.amount}" if group.amount.endswith("%") else ""
        near = i > 0 and places[i] - places[i - 1] < _NEAR * (places[-1] - places[0])
        lowered = near and not lowered
        above = texts[-1].count("\n") + 1 if lowered else 0
        texts.append("\n" * above + f"{name}{share}\nn = {len(values)}")
    return texts
