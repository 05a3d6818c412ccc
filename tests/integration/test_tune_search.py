"""Searches of one-worker trials on the digits, under a real Ray."""

import re
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray.tune import Callback

from ssgan.cluster.connection import Cluster
from ssgan.experiment.tree import Experiment
from ssgan.export import NamedGenerator
from ssgan.records.data_info import read_budget
from ssgan.records.rundir import RunDir
from ssgan.tuning import build_tuner, summarize
from tests.helpers.searches import (
    assert_exploited,
    becomes_free,
    epochs_of,
    fit,
    rows_of,
    small_search,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("digits_store"),
]

HUGE = 2**32  # hidden units whose 6 TiB no machine gives, though by arithmetic one might
LAMBDA1 = {"kind": "loguniform", "low": 0.05, "high": 2}
LAMBDA2 = {"kind": "uniform", "low": 0.5, "high": 2}


class Killer(Callback):
    """Kills the process of a trial, once, after its first result."""

    def __init__(self, trial: str) -> None:
        self._trial = trial
        self.killed: list[int] = []

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if str(trial) == self._trial and not self.killed:
            self.killed.append(result["pid"])
            psutil.Process(result["pid"]).kill()


def test_asha_stops_some_and_the_best_run_again(ray_here: Cluster, tmp_path: Path) -> None:
    search = small_search(
        {"optimizer.generator_lr": {"kind": "grid", "values": [1e-2, 1e-3, 1e-5, 1e-6]}},
        "training.epochs=3",
        "evaluation.every=1",
        scheduler={"kind": "asha", "grace": 1, "reduction": 2},
        concurrent=2,
        finals={"best": 1, "seeds": 2},
    )
    location = tmp_path / "search"
    results = build_tuner(search, location, cluster=ray_here).fit()
    assert becomes_free(ray_here)
    assert results.num_errors == 0
    rows = rows_of(location)
    assert list(rows) == ["00000", "00001", "00002", "00003"]
    stopped = [row for row in rows.values() if row.status == "STOPPED"]
    finished = [row for row in rows.values() if row.status == "FINISHED"]
    assert len(stopped) + len(finished) == 4
    assert stopped
    assert finished
    for row in stopped:
        assert row.reason == f"stopped by asha at epoch {row.epoch}"
        assert epochs_of(location, row) == list(range(1, row.epoch + 1))
        assert RunDir(location / row.run).folders("checkpoints")
        assert not RunDir(location / row.run).exists("export")
    for row in finished:
        run = RunDir.open(location / row.run)
        assert epochs_of(location, row) == [1, 2, 3]
        summary = run.summary()
        assert summary is not None
        assert summary["epochs"] == 3
        assert NamedGenerator.load(summary["export"]).sample(digit=7, n=1).shape == (1, 16, 16, 1)
        assert read_budget(run) is not None
        trained = Experiment.from_yaml(run.definition())
        assert trained.optimizer.generator_lr == row.values["optimizer.generator_lr"]
        assert trained.evaluation.judge.rows == "first half"

    results = build_tuner(search, location, "final", cluster=ray_here).fit()
    assert results.num_errors == 0
    rows = rows_of(location)
    finals = [row for row in rows.values() if row.stage == "final"]
    best = max(finished, key=lambda row: row.metric or 0)
    assert [row.trial for row in finals] == [f"{best.trial}-s1", f"{best.trial}-s2"]
    assert [row.seed for row in finals] == [1, 2]
    assert all(row.status == "FINISHED" and row.values == best.values for row in finals)
    final = Experiment.from_yaml(RunDir.open(location / finals[0].run).definition())
    assert (final.seed, final.evaluation.judge.rows) == (1, "second half")
    table = summarize(rows.values(), mode="max")
    assert table.best is not None
    assert table.best.n == 2
    assert summarize(results, "diversity", "max").best == table.best


def test_optuna_draws_schedules(ray_here: Cluster, tmp_path: Path) -> None:
    options = [
        {"kind": "linear", "duration": {"kind": "uniform", "low": 1, "high": 9}},
        {"kind": "exponential", "duration": {"kind": "uniform", "low": 1, "high": 9}},
    ]
    search = small_search(
        {
            "objective.lambda1": LAMBDA1,
            "label_sampling.probability": {"kind": "schedule", "options": options},
        },
        "training.epochs=1",
        searcher={"kind": "optuna", "startup": 2},
        trials=4,
    )
    results = build_tuner(search, tmp_path / "search", cluster=ray_here).fit()
    assert results.num_errors == 0
    rows = rows_of(tmp_path / "search")
    assert list(rows) == ["00000", "00001", "00002", "00003"]
    for row in rows.values():
        assert row.status == "FINISHED"
        assert row.values.keys() == search.space.keys()
        schedule = row.values["label_sampling.probability"]
        run = RunDir.open(tmp_path / "search" / row.run)
        trained = Experiment.from_yaml(run.definition()).label_sampling.probability
        assert trained.model_dump().items() >= schedule.items()


def test_an_exploit_continues_from_the_very_state_of_its_source(
    ray_here: Cluster, tmp_path: Path
) -> None:
    search = small_search(
        {"objective.lambda1": LAMBDA1, "objective.lambda2": LAMBDA2},
        "training.epochs=3",
        scheduler={"kind": "pbt", "interval": 2, "quantile": 0.5},
        trials=2,
    )
    location = tmp_path / "search"
    results = build_tuner(search, location, cluster=ray_here).fit()
    assert results.num_errors == 0
    rows = rows_of(location)
    copy = assert_exploited(location, rows)
    (exploit,) = copy.lineage
    assert exploit.values == copy.values
    assert exploit.source_trial in rows
    assert exploit.source_trial != copy.trial


def test_trials_that_fail_do_not_hurt_the_others(ray_here: Cluster, tmp_path: Path) -> None:
    search = small_search(
        {
            "optimizer.generator_lr": {"kind": "grid", "values": [1e-3, 1e30]},
            "networks.hidden": {"kind": "grid", "values": [8, HUGE]},
        },
        "training.epochs=2",
        "optimizer.discriminator_lr=1e-4",
    )
    location = tmp_path / "search"
    tuner = build_tuner(search, location, cluster=ray_here)
    killer = Killer("00000")
    results = fit(tuner, killer)
    assert len(killer.killed) == 1
    rows = list(rows_of(location).values())
    by_values = {tuple(row.values.values()): row for row in rows}
    killed, wild = by_values[1e-3, 8], by_values[1e30, 8]
    assert killed.trial == "00000"
    assert killed.status == "FINISHED"
    assert killed.reason is not None
    assert killed.reason.startswith("tried again once after: its process died")
    assert epochs_of(location, killed) == [1, 2]
    assert wild.status == "FAILED"
    assert wild.reason is not None
    assert "became NaN or infinite" in wild.reason
    for row in rows:
        if row.values["networks.hidden"] == HUGE:
            assert row.status == "FAILED"
            assert row.reason is not None
            assert row.reason.startswith("out of memory: ")
    assert results.num_errors == 3


def test_the_example_on_the_page_of_the_search_runs(
    ray_here: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (Path(__file__).parents[2] / "docs/hyperparameter-search.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/hyperparameter-search.md", "exec"), names)
    table = summarize(names["results"])
    assert [one.seeds for one in table.configurations] == [(0, 1), (0, 1)]
    assert all(one.n == 2 for one in table.configurations)
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if line.startswith("{'objective.lambda2'")] == [
        f"{one.values} {one.mean} {one.spread} {one.seeds}" for one in table.configurations
    ]
    assert {row.status for row in rows_of("runs/from-python").values()} == {"FINISHED"}
