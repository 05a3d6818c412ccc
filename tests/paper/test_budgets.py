"""The budget axis holds the last values of its runs, each in its place."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from ssgan.drawing.charts import render
from ssgan.drawing.encoding import png
from ssgan.paper.budgets import place_budgets, plot_budgets
from ssgan.paper.runs import Group, read_groups
from tests.helpers.drawn import dashed, is_framed, legend
from tests.helpers.papers import loss_of, make_groups

LOSS = "zero_one_loss_ema"


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> tuple[Group, ...]:
    """InfoGAN, 20 labels and 10 % of 1,000, two seeds of four epochs each."""
    return read_groups(make_groups(tmp_path_factory.mktemp("budgets")))


def test_last_values_stand_over_their_budget(groups: tuple[Group, ...]) -> None:
    figure = plot_budgets(groups, "q_ss_accuracy", "accuracy")
    assert figure is not None
    (axes,) = figure.axes
    ends = [[1 - 0.9 * loss_of(labels, seed, 4) for seed in (0, 1)] for labels in (0, 20, 100)]
    dots = [list(line.get_ydata()) for line in axes.get_lines() if line.get_marker() == "o"]
    assert dots == ends
    for bar, values in zip(axes.containers, ends, strict=True):
        assert bar.lines[0].get_ydata()[0] == pytest.approx(sum(values) / 2)
        low, high = (cap.get_ydata()[0] for cap in bar.lines[1])
        assert high - low == pytest.approx(2 * abs(values[0] - values[1]) / math.sqrt(2))


def test_budgets_stand_by_their_logarithm_and_none_to_the_left() -> None:
    assert place_budgets([0, 10, 100, 1000]) == pytest.approx([0.2, 1, 2, 3])
    assert place_budgets([132]) == pytest.approx([math.log10(132)])
    assert place_budgets([0]) == pytest.approx([-0.8])


def test_the_budget_axis_names_counts_shares_and_runs(groups: tuple[Group, ...]) -> None:
    figure = plot_budgets(groups, "q_ss_accuracy", "accuracy", 0.1)
    assert figure is not None
    (axes,) = figure.axes
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert ticks == ["0 (InfoGAN)\nn = 2", "20\nn = 2", "100\n10%\nn = 2"]
    assert list(axes.get_xticks()) == pytest.approx(place_budgets([0, 20, 100]))
    assert dashed(axes) == [0.1]
    assert (axes.get_yscale(), axes.get_ylim()[0]) == ("linear", 0)
    assert legend(figure) == ["one run", "mean ± standard deviation", "chance: 0.1"]


def test_budgets_too_near_to_each_other_are_named_below(tmp_path: Path) -> None:
    near = read_groups(make_groups(tmp_path, (0, 100, 110, 1000), (0,), 2))
    figure = plot_budgets(near, LOSS, "t")
    assert figure is not None
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks[2] == "\n\n110\nn = 1"
    assert ticks[3] == "1,000\nn = 1"


def test_one_run_has_no_mean_of_its_own(groups: tuple[Group, ...]) -> None:
    alone = [replace(group, runs=group.runs[:1]) for group in groups]
    figure = plot_budgets(alone, LOSS, "t")
    assert figure is not None
    assert not figure.axes[0].containers
    assert legend(figure) == ["one run"]


def test_nothing_is_drawn_of_nothing(groups: tuple[Group, ...]) -> None:
    for some in ((), groups):
        assert plot_budgets(some, "no_such_metric", "t") is None


def test_a_loss_has_a_logarithmic_scale_that_shows_chance(groups: tuple[Group, ...]) -> None:
    figure = plot_budgets(groups, LOSS, "t", 0.9)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_yscale() == "linear"  # from 0.14 to 0.9
    wide = plot_budgets(groups, LOSS, "t", 9.0)
    assert wide is not None
    assert wide.axes[0].get_yscale() == "log"
    assert wide.axes[0].get_ylim()[1] > 9


def test_equal_runs_make_equal_bytes(groups: tuple[Group, ...]) -> None:
    plots = (plot_budgets(some, LOSS, "0-1 loss", 0.9) for some in (groups, groups, groups[:2]))
    first, again, other = (render(plot) for plot in plots if plot is not None)
    assert is_framed(first)
    assert png(first) == png(again) != png(other)
