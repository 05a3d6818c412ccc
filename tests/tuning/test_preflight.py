import logging

import pytest

from ssgan.base.errors import BadInput
from ssgan.cluster import Node
from ssgan.tuning.preflight import Need, trials_at_a_time

TWO = [Node(2.0)]


def test_as_many_as_fit_train_at_a_time() -> None:
    assert trials_at_a_time(Need(1, 1.0), 6, TWO) == 2
    assert trials_at_a_time(Need(1, 0.5), 3, TWO) == 3
    assert trials_at_a_time(Need(2, 1.0), 6, [Node(2.0), Node(3.0)]) == 2
    assert trials_at_a_time(Need(1, 1.0, 0.25), 9, [Node(8.0, 1.0)]) == 4


def test_what_the_autoscaler_may_add_counts() -> None:
    assert trials_at_a_time(Need(4, 1.0), 6, TWO, [Node(8.0)]) == 2


def test_more_at_a_time_than_fit_are_lowered_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert trials_at_a_time(Need(2, 0.5), 6, TWO, asked=5) == 2
    assert "search.concurrent=5 x 2 workers x (0.5 CPUs)" in caplog.text
    caplog.clear()
    assert trials_at_a_time(Need(1, 1.0), 6, TWO, asked=1) == 1
    assert trials_at_a_time(Need(1, 1.0), 2, TWO, asked=8) == 2
    assert not caplog.text


def test_a_trial_that_never_fits_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(BadInput, match=r"4 workers x \(1 CPUs\) = 4 CPUs, but the cluster has 2"):
        trials_at_a_time(Need(4, 1.0), 6, TWO)


def test_a_nested_population_must_fit_as_a_whole() -> None:
    assert trials_at_a_time(Need(2, 0.5), 2, TWO, population=True) == 2
    assert trials_at_a_time(Need(1, 1.0), 8, TWO, population=True) == 2  # takes turns
    with pytest.raises(BadInput, match=r"4 trials x 2 workers x \(0.5 CPUs\).* room for 2"):
        trials_at_a_time(Need(2, 0.5), 4, TWO, population=True)
