import logging
from pathlib import Path
from typing import Any

import pytest

from ssgan.base.errors import BadInput
from ssgan.experiment.fields import flatten
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.no_effect import find_inert
from ssgan.experiment.tree import Experiment

CASES: list[tuple[str, list[str], str, Any]] = [
    # preset, overrides that make a field inert, the field, a value for it
    ("digits", ["data.labels=0"], "label_sampling.unit", "batch"),
    ("digits", ["data.labels=0.0"], "label_sampling.floor", 0.3),
    ("digits", ["data.labels=0%"], "data.balanced", False),
    ("digits", ["data.labels=0"], "data.label_seed", 3),
    ("digits", ["data.labels=0"], "codes.prior", "empirical"),
    ("digits", [], "data.held_out", 0.3),
    ("digits", ["data.labels=0"], "data.spread.steps", 9),
    ("digits", ["codes.supervised=[]"], "data.spread.share", 0.5),
    ("digits", ["data.labels=100%"], "data.spread.alpha", 0.5),
    ("digits", ["label_sampling.unit=batch"], "label_sampling.batch_size", 32),
    ("digits", ["label_sampling.unit=example"], "label_sampling.augment.rotation", 5),
    ("digits", ["data.labels=100%"], "data.balanced", False),
    ("digits", ["data.labels=1.0"], "data.label_seed", 3),
    ("digits", ["data.labels=100 %"], "label_sampling.floor", 0.5),
    ("digits", ["data.labels=100%"], "label_sampling.probability.start", 0.5),
    ("digits", ["codes.unsupervised=[]"], "objective.lambda1", 0.5),
    ("digits", ["codes.unsupervised=[]"], "networks.q_hidden", 32),
    ("digits", ["codes.supervised=[]"], "objective.lambda2", 0.5),
    ("digits", ["objective.lambda2=0"], "objective.lambda2_warm_up.start", 0.5),
    ("digits", ["codes.supervised=[]"], "objective.consistency.information", 0.5),
    ("digits", ["objective.consistency.threshold=0.9"], "objective.consistency.half_life", 100),
    ("digits", ["codes.supervised=[]"], "data.labels", 50),
    ("digits", ["codes.supervised=[]"], "label_sampling.unit", "batch"),
    ("digits", ["codes.supervised=[]"], "codes.prior", "empirical"),
    ("digits", [], "scaling.cpus", 2),
    ("digits", ["scaling.workers=1"], "scaling.retries", 1),
    ("digits", ["scaling.device=cpu"], "scaling.gpus", 0.5),
    ("digits", ["scaling.device=cpu"], "training.execution", "eager"),
    ("digits", ["scaling.device=cpu"], "training.tf32", True),
    ("digits", ["data.source={kind: folder, root: pictures}"], "evaluation.judge.epochs", 9),
]


@pytest.mark.parametrize(("preset", "overrides", "field", "value"), CASES)
@pytest.mark.parametrize("form", ["dotted", "branch"])
def test_a_field_that_the_user_sets_in_vain_is_refused(
    preset: str, overrides: list[str], field: str, value: Any, form: str
) -> None:
    branch, leaf = field.rsplit(".", 1)
    chosen = f"{field}={value}" if form == "dotted" else f"{branch}={{{leaf}: {value}}}"
    with pytest.raises(BadInput, match=rf"{field} has no effect: \w+"):
        load_experiment(preset, [*overrides, chosen])


@pytest.mark.parametrize(
    ("preset", "overrides", "branch"),
    [
        ("digits", ["data.labels=0"], "label_sampling"),
        ("mnist", ["label_sampling.unit=batch"], "label_sampling.augment"),
        ("mnist-authors", ["data.labels=100%"], "data.balanced"),
        ("mnist", ["codes.supervised=[]"], "data.labels"),
        ("celeba", ["data.labels=0"], "codes.prior"),
    ],
)
def test_a_field_that_the_preset_sets_in_vain_is_dropped_with_a_word(
    preset: str, overrides: list[str], branch: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ssgan")
    experiment = load_experiment(preset, overrides)
    assert f"the preset's {branch} is dropped: " in caplog.text
    defaults = flatten(Experiment())
    for path, value in flatten(experiment).items():
        if path.startswith(branch):
            assert value == defaults[path]


@pytest.mark.parametrize(("preset", "overrides", "field", "value"), CASES)
def test_what_is_left_loads_without_complaint(
    preset: str, overrides: list[str], field: str, value: Any
) -> None:
    experiment = load_experiment(preset, overrides)
    assert any(f"{field}.".startswith(f"{branch}.") for branch in find_inert(experiment))


def test_switching_off_what_is_off_is_no_error() -> None:
    overrides = ["label_sampling.unit=batch", "label_sampling.augment=null"]
    assert load_experiment("mnist", overrides).label_sampling.augment is None


def test_a_consistency_without_weight_is_refused() -> None:
    with pytest.raises(BadInput, match=r"objective\.consistency.weight has no effect: its terms"):
        load_experiment("digits", ["objective.consistency.weight=0"])


def test_labels_spread_again_after_the_last_epoch_are_refused() -> None:
    overrides = ["training.epochs=4", "data.spread.rebuild=4"]
    with pytest.raises(BadInput, match=r"data\.spread\.rebuild has no effect: .* 4 epochs"):
        load_experiment("digits", overrides)
    assert load_experiment("digits", ["training.epochs=5", *overrides[1:]]).data.spread is not None


def test_a_users_file_is_the_users_word(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: digits\ndata: {labels: 0}\nlabel_sampling: {unit: batch}\n")
    with pytest.raises(BadInput, match=r"label_sampling\.unit has no effect"):
        load_experiment(file)


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        (["data.labels=1"], "data.balanced"),
        (["objective.consistency={weight: 0, information: 1}"], "objective.consistency"),
        (["objective.consistency={}"], "objective.consistency.half_life"),
        (["data.labels=0", "objective.consistency={information: 1}"], "objective.consistency"),
        (["data.labels=10%"], "label_sampling.floor"),
        (["scaling.workers=2"], "scaling.cpus"),
        (["data.source={kind: folder, root: pictures}"], "data.held_out"),
        (["data.source={kind: parquet, train: a.parquet}"], "data.held_out"),
        (
            ["data.source={kind: parquet, train: a.parquet, judge: b.parquet}"],
            "evaluation.judge",
        ),
        (["data.source={kind: folder, root: pictures}", "data.labels=100%"], "data.label_seed"),
        (
            ["data.source={kind: folder, root: pictures}", "data.labels=100%"],
            "label_sampling.probability",
        ),
    ],
)
def test_fields_that_count_are_left_alone(overrides: list[str], field: str) -> None:
    assert field not in find_inert(load_experiment("digits", overrides))


def test_every_rule_names_a_field_and_a_remedy() -> None:
    from ssgan.experiment.fields import check_path
    from ssgan.experiment.no_effect import _rules

    for _, paths, reason in _rules(Experiment()):
        for path in paths.split():
            check_path(path)
        assert "(" in reason or "=" in reason or "--" in reason, reason
