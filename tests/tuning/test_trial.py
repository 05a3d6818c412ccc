from typing import Any

import pytest

from ssgan.tuning.loading import load_search
from ssgan.tuning.preparation import TrialSpec
from ssgan.tuning.search import Search
from ssgan.tuning.searchers import make_searcher, param_space
from ssgan.tuning.trial import Assignment, make_trainable, read_assignment
from tests.tuning.conftest import definition

VALUES = {"objective.lambda1": 0.5, "objective.lambda2": 2.0}


def order(**changes: Any) -> TrialSpec:
    fields = {"search": "x", "stage": "search", "store": "y", "tracking_uri": None, "threads": 1}
    return TrialSpec(**{**fields, "cpus": 0.5, "gpus": 0.25, "cuda": False, **changes})  # type: ignore[typeddict-item]


def test_a_config_is_read_whoever_drew_it(search: Search) -> None:
    drawn = {**VALUES, "objective.lambda2[0].x": 1}
    assert read_assignment(search, "00003", drawn) == Assignment("00003", VALUES)
    final = {"final": {"trial": "00003-s7", "values": VALUES, "seed": 7}}
    assert read_assignment(search, "00003-s7", final) == Assignment("00003-s7", VALUES, 7)


@pytest.mark.parametrize(
    ("changes", "workers", "expected"),
    [
        ({}, 0, [{"CPU": 0.5}]),
        ({"cuda": True}, 0, [{"CPU": 0.5, "GPU": 0.25}]),
        ({"cuda": True}, 2, [{"memory": 2.0**20}]),  # its workers reserve for themselves
    ],
)
def test_a_trial_reserves_what_it_computes_with(
    changes: dict[str, Any], workers: int, expected: list[dict[str, float]]
) -> None:
    trainable = make_trainable(order(**changes), nested=workers > 0)
    assert trainable._resources.bundles == expected


def test_a_population_is_made_as_a_whole_and_others_a_few_at_a_time(search: Search) -> None:
    population = load_search(definition(scheduler={"kind": "pbt"}))
    assert make_searcher(search, 2).max_concurrent == 2
    assert make_searcher(population, 2).max_concurrent == 0
    optuna = load_search(definition(searcher={"kind": "optuna"}))
    assert make_searcher(optuna, 3).max_concurrent == 3
    assert param_space(optuna) == {}  # drawn define-by-run
    assert param_space(search).keys() == search.space.keys()
