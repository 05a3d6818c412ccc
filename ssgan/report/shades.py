"""How charts of a search color trials and name them."""

from collections.abc import Sequence

from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize, SymLogNorm

from ssgan.records.histories import History
from ssgan.records.search_info import SearchInfo

INK, FAINT, GRID, PALE = "#1f2328", "#59636e", "#d0d7de", "#b9c3cd"
ACCENT, FAILED = "#0969da", "#cf222e"
_WIDE = 10.0  # largest by smallest value from which a scale is logarithmic
# Dark is best: that reads the same in print and for people who see colors differently.
_SHADES = LinearSegmentedColormap.from_list(
    "ssgan", ["#0a2f66", "#0969da", "#5aa2e8", "#a9cdf0", "#e3e8ed"]
)


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


def is_wide(values: Sequence[float]) -> bool:
    """Whether values want a logarithmic scale."""
    return min(values) > 0 and max(values) / min(values) >= _WIDE


def shading(values: Sequence[float], info: SearchInfo) -> tuple[Normalize, Colormap]:
    """Return the scale and the colors of the metric; the best value is the darkest."""
    low, high = min(values), max(values)
    colors = _SHADES if info.mode == "min" else _SHADES.reversed()
    positive = [value for value in values if value > 0]
    if low == 0 and positive and is_wide(positive):
        return SymLogNorm(min(positive), linscale=0.3, vmin=0, vmax=high), colors
    room = 0.0 if high > low else abs(low) or 1.0  # a scale of one value has it in the middle
    norm = LogNorm(low, high) if is_wide(values) else Normalize(low - room, high + room)
    return norm, colors


def plain(value: float, _: int | None = None) -> str:
    """Write 1, 2 and 5 times a power of ten on a logarithmic axis."""
    return f"{value:g}" if f"{value:e}"[0] in "0125" else ""


def thousands(value: float, _: int | None = None) -> str:
    """Write a count of images on an axis: 60k, 1.2M."""
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{suffix}"
    return f"{value:g}"
