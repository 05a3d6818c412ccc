from typing import Any

import pytest

from ssgan.records.searchdir import TrialRow
from ssgan.tuning.summary import best_trials, summarize


def row(trial: str, x: float, metric: float | None, **changes: Any) -> TrialRow:
    fields = {"stage": "search", "seed": 0, "status": "FINISHED", "values": {"x": x}, **changes}
    return TrialRow(trial=trial, metric=metric, **fields)


FINALS = [
    row("0-s1", 1.0, 0.2, stage="final", seed=1),
    row("0-s2", 1.0, 0.4, stage="final", seed=2),
    row("1-s1", 2.0, 0.1, stage="final", seed=1),
    row("1-s2", 2.0, 0.3, stage="final", seed=2),
    row("1-s3", 2.0, None, stage="final", seed=3, status="FAILED"),
]


def test_the_finals_decide_by_the_mean_over_seeds() -> None:
    table = summarize([row("9", 9.0, 0.0), *FINALS])
    best = table.best
    assert best is not None
    assert best.values == {"x": 2.0}
    assert best.mean == pytest.approx(0.2)
    assert best.spread == pytest.approx(0.2 / 2**0.5)
    assert (best.n, best.failed, best.seeds) == (2, 1, (1, 2, 3))
    assert [one.values["x"] for one in table.configurations] == [2.0, 1.0]


def test_the_largest_mean_is_best_where_mode_says_so() -> None:
    best = summarize(FINALS, mode="max").best
    assert best is not None
    assert best.values == {"x": 1.0}


def test_without_finals_all_trials_count_and_seeds_of_the_space_are_joined() -> None:
    rows = [
        row("0", 1.0, 0.5, values={"x": 1.0, "seed": 0}),
        row("1", 1.0, 0.7, values={"x": 1.0, "seed": 1}, seed=1),
        row("2", 2.0, None, values={"x": 2.0, "seed": 0}, status="FAILED"),
    ]
    one, other = summarize(rows).configurations
    assert (one.values, one.n, one.spread) == ({"x": 1.0}, 2, pytest.approx(0.1414, abs=1e-3))
    assert (other.mean, other.spread, other.failed) == (None, None, 1)


def test_nothing_is_best_where_nothing_has_a_value() -> None:
    assert summarize([]).best is None
    assert summarize([row("0", 1.0, None, status="FAILED")]).best is None


def test_those_that_finished_go_before_those_that_were_stopped() -> None:
    rows = [
        row("0", 1.0, 0.5),
        row("1", 2.0, 0.1, status="STOPPED"),
        row("2", 3.0, 0.3),
        row("3", 4.0, None),
        row("4", 5.0, 0.0, status="FAILED"),
        row("5", 6.0, 0.0, stage="final"),
    ]
    assert [one.trial for one in best_trials(rows, 3, "min")] == ["2", "0", "1"]
    assert [one.trial for one in best_trials(rows, 1, "max")] == ["0"]
