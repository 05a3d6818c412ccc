"""A search that is stopped, then killed with all its processes, and goes on each time."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from ssgan.base.errors import BadInput
from ssgan.cluster.connection import Cluster
from ssgan.experiment.loading import as_file
from ssgan.records.searchdir import SearchDir
from ssgan.tuning import Search, build_tuner, restore_tuner
from ssgan.tuning.loading import change_search
from ssgan.tuning.program import run_search
from ssgan.tuning.tuner import finals_of
from tests.helpers.runs import assert_same_bits
from tests.helpers.searches import epochs_of, rows_of, small_definition, small_search
from tests.helpers.tracking import forget_places

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("digits_store"),
]

EPOCHS = 6


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start `ssgan search` with a Ray of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ssgan", "search", "--out", str(tmp_path), *arguments]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)

    return start


def wait_for_epoch(started: subprocess.Popen[str], location: Path, epoch: int) -> None:
    """Wait until some trial that goes on has reported an epoch."""
    directory = SearchDir(location)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and started.poll() is None:
        if any(row.epoch >= epoch and not row.is_over for row in directory.rows()):
            return
        time.sleep(0.05)
    raise AssertionError(f"no trial reached epoch {epoch}: {directory.rows()}")


def kill_all(started: subprocess.Popen[str]) -> None:
    """Kill a process with all its children."""
    mine = psutil.Process(started.pid)
    for process in [mine, *mine.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    started.communicate()


def test_a_search_that_was_stopped_and_killed_ends_as_if_it_had_not_been(
    ray_here: Cluster, tmp_path: Path, program: Callable[..., subprocess.Popen[str]]
) -> None:
    definition = small_definition(
        {"objective.lambda1": {"kind": "loguniform", "low": 0.05, "high": 2}},
        f"training.epochs={EPOCHS}",
        "training.steps_per_epoch=40",
        trials=2,
        concurrent=2,
    )
    hunt = tmp_path / "hunt"
    base = tmp_path / "small.yaml"
    base.write_text(as_file(definition["base"]))
    file = tmp_path / "search.yaml"
    file.write_text(yaml.safe_dump({**definition, "base": str(base)}))

    stopped = program("--search", str(file), "--name", "hunt")
    wait_for_epoch(stopped, hunt, 1)
    stopped.send_signal(signal.SIGTERM)
    said = stopped.communicate(timeout=120)[1]
    assert stopped.returncode == 1, said
    assert "continue with --resume hunt" in said.splitlines()[-1]
    search = Search.from_yaml(SearchDir.open(hunt).definition())

    killed = program("--resume", "hunt")
    wait_for_epoch(killed, hunt, 3)
    kill_all(killed)
    assert not all(row.is_over for row in SearchDir.open(hunt).rows())

    other = search.model_copy(update={"trials": 1})
    with pytest.raises(BadInput, match=r"another definition:\n  search.trials: 2 -> 1"):
        restore_tuner(hunt, other, cluster=ray_here)
    with pytest.raises(BadInput, match=r"a search is already at .* --resume hunt"):
        build_tuner(search, hunt, cluster=ray_here)

    summary = run_search(search, str(tmp_path), "hunt", resume=True).summary
    assert (summary["trials"], summary["failed"]) == (2, 0)
    whole = tmp_path / "whole"
    build_tuner(search, whole, cluster=ray_here).fit()
    for ours, theirs in zip(rows_of(hunt).values(), rows_of(whole).values(), strict=True):
        assert (ours.trial, ours.values, ours.status) == (theirs.trial, theirs.values, "FINISHED")
        assert ours.metric == theirs.metric
        assert epochs_of(hunt, ours) == list(range(1, EPOCHS + 1))
        assert_same_bits(str(hunt / ours.run), str(whole / theirs.run))
        assert (hunt / ours.run / "summary.json").exists()

    # Nothing is missing in MLflow and nothing is there twice, whoever sent it.
    client = MlflowClient(summary["tracking_uri"])
    experiment = client.get_experiment_by_name("hunt")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.mlflow.parentRunId LIKE '%'")
    assert len(runs) == 2
    for run in runs:
        history = client.get_metric_history(run.info.run_id, search.metric)
        assert sorted(point.step for point in history) == list(range(1, EPOCHS + 1))


def test_a_search_that_is_over_can_be_moved_and_given_more(
    ray_here: Cluster, tmp_path: Path
) -> None:
    search = small_search(
        {"objective.lambda1": {"kind": "loguniform", "low": 0.05, "high": 2}},
        "training.epochs=2",
        trials=2,
        finals={"best": 1, "seeds": 1},
    )
    before, after = tmp_path / "before", tmp_path / "after"
    first = run_search(search, str(before), "hunt").summary
    shutil.move(before, after)
    forget_places()
    more = ["search.trials=3", "training.epochs=3", "search.finals.seeds=2"]
    grown = change_search(search, more)
    summary = run_search(grown, str(after), "hunt", resume=True).summary
    assert (summary["search_id"], summary["failed"]) == (first["search_id"], 0)
    assert summary["search_dir"] == str(after / "hunt")
    assert not before.exists()

    whole = tmp_path / "whole"
    build_tuner(grown, whole, cluster=ray_here).fit()
    ours = {name: row for name, row in rows_of(after / "hunt").items() if row.stage == "search"}
    theirs = rows_of(whole)
    assert {name: row.values for name, row in ours.items()} == {
        name: row.values for name, row in theirs.items()
    }
    for row in rows_of(after / "hunt").values():
        if row.stage == "search" or row.trial in finals_in(after / "hunt", grown):
            assert (row.status, row.epoch) == ("FINISHED", 3)
            assert epochs_of(after / "hunt", row) == [1, 2, 3]
    assert_same_bits(str(after / "hunt" / ours["00002"].run), str(whole / theirs["00002"].run))

    client = MlflowClient(summary["tracking_uri"])
    experiment = client.get_experiment_by_name("hunt")
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id]):
        assert run.info.artifact_uri.startswith((after / "mlartifacts").as_uri())


def finals_in(location: Path, search: Search) -> set[str]:
    rows = list(rows_of(location).values())
    return {one["trial"] for one in finals_of(search, rows)}
