"""How charts tell label budgets apart: colors, lines of reference, legends."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ssgan.paper.runs import Group

SMALL = 8.5
"""Size of legends and tick labels in points."""
_BASELINE, _REFERENCE = "#bf8700", "#cf222e"
_BUDGETS = LinearSegmentedColormap.from_list(
    "label budgets", ["#79c98a", "#2aa3b5", "#0969da", "#0a2054"]
)


def color_budgets(groups: Sequence[Group]) -> dict[str, str]:
    """Give each label budget a color, by its amount.

    The fewer labels the lighter; InfoGAN, which has none, stands apart.
    """
    budgets = [group.amount for group in groups if group.labels]
    last = max(1, len(budgets) - 1)
    colors = {amount: to_hex(_BUDGETS(i / last)) for i, amount in enumerate(budgets)}
    return {group.amount: colors.get(group.amount, _BASELINE) for group in groups}


def draw_reference(axes: Axes, value: float, label: str) -> Line2D:
    """Draw a dashed line at a height to compare with, and return it for the legend."""
    return axes.axhline(value, color=_REFERENCE, linestyle="--", linewidth=1.2, label=label)


def add_legend(figure: Figure, handles: Sequence[Line2D], title: str | None = None) -> None:
    """Explain lines below all plots of a figure."""
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=3,
        frameon=False,
        fontsize=SMALL,
        title=title,
        title_fontsize=SMALL,
        alignment="left",
        columnspacing=1.6,
    )
