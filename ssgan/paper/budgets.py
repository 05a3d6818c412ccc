"""The label budget as an axis: how few labels are enough."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from ssgan.drawing.axes import GRID, INK, scale_metric
from ssgan.drawing.charts import make_figure, render
from ssgan.evaluation import catalog
from ssgan.paper.palette import SMALL, add_legend, color_budgets, draw_reference
from ssgan.paper.runs import Group

_APART = 0.8  # decades between no label and the smallest budget
_NEAR = 0.08  # share of the axis under which the names of two budgets would touch


class Spot(NamedTuple):
    """The last value of a metric, of one label budget."""

    group: Group
    """The budget."""
    values: tuple[float, ...]
    """One a run that has a value."""
    mean: float
    """Their mean."""
    deviation: float | None
    """Their standard deviation (over n - 1); None of one run."""


def spots(groups: Sequence[Group], metric: str) -> list[Spot]:
    """Return the last values of a metric by label budget; budgets without one are left out."""
    finals = [(group, tuple(group.finals(metric))) for group in groups]
    return [
        Spot(
            group,
            values,
            statistics.fmean(values),
            statistics.stdev(values) if len(values) > 1 else None,
        )
        for group, values in finals
        if values
    ]


def budget_figure(
    groups: Sequence[Group], metric: str, title: str, chance: float | None = None
) -> Image.Image | None:
    """Draw a metric's last value over the number of labels: how few are enough.

    Args:
        groups: The runs by label budget.
        metric: Name of the metric.
        title: Title.
        chance: What guessing reaches, drawn as a dashed line.

    Returns:
        The chart, about 900 x 550 pixels, or None where no run has a value.
    """
    figure = plot_budgets(groups, metric, title, chance)
    return None if figure is None else render(figure)


def plot_budgets(
    groups: Sequence[Group], metric: str, title: str, chance: float | None = None
) -> Figure | None:
    """Plot what `budget_figure` draws: a dot a run; of several their mean and deviation."""
    found = spots(groups, metric)
    if not found:
        return None
    colors = color_budgets(groups)
    places = place_budgets([spot.group.labels for spot in found])
    span = places[-1] - places[0] + 1
    figure, axes = make_figure(8.0, 4.8, title)
    for place, spot in zip(places, found, strict=True):
        color = colors[spot.group.amount]
        beside = [place - 0.015 * span] * len(spot.values)
        axes.plot(beside, spot.values, "o", color=color, ms=5, alpha=0.5, mew=0)
        if spot.deviation is not None:
            axes.errorbar(
                place, spot.mean, spot.deviation, fmt="_", color=color, ms=16, mew=2.2, capsize=4
            )
    handles = [
        Line2D([], [], color=INK, marker="o", ms=5, alpha=0.5, mew=0, ls="", label="one run")
    ]
    if axes.containers:
        name = "mean ± standard deviation"
        handles.append(Line2D([], [], color=INK, marker="_", ms=14, mew=2.2, ls="", label=name))
    if chance is not None:
        handles.append(draw_reference(axes, chance, f"chance: {chance:.4g}"))
    if len(found) > 1 and found[0].group.labels == 0:
        axes.axvline((places[0] + places[1]) / 2, color=GRID, linestyle=":", linewidth=1.2)
    axes.set_xticks(places, _ticks(found, places), fontsize=SMALL)
    axes.set_xlim(places[0] - 0.08 * span, places[-1] + 0.08 * span)
    axes.set_xlabel("labeled images")
    axes.set_ylabel(catalog.title(metric))
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    values = [value for spot in found for value in spot.values]
    values += [] if chance is None else [chance]
    if catalog.direction(metric) == "min":  # shares of right answers want a linear scale
        scale_metric(axes, values)
    elif min(values) >= 0:
        axes.set_ylim(bottom=0)
    add_legend(figure, handles)
    return figure


def place_budgets(labels: Sequence[int]) -> list[float]:
    """Return where label budgets, ascending, stand on a logarithmic axis that has room for 0."""
    least = min((count for count in labels if count), default=1)
    return [math.log10(count) if count else math.log10(least) - _APART for count in labels]


def _ticks(found: Sequence[Spot], places: Sequence[float]) -> list[str]:
    """Write budgets under their places; one too near to the one before goes below it."""
    texts: list[str] = []
    lowered = False
    for i, spot in enumerate(found):
        group = spot.group
        name = group.title if group.labels == 0 else f"{group.labels:,}"
        share = f"\n{group.amount}" if group.amount.endswith("%") else ""
        near = i > 0 and places[i] - places[i - 1] < _NEAR * (places[-1] - places[0])
        lowered = near and not lowered
        above = texts[-1].count("\n") + 1 if lowered else 0
        texts.append("\n" * above + f"{name}{share}\nn = {len(spot.values)}")
    return texts
