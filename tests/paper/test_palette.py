"""Colors tell label budgets apart, from few labels to many."""

from matplotlib.colors import to_rgb

from ssgan.drawing.charts import make_figure
from ssgan.paper.palette import add_legend, color_budgets, draw_reference
from ssgan.paper.runs import Group


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


def test_a_reference_is_dashed_and_in_the_legend() -> None:
    figure, axes = make_figure(3, 3, "t")
    line = draw_reference(axes, 0.5, "half")
    add_legend(figure, [line], "of two")
    assert (line.get_linestyle(), list(line.get_ydata())) == ("--", [0.5, 0.5])
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "of two"
    assert [text.get_text() for text in legend.get_texts()] == ["half"]
