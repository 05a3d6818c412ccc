"""What a resume may change: classes of fields, differences, refusals."""

import logging
from typing import Any

import pytest

from ssgan.base.errors import BadInput
from ssgan.experiment.fields import (
    check_resume,
    difference,
    field_class,
    field_models,
    flatten,
    why_not_searchable,
)
from ssgan.experiment.loading import load_experiment, with_values
from ssgan.experiment.tree import Experiment
from ssgan.method.schedules import Constant, Linear


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("objective.lambda1", "mutable"),
        ("objective.lambda2", "mutable"),
        ("objective.consistency.weight", "mutable"),
        ("objective.consistency.information", "mutable"),
        ("objective.consistency.fairness", "mutable"),
        ("objective.consistency.warm_up.duration", "mutable"),
        ("objective.consistency.threshold", "identity"),
        ("objective.consistency.strong.cut", "identity"),
        ("objective.extra", "identity"),
        ("instance_noise.kind", "mutable"),
        ("label_sampling.probability.start", "mutable"),
        ("label_sampling.floor", "mutable"),
        ("optimizer.lr_schedule.duration", "mutable"),
        ("optimizer.generator_lr_schedule", "mutable"),
        ("training.epochs", "extent"),
        ("scaling.workers", "extent"),
        ("evaluation.every", "free"),
        ("tracking.uri", "free"),
        ("name", "free"),
        ("label_sampling.unit", "identity"),
        ("training.steps_per_epoch", "identity"),
        ("training.batch_size", "identity"),
        ("optimizer.generator_lr", "identity"),
        ("data.labels", "identity"),
        ("data.label_seed", "identity"),
        ("seed", "identity"),
        ("scalings", "identity"),
    ],
)
def test_classes_of_fields(path: str, expected: str) -> None:
    assert field_class(path) == expected


def test_every_schedule_is_mutable() -> None:
    experiment = Experiment()
    schedules = {path for path in flatten(experiment) if path.endswith(".kind")}
    paths = [p.removesuffix(".kind") for p in schedules]
    found = [p for p in paths if any(issubclass(m, Linear) for m in field_models(p))]
    assert "optimizer.lr_schedule" in found
    assert {field_class(path) for path in found} == {"mutable"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("evaluation.judge.rows", "it says how runs are measured"),
        ("training.epochs", "the budget that trials are compared at"),
        ("training.keep_best", "the same for all trials"),
    ],
)
def test_a_field_says_why_no_search_may_vary_it(path: str, reason: str) -> None:
    assert reason in str(why_not_searchable(path))
    assert why_not_searchable("objective.lambda1") is None


def test_a_resume_may_extend_and_look_closer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ssgan")
    old = load_experiment("digits")
    changes = {"training.epochs": 30, "scaling.workers": 2, "evaluation.every": 3, "name": "b"}
    check_resume(old, with_values(old, changes))
    for path in changes:
        assert f"resuming with {path}=" in caplog.text
    assert "training.epochs=30, before 15" in caplog.text


@pytest.mark.parametrize(
    ("path", "value"),
    [("seed", 1), ("objective.lambda2", 1.0), ("networks.width", 8), ("data.labels", 9)],
)
def test_a_resume_may_not_change_the_run(path: str, value: Any) -> None:
    old = load_experiment("digits")
    before = flatten(old)[path]
    new = with_values(old, {path: value, "training.epochs": 30})
    with pytest.raises(BadInput, match=rf"{path}: {before} -> {value}\n.*--name") as caught:
        check_resume(old, new)
    assert "epochs" not in str(caught.value)


def test_a_difference_names_fields_that_came_and_went() -> None:
    old = Experiment(instance_noise=Constant(value=0.1))
    new = Experiment(instance_noise=Linear(start=0.2))
    changes = difference(old, new)
    assert changes["instance_noise.kind"] == ("constant", "linear")
    assert changes["instance_noise.value"] == (0.1, None)
    assert changes["instance_noise.start"] == (None, 0.2)
