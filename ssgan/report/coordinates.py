"""Parallel coordinates: each trial of a search as a line through its settings to its metric."""

from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from ssgan.base.formatting import flat_values, short_names
from ssgan.drawing.charts import make_figure, render
from ssgan.evaluation import catalog
from ssgan.records.histories import History
from ssgan.records.search_info import SearchInfo
from ssgan.report.scales import Scale, make_scale
from ssgan.report.shades import FAINT, INK, best_of, is_wide, scored, shading

_STEPS = 24  # straight pieces of a curve from one axis to the next


def parallel_coordinates(histories: Sequence[History], info: SearchInfo) -> Image.Image | None:
    """Draw the settings of all trials of the search beside what came of them.

    A schedule has an axis for its kind and one for each parameter; trials without such a
    parameter go below it. Fields that have one value in all trials have no axis.

    Returns:
        The chart, or None where fewer than two trials have a value.
    """
    trials = scored(histories)
    if len(trials) < 2:
        return None
    configurations = [trial.row.values for trial, _ in trials]
    flats = [flat_values(values) for values in configurations]
    short = short_names(configurations)
    names = [name for name in short if len({str(flat[name]) for flat in flats if name in flat}) > 1]
    metrics = [metric for _, metric in trials]
    columns = [[flat.get(name) for flat in flats] for name in names]
    scales = [
        make_scale(column, logarithmic=name in info.logarithmic)
        for name, column in zip(names, columns, strict=True)
    ]
    columns.append([*metrics])
    scales.append(make_scale(metrics, logarithmic=is_wide(metrics)))
    labels = [*(short[name] for name in names), catalog.title(info.metric)]

    title = f"{info.name}: settings, and what came of them"
    figure, axes = make_figure(min(max(7.5, 2.0 * len(scales)), 24.0), 4.8, title)
    norm, colors = shading(metrics, info)
    best = best_of([trial for trial, _ in trials], info)
    for i in sorted(range(len(trials)), key=lambda i: info.rank(metrics[i]), reverse=True):
        trial = trials[i][0]
        heights = [scale.place(column[i]) for scale, column in zip(scales, columns, strict=True)]
        axes.plot(
            *_bend(heights),
            color=colors(norm(metrics[i])),
            linewidth=3.0 if trial is best else 1.5,
            linestyle="solid" if trial.row.status == "FINISHED" else (0, (4, 1.5)),
            zorder=2,
        )
    for place, (scale, label) in enumerate(zip(scales, labels, strict=True)):
        _draw_axis(axes, place, scale, label, is_last=place == len(scales) - 1)
    axes.set_xlim(-0.1, len(scales) - 1 + 0.6)
    below = -0.14 if any(None in column for column in columns) else -0.04
    axes.set_ylim(below - 0.1, 1.2)
    axes.axis("off")
    said = ["dark: better"]
    if best is not None:
        said.append(f"thick: the best, {best.row.trial}")
    if any(trial.row.status != "FINISHED" for trial, _ in trials):
        said.append("dashed: not all epochs, with its last value")
    axes.text(-0.02, below - 0.08, "   ".join(said), color=FAINT, fontsize=8.5, va="bottom")
    return render(figure)


def _bend(heights: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lead a line through its places, level at each axis, so that crossings can be followed."""
    t = np.linspace(0, 1, _STEPS)
    ease = t * t * (3 - 2 * t)
    pairs = list(pairwise(heights))
    x = np.concatenate([place + t for place in range(len(pairs))])
    y = np.concatenate([start + (end - start) * ease for start, end in pairs])
    return x, y


def _draw_axis(axes: Axes, place: int, scale: Scale, label: str, *, is_last: bool) -> None:
    axes.plot([place, place], [-0.02, 1.02], color=INK, linewidth=1.1, zorder=3)
    axes.text(
        *(place - 0.02, 1.07, "\n".join(wrap(label.replace(".", " "), 18))),
        fontsize=9.5,
        weight="bold" if is_last else "normal",
        color=INK,
    )
    for height, text in scale.ticks:
        axes.plot([place, place + 0.02], [height, height], color=INK, linewidth=0.9, zorder=3)
        axes.text(
            *(place + 0.035, height, text),
            va="center",
            fontsize=8,
            color=INK,
            zorder=4,
            bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.75},
        )
