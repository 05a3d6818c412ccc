"""Charts of a search: the metric over training, and two searched fields against each other."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from ssgan.base.formatting import flat_values, number, short_names, spell_all
from ssgan.drawing.charts import (
    FAINT,
    GRID,
    INK,
    is_wide,
    make_figure,
    over_images,
    plain,
    render,
    scale_metric,
)
from ssgan.evaluation import catalog
from ssgan.records.histories import History
from ssgan.records.search_info import SearchInfo
from ssgan.records.searchdir import Stage

_PALE, _ACCENT, _FAILED = "#b9c3cd", "#0969da", "#cf222e"
# Dark is best: that reads the same in print and for people who see colors differently.
_SHADES = LinearSegmentedColormap.from_list(
    "ssgan", ["#0a2f66", "#0969da", "#5aa2e8", "#a9cdf0", "#e3e8ed"]
)
_LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "loc": "upper left"}
_ENDS = {"STOPPED": ("|", FAINT, "stopped early"), "FAILED": ("x", _FAILED, "failed")}
_KINDS = (
    ("all epochs", ("FINISHED",), "o", 92),
    ("stopped early, last value", ("STOPPED",), "v", 58),
    ("under way, last value", ("PENDING", "RUNNING", "PAUSED"), "s", 56),
)


def loss_curves(
    histories: Sequence[History], info: SearchInfo, stage: Stage = "search"
) -> Image.Image | None:
    """Draw the metric of all trials of a stage over images seen; None before any has a value.

    Trials that were stopped are drawn to their end, which is marked; the best stands out. The
    stages have charts of their own, since different judges score them.
    """
    curves = [
        (history, history.curve(info.metric)) for history in histories if history.row.stage == stage
    ]
    curves = [(history, points) for history, points in curves if points]
    if not curves:
        return None
    best = best_of([history for history, _ in curves], info)
    kind = "trials" if stage == "search" else "finals"
    figure, axes = make_figure(8.0, 4.6, f"{info.name}: {len(curves)} {kind}")
    for history, points in sorted(curves, key=lambda curve: curve[0] is best):
        x, y = [record.images_seen for record, _ in points], [value for _, value in points]
        color, width, front = (_ACCENT, 2.4, 4) if history is best else (_PALE, 1.3, 2)
        dot = "o" if len(x) == 1 else None
        axes.plot(x, y, color=color, linewidth=width, marker=dot, markersize=4, zorder=front)
        if history.row.status in _ENDS:
            marker, shade, _ = _ENDS[history.row.status]
            axes.plot(x[-1], y[-1], marker=marker, color=shade, ms=8, mew=1.8, zorder=3)
    values = [value for _, points in curves for _, value in points]
    over_images(axes)
    axes.set_ylabel(catalog.title(info.metric))
    scale_metric(axes, values)
    axes.set_xlim(left=0)
    _explain(axes, [history for history, _ in curves], best)
    return render(figure)


def heat_map(histories: Sequence[History], info: SearchInfo, x: str, y: str) -> Image.Image | None:
    """Scatter the search's trials over two numeric fields, by flat name, colored by the metric.

    Trials that did not run all their epochs have markers of their own: their values are of other
    epochs and do not compare. None where fewer than two trials have a value and both fields.
    """
    points = _points(histories, x, y)
    if len(points) < 2:
        return None
    norm, colors = shading([point.metric for point in points], info)
    short = short_names([point.trial.row.values for point in points])
    figure, axes = make_figure(7.0, 5.4, f"{info.name}: {short[y]} by {short[x]}")
    _scale(axes, "x", [point.x for point in points], logarithmic=x in info.logarithmic)
    _scale(axes, "y", [point.y for point in points], logarithmic=y in info.logarithmic)
    for label, statuses, marker, size in _KINDS:
        of_kind = [point for point in points if point.trial.row.status in statuses]
        if of_kind:
            across, up, metrics, _ = zip(*of_kind, strict=True)
            axes.scatter(
                across,
                up,
                c=metrics,
                cmap=colors,
                norm=norm,
                marker=marker,
                s=size,
                edgecolors=INK,
                linewidths=0.8,
                label=label,
                zorder=3,
            )
    _ring_best(axes, points, info)
    axes.set(xlabel=x, ylabel=y, axisbelow=True)
    axes.grid(color=GRID, linewidth=0.6)
    _explain_colors(figure, axes, ScalarMappable(norm, colors), info)
    legend = axes.legend(
        ncols=3, bbox_to_anchor=(-0.02, -0.13), handletextpad=0.2, columnspacing=1.2, **_LEGEND
    )
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_array(None)
            handle.set_facecolor(_PALE)
    return render(figure)


def numeric_fields(histories: Sequence[History]) -> list[str]:
    """Return the flat names of all fields that are numbers and differ between trials."""
    flats = [flat_values(history.row.values) for history, _ in scored(histories)]
    names = dict.fromkeys(name for flat in flats for name in flat)
    values = {name: {number(flat[name]) for flat in flats if name in flat} for name in names}
    return [name for name, found in values.items() if None not in found and len(found) > 1]


def scored(histories: Sequence[History]) -> list[tuple[History, float]]:
    """Return the trials of stage one that have a value and did not fail, with that value."""
    return [
        (history, history.row.metric)
        for history in histories
        if history.row.stage == "search"
        and history.row.metric is not None
        and history.row.is_scored
    ]


def best_of(histories: Sequence[History], info: SearchInfo) -> History | None:
    """Return the trial with the best last value; a failed one only where all have failed."""
    known = [history for history in histories if history.row.metric is not None]
    return min(
        known,
        key=lambda one: (one.row.status == "FAILED", info.rank(one.row.metric), one.row.trial),
        default=None,
    )


def shading(values: Sequence[float], info: SearchInfo) -> tuple[Normalize, Colormap]:
    """Return the scale and the colors of the metric; the best value is the darkest."""
    low, high = min(values), max(values)
    colors = _SHADES if info.mode == "min" else _SHADES.reversed()
    positive = [value for value in values if value > 0]
    if low == 0 and positive and is_wide(positive):
        return SymLogNorm(min(positive), linscale=0.3, vmin=0, vmax=high), colors
    margin = 0.0 if high > low else abs(low) or 1.0  # a scale of one value has it in the middle
    norm = LogNorm(low, high) if is_wide(values) else Normalize(low - margin, high + margin)
    return norm, colors


class _Point(NamedTuple):
    x: float
    y: float
    metric: float
    trial: History


def _points(histories: Sequence[History], x: str, y: str) -> list[_Point]:
    points = []
    for trial, metric in scored(histories):
        flat = flat_values(trial.row.values)
        across, up = number(flat.get(x)), number(flat.get(y))
        if across is not None and up is not None:
            points.append(_Point(across, up, metric, trial))
    return points


def _scale(axes: Axes, which: str, values: Sequence[float], *, logarithmic: bool) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = min(values), max(values)
    if logarithmic and low > 0:
        margin = (high / low) ** 0.08 if high > low else 1.5
        axes.set(**{f"{which}scale": "log", f"{which}lim": (low / margin, high * margin)})
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    else:
        margin = 0.08 * (high - low) or 1
        axes.set(**{f"{which}lim": (low - margin, high + margin)})


def _explain_colors(figure: Figure, axes: Axes, colored: ScalarMappable, info: SearchInfo) -> None:
    label = catalog.title(info.metric)
    bar = figure.colorbar(colored, ax=axes, label=label, fraction=0.05, pad=0.03)
    bar.outline.set_visible(False)
    if info.mode == "min":
        bar.ax.invert_yaxis()
    if isinstance(colored.norm, LogNorm | SymLogNorm):
        bar.ax.yaxis.set_major_formatter(FuncFormatter(plain))
        bar.ax.yaxis.set_minor_formatter(FuncFormatter(plain))


def _ring_best(axes: Axes, points: Sequence[_Point], info: SearchInfo) -> None:
    best = best_of([point.trial for point in points], info)
    x, y, metric, trial = next(point for point in points if point.trial is best)
    ring: dict[str, Any] = {"s": 260, "facecolors": "none", "edgecolors": INK, "linewidths": 1.6}
    axes.scatter(x, y, **ring, zorder=4)
    axes.annotate(
        f"{trial.row.trial}: {metric:.3g}",
        (x, y),
        xytext=(13, 9),
        textcoords="offset points",
        fontsize=9,
        bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": "none", "alpha": 0.85},
        zorder=5,
    )


def _explain(axes: Axes, histories: Sequence[History], best: History | None) -> None:
    handles = []
    if best is not None:
        words = spell_all(best.row.values)
        label = f"best, {best.row.trial}: {best.row.metric:.4f}" + (f" ({words})" if words else "")
        handles.append(Line2D([], [], color=_ACCENT, linewidth=2.4, label=_shorten(label)))
    others = [history for history in histories if history is not best]
    if others:
        handles.append(Line2D([], [], color=_PALE, linewidth=1.3, label=f"{len(others)} others"))
    for status, (marker, shade, name) in _ENDS.items():
        count = sum(history.row.status == status for history in histories)
        if count:
            mark = Line2D([], [], color=shade, marker=marker, ms=8, mew=1.8, ls="")
            mark.set_label(f"{count} {name}")
            handles.append(mark)
    axes.legend(
        handles=handles,
        ncols=len(handles),
        bbox_to_anchor=(-0.02, -0.14),
        handlelength=1.4,
        columnspacing=1.4,
        **_LEGEND,
    )


def _shorten(text: str) -> str:
    return text if len(text) <= 70 else f"{text[:67].rstrip(' ,')} ..."
