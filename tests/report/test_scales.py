"""Values are placed between 0 and 1, words in rows, and what is missing below."""

import pytest

from ssgan.report.scales import make_scale


def test_numbers_are_placed_linearly_or_by_their_logarithm() -> None:
    linear = make_scale([1, 2, 100], logarithmic=False)
    assert [linear.place(value) for value in (1, 50.5, 100)] == [0, 0.5, 1]
    wide = make_scale([1, 10, 100], logarithmic=True)
    assert [wide.place(value) for value in (1, 10, 100)] == pytest.approx([0, 0.5, 1])
    assert [text for _, text in wide.ticks] == ["1", "2", "5", "10", "20", "50", "100"]
    assert all(0 <= place <= 1 for place, _ in (*linear.ticks, *wide.ticks))


def test_what_is_not_positive_has_no_logarithm() -> None:
    assert not make_scale([0, 1], logarithmic=True).logarithmic


def test_words_and_truth_values_have_rows() -> None:
    scale = make_scale(["linear", "exponential", "linear", 3], logarithmic=False)
    assert scale.words == ("3", "exponential", "linear")
    assert [scale.place(value) for value in (3, "exponential", "linear")] == [0, 0.5, 1]
    assert make_scale([True, False], logarithmic=False).words == ("no", "yes")


def test_none_is_below_all() -> None:
    scale = make_scale([1.0, None, 2.0], logarithmic=False)
    assert scale.place(None) < 0
    assert scale.ticks[0] == (scale.place(None), "none")
    assert "none" not in [text for _, text in make_scale([1.0, 2.0], logarithmic=False).ticks]


def test_a_single_value_is_in_the_middle() -> None:
    scale = make_scale([3, 3], logarithmic=True)
    assert scale.place(3) == 0.5
    assert scale.ticks == ((0.5, "3"),)
