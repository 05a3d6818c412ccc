"""Plots of numbers: the 0-1 loss curve, asked against measured values.

And what all charts share: figures, the scale of a metric, the numbers on axes.
"""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image
from torch import Tensor

INK, FAINT, GRID = "#1f2328", "#59636e", "#d0d7de"
_RAW, _EMA, _JUDGE = "#8c959f", "#0969da", "#cf222e"
_WIDE = 10.0  # largest by smallest value from which a scale is logarithmic


def loss_curve(
    epochs: Sequence[int],
    raw: Sequence[float | None],
    ema: Sequence[float | None],
    judge_error: float | None,
    title: str,
) -> Image.Image:
    """Plot the 0-1 loss over epochs (the paper's figures 3 and 8).

    The losses are those of G itself and of its moving average (EMA) at each epoch; C's own error on
    real validation images is a dashed line.
    """
    figure, axes = make_figure(7.0, 4.2, title)
    for values, color, name in ((raw, _RAW, "generator (raw)"), (ema, _EMA, "generator (EMA)")):
        points = [(e, v) for e, v in zip(epochs, values, strict=True) if v is not None]
        if points:
            x, y = zip(*points, strict=True)
            label = f"{name}: {y[-1]:.4f} at the end"
            axes.plot(x, y, color=color, label=label, marker="o", markersize=3, linewidth=1.6)
    if judge_error is not None:
        label = f"C's own error on real images: {judge_error:.4f}"
        axes.axhline(judge_error, color=_JUDGE, linestyle="--", linewidth=1.2, label=label)
    axes.set(xlabel="epoch", ylabel="0-1 loss: share of samples")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=GRID, linewidth=0.6)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return render(figure)


def asked_measured(asked: Tensor, measured: Tensor, name: str, title: str) -> Image.Image:
    """Scatter a continuous code: the value asked for, and the value that C measures.

    Both are float32 (N,), in the user's units.
    """
    figure, axes = make_figure(4.8, 4.8, title)
    axes.scatter(asked.numpy(), measured.numpy(), s=8, color=_EMA, alpha=0.45, linewidths=0)
    low, high = asked.min().item(), asked.max().item()
    axes.plot([low, high], [low, high], color=_JUDGE, linestyle="--", linewidth=1.2)
    axes.set(xlabel=f"{name} asked for", ylabel=f"{name} measured by C")
    axes.grid(color=GRID, linewidth=0.6)
    return render(figure)


def make_figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Make a figure of so many inches, without pyplot's global state."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, pad=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def render(figure: Figure) -> Image.Image:
    """Draw a figure, cut to what is on it."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", bbox_inches="tight", pad_inches=0.15)
    return Image.open(buffer).convert("RGB")


def scale_metric(axes: Axes, values: Sequence[float]) -> None:
    """Scale the y axis to all drawn values: by logarithms where that shows more, 0 included."""
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


def is_wide(values: Sequence[float]) -> bool:
    """Whether values want a logarithmic scale."""
    return min(values) > 0 and max(values) / min(values) >= _WIDE


def plain(value: float, _: int | None = None) -> str:
    """Write 1, 2 and 5 times a power of ten on a logarithmic axis."""
    return f"{value:g}" if f"{value:e}"[0] in "0125" else ""


def over_images(axes: Axes) -> None:
    """Let a chart go over the images seen, written as 60k or 1.2M, with a grid behind it."""
    axes.set(xlabel="real images seen", axisbelow=True)
    axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.grid(color=GRID, linewidth=0.6)


def _thousands(value: float, _: int | None = None) -> str:
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{suffix}"
    return f"{value:g}"
