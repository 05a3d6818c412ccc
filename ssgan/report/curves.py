"""The metric of all trials over the images that each has seen."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from PIL import Image

from ssgan.base.formatting import spell_all
from ssgan.drawing.charts import make_figure, render
from ssgan.evaluation import catalog
from ssgan.records.histories import History
from ssgan.records.search_info import SearchInfo
from ssgan.records.searchdir import Stage
from ssgan.report.axes import scale_metric
from ssgan.report.shades import ACCENT, FAILED, FAINT, GRID, PALE, best_of, thousands

_ENDS = {"STOPPED": ("|", FAINT, "stopped early"), "FAILED": ("x", FAILED, "failed")}


def loss_curves(
    histories: Sequence[History], info: SearchInfo, stage: Stage = "search"
) -> Image.Image | None:
    """Draw the metric of all trials of a stage over images seen.

    Trials that were stopped are drawn to their end, which is marked; the best stands out. The
    stages have charts of their own, since different judges score them.

    Returns:
        The chart, or None where no trial has a value yet.
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
        color, width, front = (ACCENT, 2.4, 4) if history is best else (PALE, 1.3, 2)
        dot = "o" if len(x) == 1 else None
        axes.plot(x, y, color=color, linewidth=width, marker=dot, markersize=4, zorder=front)
        if history.row.status in _ENDS:
            marker, shade, _ = _ENDS[history.row.status]
            axes.plot(x[-1], y[-1], marker=marker, color=shade, ms=8, mew=1.8, zorder=3)
    values = [value for _, points in curves for _, value in points]
    axes.set_xlabel("real images seen")
    axes.set_ylabel(catalog.title(info.metric))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    scale_metric(axes, values)
    axes.set_xlim(left=0)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    _explain(axes, [history for history, _ in curves], best)
    return render(figure)


def _explain(axes: Axes, histories: Sequence[History], best: History | None) -> None:
    handles = []
    if best is not None:
        words = spell_all(best.row.values)
        label = f"best, {best.row.trial}: {best.row.metric:.4f}" + (f" ({words})" if words else "")
        handles.append(Line2D([], [], color=ACCENT, linewidth=2.4, label=_shorten(label)))
    others = [history for history in histories if history is not best]
    if others:
        handles.append(Line2D([], [], color=PALE, linewidth=1.3, label=f"{len(others)} others"))
    for status, (marker, shade, name) in _ENDS.items():
        count = sum(history.row.status == status for history in histories)
        if count:
            handles.append(
                Line2D(
                    [],
                    [],
                    color=shade,
                    marker=marker,
                    ms=8,
                    mew=1.8,
                    ls="",
                    label=f"{count} {name}",
                )
            )
    axes.legend(
        handles=handles,
        frameon=False,
        fontsize=8.5,
        ncols=len(handles),
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.14),
        handlelength=1.4,
        columnspacing=1.4,
    )


def _shorten(text: str, length: int = 70) -> str:
    return text if len(text) <= length else f"{text[: length - 3].rstrip(' ,')} ..."
