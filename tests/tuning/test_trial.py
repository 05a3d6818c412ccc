from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Experiment

from ssgan.launch.preparation import ComputePlan
from ssgan.tuning.preparation import TrialSpec
from ssgan.tuning.search import Search
from ssgan.tuning.trial import Trial, make_trainable, read_assignment

VALUES = {"objective.lambda1": 0.5, "objective.lambda2": 2.0}


def spec(**changes: Any) -> TrialSpec:
    plan = ComputePlan(under_ray=False, cuda=False, threads=1, cpus=0.5, gpus=0.25)
    return TrialSpec("x", "search", "y", None, replace(plan, **changes), {"memory": 7e8})


def test_a_config_is_read_whoever_drew_it(search: Search) -> None:
    drawn = {**VALUES, "objective.lambda2[0].x": 1}
    assert read_assignment(search, drawn) == (VALUES, None)
    final = {"final": {"trial": "00003-s7", "values": VALUES, "seed": 7}}
    assert read_assignment(search, final) == (VALUES, 7)


def test_tune_is_told_three_metrics(search: Search) -> None:
    told: list[Any] = []
    trial = Trial.__new__(Trial)
    trial.search = search
    trial._session = SimpleNamespace(report=lambda found, saved: told.append((found(), saved)))  # type: ignore[assignment]
    metrics = {"epoch": 3, search.metric: 0.25, "images_per_second": 900.0, "mi/digit": 2.0}
    trial.report(lambda: metrics)
    assert told == [({name: metrics[name] for name in list(metrics)[:3]}, None)]
    trial.report(lambda: {**metrics, search.metric: None})
    trial.report(lambda: {"epoch": 4})
    assert len(told) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [{"CPU": 0.5}]),
        ({"cuda": True}, [{"CPU": 0.5, "GPU": 0.25}]),
        ({"under_ray": True}, [{"memory": 7e8}]),  # its workers reserve for themselves
    ],
)
def test_a_trial_reserves_what_it_computes_with(
    changes: dict[str, Any], expected: list[dict[str, float]]
) -> None:
    trainable = make_trainable(spec(**changes))
    assert trainable.default_resource_request({}).bundles == expected


def test_a_search_that_began_with_a_function_is_resumed_with_the_class() -> None:
    assert Experiment.get_trainable_name(make_trainable(spec())) == "trial"
