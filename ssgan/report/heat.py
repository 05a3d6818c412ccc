"""Two searched fields against each other, colored by the metric."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.tri import LinearTriInterpolator, TriAnalyzer, Triangulation
from PIL import Image

from ssgan.base.formatting import flat_values, number, short_names
from ssgan.drawing.charts import make_figure, render
from ssgan.evaluation import catalog
from ssgan.records.histories import History
from ssgan.records.search_info import SearchInfo
from ssgan.report.shades import GRID, INK, PALE, best_of, plain, scored, shading

_ENOUGH = 6  # trials with all their epochs from which on it is honest to interpolate
_LATTICE = 220  # points a side at which the surface is drawn
_FLAT = 0.03  # flatter triangles say nothing of what lies inside them
_KINDS = (
    ("all epochs", ("FINISHED",), "o", 92),
    ("stopped early, last value", ("STOPPED",), "v", 58),
    ("under way, last value", ("PENDING", "RUNNING", "PAUSED"), "s", 56),
)


class _Point(NamedTuple):
    x: float
    y: float
    metric: float
    trial: History


def heat_map(histories: Sequence[History], info: SearchInfo, x: str, y: str) -> Image.Image | None:
    """Scatter the search's trials over two numeric fields.

    Between trials that ran all their epochs the metric is interpolated, where they are enough,
    and only inside their hull. The others have values of different epochs, which do not compare.

    Args:
        histories: The trials.
        info: The search.
        x: Flat name of a field.
        y: Flat name of another.

    Returns:
        The chart, or None where fewer than two trials have a value and both fields as numbers.
    """
    points = _points(histories, x, y)
    if len(points) < 2:
        return None
    norm, colors = shading([point.metric for point in points], info)
    short = short_names([point.trial.row.values for point in points])
    figure, axes = make_figure(7.0, 5.4, f"{info.name}: {short[y]} by {short[x]}")
    for name, axis, values in (
        (x, "x", [point.x for point in points]),
        (y, "y", [point.y for point in points]),
    ):
        _scale(axes, axis, values, logarithmic=name in info.logarithmic)
    is_filled = _fill(axes, points, info, (x, y), norm, colors)
    for label, statuses, marker, size in _KINDS:
        of_kind = [point for point in points if point.trial.row.status in statuses]
        if of_kind:
            axes.scatter(
                [point.x for point in of_kind],
                [point.y for point in of_kind],
                c=[point.metric for point in of_kind],
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
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    _explain_colors(figure, axes, ScalarMappable(norm, colors), info)
    legend = axes.legend(
        frameon=False,
        fontsize=8.5,
        ncols=3,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.13),
        handletextpad=0.2,
        columnspacing=1.2,
        title="interpolated between trials with all epochs" if is_filled else None,
        title_fontsize=8.5,
        alignment="left",
    )
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_array(None)
            handle.set_facecolor(PALE)
    return render(figure)


def numeric_fields(histories: Sequence[History]) -> list[str]:
    """Return the flat names of all fields that are numbers and differ between trials."""
    flats = [flat_values(history.row.values) for history, _ in scored(histories)]
    names = dict.fromkeys(name for flat in flats for name in flat)
    several = []
    for name in names:
        values = {number(flat[name]) for flat in flats if name in flat}
        if None not in values and len(values) > 1:
            several.append(name)
    return several


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
        room = (high / low) ** 0.08 if high > low else 1.5
        axes.set(**{f"{which}scale": "log", f"{which}lim": (low / room, high * room)})
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    else:
        room = 0.08 * (high - low) or 1
        axes.set(**{f"{which}lim": (low - room, high + room)})


def _fill(
    axes: Axes,
    points: Sequence[_Point],
    info: SearchInfo,
    names: tuple[str, str],
    norm: Normalize,
    colors: Colormap,
) -> bool:
    """Interpolate between whole trials; return whether there was enough to do so."""
    whole = [point for point in points if point.trial.row.status == "FINISHED"]
    places = {(point.x, point.y): point.metric for point in whole}  # repeats settle on one
    if len(places) < _ENOUGH:
        return False
    x, y = np.array(list(places)).T
    # Triangles are formed as the eye sees the axes.
    seen = [
        np.log(values) if name in info.logarithmic and values.min() > 0 else values
        for values, name in zip((x, y), names, strict=True)
    ]
    if any(np.ptp(values) == 0 for values in seen):
        return False
    low = [values.min() for values in seen]
    unit = [(values - values.min()) / np.ptp(values) for values in seen]
    try:
        triangles = Triangulation(*unit)
    except (RuntimeError, ValueError):  # all on one line
        return False
    triangles.set_mask(TriAnalyzer(triangles).get_flat_tri_mask(_FLAT, rescale=False))
    shades = np.array([float(norm(metric)) for metric in places.values()])
    lattice = np.linspace(0, 1, _LATTICE)
    surface = LinearTriInterpolator(triangles, shades)(*np.meshgrid(lattice, lattice))
    if surface.mask.all():
        return False
    edges = [
        np.exp(start + lattice * np.ptp(values))
        if values is not raw
        else start + lattice * np.ptp(values)
        for start, values, raw in zip(low, seen, (x, y), strict=True)
    ]
    axes.pcolormesh(
        *(edges[0], edges[1], surface),
        cmap=colors,
        vmin=0,
        vmax=1,
        alpha=0.4,
        shading="nearest",
        linewidth=0,
        rasterized=True,
        zorder=1,
    )
    return True


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
    for point in points:
        if point.trial is best:
            ring = {"s": 260, "facecolors": "none", "edgecolors": INK, "linewidths": 1.6}
            axes.scatter(point.x, point.y, **ring, zorder=4)  # type: ignore[arg-type]
            axes.annotate(
                f"{point.trial.row.trial}: {point.metric:.3g}",
                (point.x, point.y),
                xytext=(13, 9),
                textcoords="offset points",
                fontsize=9,
                bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": "none", "alpha": 0.85},
                zorder=5,
            )
