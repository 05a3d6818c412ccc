"""The catalog names what records hold, no more and no less."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssgan.data.dataset import Dataset
from ssgan.data.store import Store
from ssgan.evaluation.catalog import (
    HEADLINES,
    METRICS,
    REASONS,
    Conditions,
    direction,
    find,
    main_loss,
    safe_names,
    title,
)
from ssgan.experiment.tree import Experiment
from ssgan.launch.preparation import find_judge, plan_here
from ssgan.method.codes import Code, LatentSpace
from ssgan.records.rundir import Record, RunDir
from ssgan.training.loop import run
from ssgan.tuning.loading import load_search, search_names

DIGITS = tuple(map(str, range(10)))
DIGIT = Code(name="digit", kind="categorical", classes=DIGITS)
PARITY = Code(name="even or odd", kind="categorical", classes=("even", "odd"))
ANGLE = Code(name="angle", kind="continuous", low=-30, high=30)
STYLES = ("style_1", "style_2")


def experiment(**data: Any) -> Experiment:
    judge = {"epochs": 1, "least_updates": 2, "validation_images": 50, "classifier": {"width": 4}}
    counts = {"samples": 40, "real_images": 200, "held_out_images": 60, "neighbors": 3}
    tree = {
        "codes": {"noise": 4},
        "networks": {"width": 2, "hidden": 8, "q_hidden": 4},
        "data": {"labels": "10%", **data},
        "label_sampling": {"batch_size": 4},
        "training": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 8},
        "evaluation": {**counts, "columns": 2, "judge": judge},
    }
    return Experiment.model_validate(tree)


def record(made: Experiment, dataset: Dataset, folder: Path) -> Record:
    """Train for two updates and return what was measured."""

    class Session:
        def restore(self) -> None:
            return None

        def report(self, *told: Any) -> None:
            return None

    rundir = RunDir.create(folder / "run", made.to_yaml(), "test")
    judge = find_judge(made, dataset, plan_here(made.scaling))
    run(made, dataset, judge, rundir, Session(), torch.device("cpu"))
    return rundir.records()[-1]


def recode(dataset: Dataset, *codes: Code) -> Dataset:
    """Tell a dataset of digits what its images show besides."""

    def table(digits: torch.Tensor) -> torch.Tensor:
        known = {DIGIT: digits, PARITY: digits % 2, ANGLE: digits / 4.5 - 1}
        columns = [known[code] for code in codes]
        return torch.stack(columns, dim=1) if columns else torch.zeros(len(digits), 0)

    assert dataset.y_test is not None
    space = LatentSpace(supervised=codes, unsupervised=dataset.space.unsupervised, noise=4)
    tables = {name: table(getattr(dataset, name)[:, 0]) for name in ("y", "y_known", "y_test")}
    return replace(dataset, space=space, **tables)


def check(found: Record, conditions: Conditions) -> None:
    """Compare a record with what the catalog says of such an experiment."""
    measured = {name for name, value in found.metrics.items() if value is not None}
    assert measured == {name for m in METRICS.values() for name in conditions.names(m)}
    missing = {m.name: why for m in METRICS.values() if (why := conditions.why_not(m))}
    assert {name for name in missing if METRICS[name].is_total} <= found.metrics.keys()
    for name in found.metrics.keys() - measured:
        metric = find(name)
        assert metric is not None
        assert found.reasons[name] == missing[metric.name]


@pytest.fixture(scope="module")
def dataset(digits_store: Store) -> Dataset:
    made = experiment()
    return Dataset.load(made.data, made.codes, digits_store)


def test_with_a_judge(dataset: Dataset, tmp_path: Path) -> None:
    found = record(experiment(), dataset, tmp_path)
    assert "zero_one_loss_ema/digit.7" in found.metrics
    check(found, Conditions({"digit": DIGITS}, STYLES))


@pytest.mark.parametrize("held_out", [range(100, 130), ()])
def test_without_a_judge_split(dataset: Dataset, tmp_path: Path, held_out: range) -> None:
    budget = replace(dataset.budget, held_out=torch.tensor(held_out, dtype=torch.long))
    alone = replace(dataset, test=None, y_test=None, budget=budget)
    found = record(experiment(), alone, tmp_path)
    assert found.reasons["fd_judge"] == REASONS["judge"]
    check(found, Conditions({"digit": DIGITS}, STYLES, judge=False, held_out=bool(held_out)))


def test_infogan(digits_store: Store, tmp_path: Path) -> None:
    made = Experiment.model_validate(
        {**experiment(labels=0).model_dump(exclude_unset=True), "label_sampling": {}}
    )
    found = record(made, Dataset.load(made.data, made.codes, digits_store), tmp_path)
    assert found.reasons["mi_real/digit"] == REASONS["labels"]
    check(found, Conditions({"digit": DIGITS}, STYLES, labels=False))


def test_codes_of_every_kind(dataset: Dataset, tmp_path: Path) -> None:
    found = record(experiment(), recode(dataset, PARITY, DIGIT, ANGLE), tmp_path)
    for name in ("q_ss_accuracy/even_or_odd", "zero_one_loss_ema/digit", "judge_rmse/angle"):
        assert name in found.metrics
    codes = {"even or odd": PARITY.classes, "digit": DIGITS, "angle": ()}
    check(found, Conditions(codes, STYLES))


def test_a_continuous_code_alone(dataset: Dataset, tmp_path: Path) -> None:
    found = record(experiment(), recode(dataset, ANGLE), tmp_path)
    assert found.reasons["judge_error"] == REASONS["categorical codes"]
    check(found, Conditions({"angle": ()}, STYLES))


def test_no_supervised_code(dataset: Dataset, tmp_path: Path) -> None:
    empty = replace(dataset.budget, train=dataset.budget.train[:0])
    alone = replace(recode(dataset), test=None, y_test=None, budget=empty)
    found = record(experiment(), alone, tmp_path)
    assert found.reasons["q_ss_accuracy"] == REASONS["supervised codes"]
    check(found, Conditions({}, STYLES, judge=False, labels=False, held_out=False))


def test_codes_of_unknown_kind_may_have_metrics_of_either() -> None:
    conditions = Conditions({"digit": None}, ())
    names = {name for m in METRICS.values() for name in conditions.names(m)}
    assert {"q_ss_accuracy/digit", "q_ss_rmse/digit", "zero_one_loss_ema/digit.<class>"} <= names
    assert "zero_one_loss_ema/digit" not in names  # it would be zero_one_loss_ema itself


@pytest.mark.parametrize("name", search_names())
def test_searches_that_ship_go_by_a_metric_in_its_direction(name: str) -> None:
    search = load_search(name)
    assert search.metric in METRICS
    assert search.mode == direction(search.metric)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_told_in_full(metric: Any) -> None:
    assert metric.title
    assert metric.meaning
    assert ("{}" in metric.title) == (not metric.is_total)
    assert set(HEADLINES) <= METRICS.keys()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("zero_one_loss_ema", "0-1 loss of G's EMA"),
        ("zero_one_loss_ema/digit", "0-1 loss of G's EMA, digit"),
        ("zero_one_loss_ema/digit.7", "0-1 loss of G's EMA, digit = 7"),
        ("correlation/angle", "correlation of angle"),
        ("rmse/angle", "RMSE of angle"),
        ("mi/angle", "bound on I(angle; x̃), nats"),
        ("loss/d_real", "loss d_real"),
        ("unheard/of", "unheard/of"),
    ],
)
def test_metrics_in_words(name: str, text: str) -> None:
    assert title(name) == text


def test_directions() -> None:
    names = ("zero_one_loss_ema/digit.7", "correlation/angle", "lambda1", "unheard/of")
    assert [direction(name) for name in names] == ["min", "max", None, None]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"zero_one_loss_ema": 0.1, "q_ss_accuracy": 0.5}, 0.1),
        ({"zero_one_loss_ema": None, "q_ss_accuracy": 0.75}, 0.25),
        ({"q_ss_accuracy": 1.0}, 0.0),
        ({"zero_one_loss_ema": 0.0}, 0.0),
        ({"zero_one_loss_ema": None, "q_ss_accuracy": None}, None),
        ({}, None),
    ],
)
def test_runs_are_compared_by_one_number(
    metrics: dict[str, float | None], expected: float | None
) -> None:
    assert main_loss(metrics) == expected


@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=8))
def test_safe_names_are_safe_and_different(names: list[str]) -> None:
    safe = safe_names(names)
    assert list(safe) == names
    assert len(set(safe.values())) == len(names)
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert all(set(value) <= allowed for value in safe.values())


def test_safe_names_keep_what_is_safe() -> None:
    assert safe_names(["a-b", "a b", "a/b"]) == {"a-b": "a-b", "a b": "a_b", "a/b": "a_b_2"}
