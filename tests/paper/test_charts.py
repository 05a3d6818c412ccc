"""Charts of label budgets hold the numbers of their runs, over the training and at its end."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from ssgan.base.errors import BadInput
from ssgan.drawing.charts import render
from ssgan.drawing.sheet import png
from ssgan.paper.charts import (
    color_budgets,
    mean_curve,
    place_budgets,
    plot_bounds,
    plot_budgets,
    plot_losses,
)
from ssgan.paper.runs import Group, read_groups
from tests.helpers.drawn import dashed, is_framed, legend, lines
from tests.helpers.papers import IMAGES, loss_of, make_groups, metrics_of

LOSS = "zero_one_loss_ema"
JUDGED = 0.031  # mean of 0.03 and 0.032, as the makers write it for seeds 0 and 1


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> tuple[Group, ...]:
    """InfoGAN, 20 labels and 10 % of 1,000, two seeds of four epochs each."""
    return read_groups(make_groups(tmp_path_factory.mktemp("curves")))


def without(
    group: Group,
    metric: str,
    seeds: tuple[int, ...] = (0, 1),
    epochs: tuple[int, ...] = (1, 2, 3, 4),
) -> Group:
    """Copy a group in which some seeds lack a metric at some epochs."""
    runs = []
    for one in group.runs:
        run = replace(one)
        run.__dict__["records"] = tuple(
            record.model_copy(update={"metrics": {**record.metrics, metric: None}})
            if run.seed in seeds and record.epoch in epochs
            else record
            for record in one.records
        )
        runs.append(run)
    return replace(group, runs=tuple(runs))


def test_means_are_over_seeds_at_the_epochs_that_all_have(groups: tuple[Group, ...]) -> None:
    curves = without(groups[1], LOSS, (1,), (2, 4)).curves(LOSS)
    assert list(curves.count()) == [4, 2]
    mean = mean_curve(curves)
    means = [(loss_of(20, 0, epoch) + loss_of(20, 1, epoch)) / 2 for epoch in (1, 3)]
    assert list(mean.index) == [IMAGES, 3 * IMAGES]
    assert list(mean) == pytest.approx(means)


def test_seeds_without_a_value_do_not_count(groups: tuple[Group, ...]) -> None:
    lame = without(groups[1], LOSS, (1,))
    curves = lame.curves(LOSS)
    assert list(curves) == [0]
    assert mean_curve(curves).equals(curves[0])
    figure = plot_losses([groups[0], lame], "t")
    assert figure is not None
    assert legend(figure)[:2] == ["0 (InfoGAN), n = 2", "20 labels, n = 1"]


def test_the_loss_has_a_line_a_seed_and_one_of_means(groups: tuple[Group, ...]) -> None:
    figure = plot_losses(groups, "0-1 loss")
    assert figure is not None
    (axes,) = figure.axes
    drawn = lines(axes)
    assert len(drawn) == 3 * 3
    colors = [color for color, _, _ in drawn]
    assert len(set(colors)) == 3
    assert colors[0] == colors[1] == colors[2]
    for i, labels in enumerate((0, 20, 100)):
        of_group = [y for _, _, y in drawn[3 * i : 3 * i + 3]]
        for seed in (0, 1):
            assert of_group[seed] == [loss_of(labels, seed, epoch) for epoch in (1, 2, 3, 4)]
        assert of_group[2] == pytest.approx(np.mean(of_group[:2], axis=0))
    assert drawn[0][1] == [IMAGES, 2 * IMAGES, 3 * IMAGES, 4 * IMAGES]
    assert dashed(axes) == pytest.approx([JUDGED])
    assert legend(figure) == [
        "0 (InfoGAN), n = 2",
        "20 labels, n = 2",
        "10% (100 labels), n = 2",
        "C's own error on real images: 0.0310",
    ]


def test_a_budget_keeps_its_color_when_another_has_no_value(groups: tuple[Group, ...]) -> None:
    whole = plot_losses(groups, "t")
    part = plot_losses([groups[0], without(groups[1], LOSS), groups[2]], "t")
    assert whole is not None
    assert part is not None
    of_whole, of_part = lines(whole.axes[0]), lines(part.axes[0])
    assert of_part == of_whole[:3] + of_whole[6:]
    assert not any("20 labels" in text for text in legend(part))


def test_the_scale_is_logarithmic_over_a_decade_only(groups: tuple[Group, ...]) -> None:
    wide = plot_losses(groups, "t")
    narrow = plot_losses([without(group, "judge_error") for group in groups], "t")
    assert wide is not None
    assert narrow is not None
    assert wide.axes[0].get_yscale() == "log"  # from 0.77 down to C's 0.03
    assert narrow.axes[0].get_yscale() == "linear"  # to 0.14
    assert narrow.axes[0].get_ylim()[0] == 0


def test_without_a_judge_there_is_no_dashed_line(groups: tuple[Group, ...]) -> None:
    group = without(groups[1], "judge_error")
    figure = plot_losses([group], "t")
    assert figure is not None
    assert dashed(figure.axes[0]) == []
    assert legend(figure) == ["20 labels, n = 2"]


def test_the_bounds_stand_side_by_side(groups: tuple[Group, ...]) -> None:
    figure = plot_bounds(groups, "digit", 2.25)
    assert figure is not None
    real, samples, both = figure.axes
    metrics = ("mi_real/digit", "mi/digit", "mi_x_xtilde")
    budgets = ((20, 100), (0, 20, 100), (20, 100))  # InfoGAN has no label to measure by
    for axes, metric, labels in zip((real, samples, both), metrics, budgets, strict=True):
        assert dashed(axes) == [2.25]
        assert len(lines(axes)) == len(labels)
        for (_, _, y), count in zip(lines(axes), labels, strict=True):
            by_seed = [
                [metrics_of(count, seed, epoch)[metric] for epoch in (1, 2, 3, 4)]
                for seed in (0, 1)
            ]
            assert y == pytest.approx(np.mean(np.array(by_seed, dtype=float), axis=0))
    assert lines(real)[0][0] == lines(samples)[1][0] == lines(both)[0][0]
    assert legend(figure) == [
        "0 (InfoGAN), n = 2",
        "20 labels, n = 2",
        "10% (100 labels), n = 2",
        "H(digit) = 2.250 nats",
    ]
    assert real.get_ylim() == both.get_ylim()
    assert not both.get_title().endswith("all categorical codes")
    assert real.get_ylim()[0] == 0


def test_the_entropy_is_that_of_the_prior_unless_given(groups: tuple[Group, ...]) -> None:
    figure = plot_bounds(groups[:1], "digit")
    assert figure is not None
    assert [dashed(axes) for axes in figure.axes] == [[pytest.approx(math.log(10))]] * 3
    assert [text.get_text() for text in figure.axes[0].texts] == ["not measured"]
    assert lines(figure.axes[1])[0][1][-1] <= figure.axes[1].get_xlim()[1]
    assert figure.axes[1].get_ylim()[1] > math.log(10)


def test_several_codes_have_no_entropy_in_the_joint_bound(tmp_path: Path) -> None:
    overrides = {"codes.supervised": ["digit", "angle"]}
    several = read_groups(make_groups(tmp_path, (20,), (0,), 2, overrides=overrides))
    figure = plot_bounds(several, "digit")
    assert figure is not None
    assert [len(dashed(axes)) for axes in figure.axes] == [1, 1, 0]
    assert [axes.get_title().endswith("all categorical codes") for axes in figure.axes] == [
        False,
        False,
        True,
    ]


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


def test_a_loss_has_a_logarithmic_scale_that_shows_chance(groups: tuple[Group, ...]) -> None:
    figure = plot_budgets(groups, LOSS, "t", 0.9)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_yscale() == "linear"  # from 0.14 to 0.9
    wide = plot_budgets(groups, LOSS, "t", 9.0)
    assert wide is not None
    assert wide.axes[0].get_yscale() == "log"
    assert wide.axes[0].get_ylim()[1] > 9


def test_more_labels_are_darker_and_infogan_stands_apart() -> None:
    groups = [Group(str(labels), labels, ()) for labels in (0, 10, 100, 1000)]
    colors = color_budgets(groups)
    assert list(colors) == ["0", "10", "100", "1000"]
    brightness = [sum(to_rgb(colors[amount])) for amount in ("10", "100", "1000")]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(colors.values())) == 4
    red, _, blue = to_rgb(colors["0"])
    assert all(to_rgb(colors[amount])[2] > to_rgb(colors[amount])[0] for amount in ("10", "1000"))
    assert red > blue


def test_one_budget_has_a_color_too() -> None:
    assert len(color_budgets([Group("10", 10, ())])) == 1
    assert color_budgets([]) == {}


def test_nothing_is_drawn_of_nothing(groups: tuple[Group, ...]) -> None:
    for some in ((), groups):
        assert plot_losses(some, "t", "no_such_metric") is None
        assert plot_budgets(some, "no_such_metric", "t") is None
    assert plot_bounds((), "digit") is None
    assert plot_bounds(groups[:1], "style_1") is None  # the maker writes no bound of it


def test_an_unknown_code_is_refused_with_the_nearest_name(groups: tuple[Group, ...]) -> None:
    with pytest.raises(BadInput, match=r"no code is named 'digits'.*digit"):
        plot_bounds(groups, "digits")


def test_one_epoch_is_a_dot(tmp_path: Path) -> None:
    short = read_groups(make_groups(tmp_path, (20,), (0,), 1))
    figure = plot_losses(short, "t")
    assert figure is not None
    (line,) = (one for one in figure.axes[0].get_lines() if one.get_linestyle() == "-")
    assert line.get_marker() == "o"


def test_equal_runs_make_equal_bytes(groups: tuple[Group, ...]) -> None:
    for plot in (
        lambda some: plot_losses(some, "0-1 loss"),
        lambda some: plot_bounds(some, "digit", 2.3),
        lambda some: plot_budgets(some, LOSS, "0-1 loss", 0.9),
    ):
        first, again, other = (render(plot(some)) for some in (groups, groups, groups[:2]))
        assert is_framed(first)
        assert png(first) == png(again) != png(other)
