from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from ray.tune.search.variant_generator import generate_variants

from ssgan.tuning import Search, load_search
from ssgan.tuning.space import DefineByRun, Distribution, grid_size
from tests.helpers.outside import module_outside

SCHEDULE = {
    "kind": "schedule",
    "options": [
        {"kind": "linear", "duration": {"kind": "uniform", "low": 2, "high": 20}, "floor": 0.0},
        {"kind": "exponential", "duration": {"kind": "loguniform", "low": 1, "high": 10}},
        {"kind": "constant", "value": {"kind": "choice", "values": [0.25, 0.5]}},
    ],
}


def make(data: dict[str, Any]) -> Any:
    return TypeAdapter(Distribution).validate_python(data)


def draw(distribution: Any, seed: int = 0) -> Any:
    """Draw as Ray's random searcher does."""
    import numpy as np

    state = np.random.RandomState(seed)
    ((_, spec),) = generate_variants({"config": {"x": distribution.domain()}}, random_state=state)
    return spec["config"]["x"]


def draw_by_optuna(distribution: Any, seed: int = 0) -> Any:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return DefineByRun({"x": distribution})(study.ask())["x"]


@st.composite
def intervals(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["uniform", "loguniform", "integers"]))
    if kind == "integers":
        low = draw(st.integers(1, 1000))
        high = low + draw(st.integers(1, 1000))
        return {"kind": kind, "low": low, "high": high, "log": draw(st.booleans())}
    low = draw(st.floats(1e-6, 1e3))
    return {"kind": kind, "low": low, "high": low * draw(st.floats(1.01, 1e3))}


@given(intervals(), st.integers(0, 2**31 - 1))
def test_both_searchers_draw_inside_the_interval(data: dict[str, Any], seed: int) -> None:
    distribution = make(data)
    for value in (draw(distribution, seed), draw_by_optuna(distribution, seed)):
        assert data["low"] <= value <= data["high"]
        assert isinstance(value, int) == (data["kind"] == "integers")
        assert distribution.clip(value * 1e7) == data["high"]
        assert distribution.clip(value / 1e9) == data["low"]


def test_both_ends_of_integers_are_drawn() -> None:
    distribution = make({"kind": "integers", "low": 3, "high": 5})
    assert {draw(distribution, seed) for seed in range(60)} == {3, 4, 5}
    assert {draw_by_optuna(distribution, seed) for seed in range(60)} == {3, 4, 5}


@pytest.mark.parametrize("drawer", [draw, draw_by_optuna])
def test_a_schedule_is_drawn_with_the_parameters_of_its_kind(drawer: Any) -> None:
    drawn = [drawer(make(SCHEDULE), seed) for seed in range(40)]
    by_kind = {kind: [one for one in drawn if one["kind"] == kind] for kind in _kinds(drawn)}
    assert by_kind.keys() == {"linear", "exponential", "constant"}
    assert all(2 <= one["duration"] <= 20 and one["floor"] == 0.0 for one in by_kind["linear"])
    assert all(one.keys() == {"kind", "duration"} for one in by_kind["exponential"])
    assert {one["value"] for one in by_kind["constant"]} == {0.25, 0.5}


def _kinds(drawn: Sequence[dict[str, Any]]) -> set[str]:
    return {one["kind"] for one in drawn}


@pytest.mark.parametrize("drawer", [draw, draw_by_optuna])
def test_the_same_seed_draws_the_same_schedule(drawer: Any) -> None:
    assert drawer(make(SCHEDULE), 7) == drawer(make(SCHEDULE), 7)


def test_a_schedule_of_one_kind_has_that_kind() -> None:
    only = make({"kind": "schedule", "options": SCHEDULE["options"][:1]})
    assert draw(only)["kind"] == draw_by_optuna(only)["kind"] == "linear"


def test_choices_need_not_be_scalars() -> None:
    distribution = make({"kind": "choice", "values": [[1, 2], None, {"a": 1}]})
    assert draw_by_optuna(distribution) in [[1, 2], None, {"a": 1}]


def test_corners_reach_every_end() -> None:
    assert make({"kind": "uniform", "low": 1, "high": 2}).corners() == (1, 2)
    assert make(SCHEDULE).corners() == [
        {"kind": "linear", "duration": 2, "floor": 0.0},
        {"kind": "linear", "duration": 20, "floor": 0.0},
        {"kind": "exponential", "duration": 1},
        {"kind": "exponential", "duration": 10},
        {"kind": "constant", "value": 0.25},
        {"kind": "constant", "value": 0.5},
    ]


def test_grids_multiply() -> None:
    space = {
        "a": make({"kind": "grid", "values": [1, 2, 3]}),
        "b": make({"kind": "grid", "values": [1, 2]}),
        "c": make({"kind": "uniform", "low": 0, "high": 1}),
    }
    assert grid_size(space) == 6
    assert grid_size({}) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "uniform", "low": 2, "high": 1}, "low=2 must be below high=1"),
        ({"kind": "uniform", "low": 0, "high": float("inf")}, "a finite number"),
        ({"kind": "loguniform", "low": 0, "high": 1}, "greater than 0"),
        ({"kind": "integers", "low": 0, "high": 4, "log": True}, "must be 1 or more"),
        ({"kind": "choice", "values": []}, "at least 1 item"),
        ({"kind": "normal", "mean": 0}, "there is no kind 'normal'; did you mean 'uniform'"),
    ],
)
def test_a_distribution_that_cannot_be_drawn_from_is_refused(
    data: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        make(data)


NORMAL = '''
from typing import Literal

from ray import tune

from ssgan.tuning.space import Distribution


class Normal(Distribution):
    """A number around a mean."""

    kind: Literal["normal.Normal"] = "normal.Normal"
    mean: float
    """Mean."""
    sd: float
    """Standard deviation."""

    def domain(self):
        return tune.randn(self.mean, self.sd)

    def suggest(self, trial, name):
        return trial.suggest_float(name, *self.corners())

    def corners(self):
        return (self.mean - 2 * self.sd, self.mean + 2 * self.sd)
'''


def test_a_distribution_may_come_from_outside(tmp_path: Path) -> None:
    with module_outside(tmp_path, "normal", NORMAL, Distribution):
        part = {"kind": "normal.Normal", "mean": 1.0, "sd": 0.1}
        assert 0.5 < draw(make(part)) < 1.5
        assert 0.8 <= draw_by_optuna(make(part)) <= 1.2
        search = load_search({"base": "digits", "space": {"objective.lambda1": part}})
        assert Search.from_yaml(search.to_yaml()) == search
