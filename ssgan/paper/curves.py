"""Charts over training by label budget: the paper's figures 3 and 8, and its section 3.2."""

from collections.abc import Sequence
from math import isnan

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from ssgan.drawing.axes import FAINT, GRID, scale_metric, thousands
from ssgan.drawing.charts import make_figure
from ssgan.evaluation import catalog
from ssgan.paper.palette import add_legend, color_budgets, draw_reference
from ssgan.paper.runs import Group, mean_final


def mean_curve(curves: pd.DataFrame) -> pd.Series:
    """Return the mean over the seeds of a `Group.curves`, at the epochs that all of them have."""
    return curves.dropna().mean(axis=1)


def plot_losses(
    groups: Sequence[Group], title: str, metric: str = "zero_one_loss_ema"
) -> Figure | None:
    """Plot the 0-1 loss over training by label budget (the paper's figures 3a, 3b, 8a and 8b).

    Returns:
        Each seed's line, their means and C's own error, 8.0 x 5.2 inches; None where no run has a
        value.
    """
    found = [(group, curves) for group in groups if not (curves := group.curves(metric)).empty]
    if not found:
        return None
    colors = color_budgets(groups)
    figure, axes = make_figure(8.0, 5.2, title)
    handles = []
    for group, curves in found:
        color = colors[group.amount]
        handles.append(_handle(group, curves.shape[1], color))
        for _, curve in curves.items() if curves.shape[1] > 1 else ():
            _line(axes, curve.dropna(), color, width=0.9, alpha=0.5)
        _line(axes, mean_curve(curves), color, width=2.4)
    values = [float(value) for _, curves in found for value in curves.to_numpy().ravel()]
    values = [value for value in values if not isnan(value)]
    error = mean_final(groups, "judge_error")
    if error is not None:
        handles.append(draw_reference(axes, error, f"C's own error on real images: {error:.4f}"))
        values.append(error)
    _over_images(axes)
    axes.set_xlim(left=0)
    axes.set_ylabel(catalog.title(metric))
    scale_metric(axes, values)
    several = any(curves.shape[1] > 1 for _, curves in found)
    add_legend(figure, handles, "thin: each seed, thick: their mean" if several else None)
    return figure


def plot_bounds(groups: Sequence[Group], code: str, entropy: float | None = None) -> Figure | None:
    """Plot the bounds of section 3.2 over training by label budget, means over seeds, in nats.

    From left to right: L¹ on I(c; x), L² on I(c; x̃), and L¹ + L² - H(c_ss) on I(x; x̃).

    Args:
        groups: The runs by label budget.
        code: Name of a supervised categorical code.
        entropy: H(c) in nats; where it is not given, that of the code's prior, as was recorded.

    Returns:
        Three charts, 12.0 x 4.4 inches, or None where no run has a bound.

    Raises:
        BadInput: No code has that name.
    """
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
    found = {metric: [group.curves(metric) for group in groups] for metric in titles}
    counts = [
        max(table.shape[1] for table in tables) for tables in zip(*found.values(), strict=True)
    ]
    if not any(counts):
        return None
    if entropy is None:
        known = [value for group in groups for value in group.finals(f"entropy/{safe}")]
        entropy = known[0] if known else None
    colors = color_budgets(groups)
    # make_figure gives one plot with a title, which the three share here.
    figure, whole = make_figure(12.0, 4.4, f"Bounds on mutual information: {code}")
    figure.suptitle(whole.get_title(loc="left"), fontsize=11, x=0.01, ha="left")
    whole.remove()
    panels = figure.subplots(1, len(titles), sharex=True, sharey=True)
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        axes.set_title(title, fontsize=10)
        for group, curves in zip(groups, found[metric], strict=True):
            if not curves.empty:
                _line(axes, mean_curve(curves), colors[group.amount], width=2.0)
        if all(curves.empty for curves in found[metric]):
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=FAINT)
        _over_images(axes)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("nats")
    handles = [
        _handle(group, n, colors[group.amount])
        for group, n in zip(groups, counts, strict=True)
        if n
    ]
    if entropy is not None:
        for axes in panels if alone else panels[:2]:
            line = draw_reference(axes, entropy, f"H({code}) = {entropy:.3f} nats")
        handles.append(line)
    panels[0].set_xlim(left=0)  # now that all is drawn: a limit ends the search for others
    panels[0].set_ylim(bottom=0)
    add_legend(figure, handles, "means over seeds")
    return figure


def _line(axes: Axes, curve: pd.Series, color: str, width: float, alpha: float = 1.0) -> None:
    if not curve.empty:
        dot = "o" if len(curve) == 1 else None
        axes.plot(curve, color=color, linewidth=width, alpha=alpha, marker=dot, markersize=4)


def _handle(group: Group, n: int, color: str) -> Line2D:
    return Line2D([], [], color=color, linewidth=2.4, label=f"{group.title}, n = {n}")


def _over_images(axes: Axes) -> None:
    axes.set_xlabel("real images seen")
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
