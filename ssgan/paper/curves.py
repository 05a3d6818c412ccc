"""Charts over training by label budget: the paper's figures 3 and 8, and its section 3.2.

Each chart has two functions: one plots, so that what stands where can be looked up, the other
draws that as a picture.
"""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from PIL import Image

from ssgan.drawing.axes import FAINT, GRID, scale_metric, thousands
from ssgan.drawing.charts import make_figure, render
from ssgan.evaluation import catalog
from ssgan.paper.palette import add_legend, color_budgets, draw_reference
from ssgan.paper.runs import Group, mean_final

Points = tuple[tuple[int, float], ...]
"""Images seen and value, epoch by epoch."""


class Course(NamedTuple):
    """A metric over training, of one label budget."""

    group: Group
    """The budget."""
    seeds: tuple[Points, ...]
    """One curve a run that has a value."""
    mean: Points
    """Mean over those runs, at the epochs that all of them have."""


def courses(groups: Sequence[Group], metric: str) -> list[Course]:
    """Return the course of a metric by label budget; budgets without a value are left out."""
    found = []
    for group in groups:
        curves = [dict(curve) for run in group.runs if (curve := run.curve(metric))]
        if curves:
            shared = sorted(set.intersection(*map(set, curves)))
            mean = tuple((x, statistics.fmean(curve[x] for curve in curves)) for x in shared)
            found.append(Course(group, tuple(tuple(curve.items()) for curve in curves), mean))
    return found


def loss_figure(
    groups: Sequence[Group], title: str, metric: str = "zero_one_loss_ema"
) -> Image.Image | None:
    """Draw the 0-1 loss over training by label budget (the paper's figures 3a, 3b, 8a and 8b).

    Returns:
        The chart, about 900 x 600 pixels, or None where no run has a value.
    """
    figure = plot_loss(groups, title, metric)
    return None if figure is None else render(figure)


def plot_loss(
    groups: Sequence[Group], title: str, metric: str = "zero_one_loss_ema"
) -> Figure | None:
    """Plot what `loss_figure` draws: each seed's line, the means, C's own error."""
    found = courses(groups, metric)
    if not found:
        return None
    colors = color_budgets(groups)
    figure, axes = make_figure(8.0, 5.2, title)
    handles = []
    for course in found:
        color = colors[course.group.amount]
        handles.append(_handle(course.group, len(course.seeds), color))
        for points in course.seeds if len(course.seeds) > 1 else ():
            _line(axes, points, color, width=0.9, alpha=0.5)
        _line(axes, course.mean, color, width=2.4)
    values = [value for course in found for points in course.seeds for _, value in points]
    error = mean_final(groups, "judge_error")
    if error is not None:
        handles.append(draw_reference(axes, error, f"C's own error on real images: {error:.4f}"))
        values.append(error)
    _over_images(axes)
    axes.set_xlim(left=0)
    axes.set_ylabel(catalog.title(metric))
    scale_metric(axes, values)
    several = any(len(course.seeds) > 1 for course in found)
    add_legend(figure, handles, "thin: each seed, thick: their mean" if several else None)
    return figure


def bounds_figure(
    groups: Sequence[Group], code: str, entropy: float | None = None
) -> Image.Image | None:
    """Draw the bounds of section 3.2 over training by label budget, means over seeds, in nats.

    From left to right: L¹ on I(c; x), L² on I(c; x̃), and L¹ + L² - H(c_ss) on I(x; x̃).

    Args:
        groups: The runs by label budget.
        code: Name of a supervised categorical code.
        entropy: H(c) in nats; where it is not given, that of the code's prior, as was recorded.

    Returns:
        The chart, about 1,300 x 500 pixels, or None where no run has a bound.

    Raises:
        BadInput: No code has that name.
    """
    figure = plot_bounds(groups, code, entropy)
    return None if figure is None else render(figure)


def plot_bounds(groups: Sequence[Group], code: str, entropy: float | None = None) -> Figure | None:
    """Plot what `bounds_figure` draws, on three axes."""
    if not groups:
        return None
    safe = groups[0].spell(code)
    # The third bound is of all supervised codes together, and so ends at their joint entropy.
    alone = len(groups[0].runs[0].experiment.codes.supervised) == 1
    titles = {
        f"mi_real/{safe}": r"$L^1 \leq I(c; x)$, real images",
        f"mi/{safe}": r"$L^2 \leq I(c; \tilde{x})$, synthetic images",
        "mi_x_xtilde": r"$L^1 + L^2 - H(c_{ss}) \leq I(x; \tilde{x})$"
        + ("" if alone else ", all categorical codes"),
    }
    found = {metric: courses(groups, metric) for metric in titles}
    if not any(found.values()):
        return None
    if entropy is None:
        known = [value for group in groups for value in group.finals(f"entropy/{safe}")]
        entropy = known[0] if known else None
    colors, handles = color_budgets(groups), []
    # make_figure gives one plot with a title, which the three share here.
    figure, whole = make_figure(12.0, 4.4, f"Bounds on mutual information: {code}")
    figure.suptitle(whole.get_title(loc="left"), fontsize=11, x=0.01, ha="left")
    whole.remove()
    panels = figure.subplots(1, len(titles), sharex=True, sharey=True)
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        axes.set_title(title, fontsize=10)
        for course in found[metric]:
            _line(axes, course.mean, colors[course.group.amount], width=2.0)
        if not found[metric]:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=FAINT)
        _over_images(axes)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("nats")
    for group in groups:
        runs = [len(one.seeds) for all_of in found.values() for one in all_of if one.group is group]
        if runs:
            handles.append(_handle(group, max(runs), colors[group.amount]))
    if entropy is not None:
        for axes in panels if alone else panels[:2]:
            line = draw_reference(axes, entropy, f"H({code}) = {entropy:.3f} nats")
        handles.append(line)
    panels[0].set_xlim(left=0)  # now that all is drawn: a limit ends the search for others
    panels[0].set_ylim(bottom=0)
    add_legend(figure, handles, "means over seeds")
    return figure


def _line(axes: Axes, points: Points, color: str, width: float, alpha: float = 1.0) -> None:
    if points:
        x, y = zip(*points, strict=True)
        dot = "o" if len(x) == 1 else None
        axes.plot(x, y, color=color, linewidth=width, alpha=alpha, marker=dot, markersize=4)


def _handle(group: Group, n: int, color: str) -> Line2D:
    return Line2D([], [], color=color, linewidth=2.4, label=f"{group.title}, n = {n}")


def _over_images(axes: Axes) -> None:
    axes.set_xlabel("real images seen")
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
