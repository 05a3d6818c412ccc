"""Charts of label budgets: over the training (figures 3 and 8, section 3.2), and at its end."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ssgan.drawing.charts import FAINT, GRID, INK, make_figure, over_images, scale_metric
from ssgan.evaluation import catalog
from ssgan.paper.runs import Group, mean_final

_SMALL = 8.5  # points, of legends and tick labels
_BASELINE, _REFERENCE = "#bf8700", "#cf222e"
_BUDGETS = LinearSegmentedColormap.from_list(
    "label budgets", ["#79c98a", "#2aa3b5", "#0969da", "#0a2054"]
)
_APART = 0.8  # decades between no label and the smallest budget
_NEAR = 0.08  # share of the axis under which the names of two budgets would touch


def plot_losses(
    groups: Sequence[Group], title: str, metric: str = "zero_one_loss_ema"
) -> Figure | None:
    """Plot the 0-1 loss over training by label budget (the paper's figures 3a, 3b, 8a and 8b).

    Shown are each seed's line, their means and C's own error; None where no run has a value.
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
    values = [value for value in values if not math.isnan(value)]
    error = mean_final(groups, "judge_error")
    if error is not None:
        label = f"C's own error on real images: {error:.4f}"
        handles.append(_draw_reference(axes, error, label))
        values.append(error)
    over_images(axes)
    axes.set_xlim(left=0)
    axes.set_ylabel(catalog.title(metric))
    scale_metric(axes, values)
    several = any(curves.shape[1] > 1 for _, curves in found)
    _add_legend(figure, handles, "thin: each seed, thick: their mean" if several else None)
    return figure


def plot_bounds(groups: Sequence[Group], code: str, entropy: float | None = None) -> Figure | None:
    """Plot the bounds of section 3.2 over training by label budget, means over seeds, in nats.

    From left to right: L¹ on I(c; x), L² on I(c; x̃), and L¹ + L² - H(c_ss) on I(x; x̃). The code
    is supervised and categorical; its entropy in nats is that of its prior, as was recorded, where
    none is given.

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
        over_images(axes)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("nats")
    both = zip(groups, counts, strict=True)
    handles = [_handle(group, n, colors[group.amount]) for group, n in both if n]
    if entropy is not None:
        for axes in panels if alone else panels[:2]:
            line = _draw_reference(axes, entropy, f"H({code}) = {entropy:.3f} nats")
        handles.append(line)
    panels[0].set_xlim(left=0)  # now that all is drawn: a limit ends the search for others
    panels[0].set_ylim(bottom=0)
    _add_legend(figure, handles, "means over seeds")
    return figure


def plot_budgets(
    groups: Sequence[Group], metric: str, title: str, chance: float | None = None
) -> Figure | None:
    """Plot a metric's last value over the number of labels: how few are enough.

    A run is a dot; several have their mean and standard deviation (over n - 1). What guessing
    reaches, `chance`, is a dashed line. None where no run has a value.
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
    shown = [value for _, values in found for value in values]
    if chance is not None:
        handles.append(_draw_reference(axes, chance, f"chance: {chance:.4g}"))
        shown.append(chance)
    if len(found) > 1 and found[0][0].labels == 0:
        axes.axvline((places[0] + places[1]) / 2, color=GRID, linestyle=":", linewidth=1.2)
    axes.set_xticks(places, _ticks(found, places), fontsize=_SMALL)
    axes.set_xlim(places[0] - 0.08 * span, places[-1] + 0.08 * span)
    axes.set(xlabel="labeled images", ylabel=catalog.title(metric), axisbelow=True)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    if catalog.direction(metric) == "min":  # shares of right answers want a linear scale
        scale_metric(axes, shown)
    elif min(shown) >= 0:
        axes.set_ylim(bottom=0)
    _add_legend(figure, handles)
    return figure


def mean_curve(curves: pd.DataFrame) -> pd.Series:
    """Return the mean over the seeds of a `Group.curves`, at the epochs that all of them have."""
    return curves.dropna().mean(axis=1)


def color_budgets(groups: Sequence[Group]) -> dict[str, str]:
    """Give each label budget a color, by its amount.

    The fewer labels the lighter; InfoGAN, which has none, stands apart.
    """
    budgets = [group.amount for group in groups if group.labels]
    last = max(1, len(budgets) - 1)
    colors = {amount: to_hex(_BUDGETS(i / last)) for i, amount in enumerate(budgets)}
    return {group.amount: colors.get(group.amount, _BASELINE) for group in groups}


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


def _line(axes: Axes, curve: pd.Series, color: str, width: float, alpha: float = 1.0) -> None:
    if not curve.empty:
        dot = "o" if len(curve) == 1 else None
        axes.plot(curve, color=color, linewidth=width, alpha=alpha, marker=dot, markersize=4)


def _handle(group: Group, n: int, color: str) -> Line2D:
    return Line2D([], [], color=color, linewidth=2.4, label=f"{group.title}, n = {n}")


def _draw_reference(axes: Axes, value: float, label: str) -> Line2D:
    return axes.axhline(value, color=_REFERENCE, linestyle="--", linewidth=1.2, label=label)


def _add_legend(figure: Figure, handles: Sequence[Line2D], title: str | None = None) -> None:
    """Explain lines below all plots of a figure."""
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=3,
        frameon=False,
        fontsize=_SMALL,
        title=title,
        title_fontsize=_SMALL,
        alignment="left",
        columnspacing=1.6,
    )
