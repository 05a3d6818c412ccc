"""MLflow keeps up with runs and searches while they train, and never holds them up."""

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from ssgan.records.searchdir import SearchDir
from ssgan.report.pages import SearchPages
from ssgan.tracking.live_sync import RunSync, SearchSync
from ssgan.tracking.recorder import Recorder
from ssgan.tracking.view import view_path
from tests.helpers import searchdirs
from tests.helpers.searchdirs import tiny
from tests.helpers.tracking import (
    ALL_IMAGES,
    ALL_ROWS,
    DEAD,
    begin,
    commit,
    images,
    make_run,
    points,
    rows,
    runs_of,
)


def test_mlflow_keeps_up_with_a_run_and_closes_it(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "followed", epochs=1)
    with RunSync(run, uri, interval=0.02) as follower:
        client = MlflowClient(uri)
        while not (experiment := client.get_experiment_by_name("followed")):
            time.sleep(0.02)
        while not (found := client.search_runs([experiment.experiment_id])):
            time.sleep(0.02)
        run_id = found[0].info.run_id
        commit(run, 2)
        while len(rows(uri, run_id)) < 2:
            time.sleep(0.02)
        assert client.get_run(run_id).info.status == "RUNNING"
        commit(run, 3)
        run.write_summary({})
    assert rows(uri, run_id) == ALL_ROWS
    assert images(uri, run_id) == ALL_IMAGES
    assert client.get_run(run_id).info.status == "FINISHED"
    assert follower.view == view_path(experiment.experiment_id)


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FAILED"), (RuntimeError("boom"), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_a_run_that_ends_early_is_marked(
    uri: str, tmp_path: Path, error: BaseException | None, status: str
) -> None:
    run = make_run(tmp_path, "early", epochs=1)
    try:
        with RunSync(run, uri, interval=0.02):
            if error:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        assert error
    assert Recorder(uri, "early").sync(run).status == status


@pytest.mark.usefixtures("impatient")
def test_a_dead_server_costs_a_run_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssgan.tracking.live_sync._PAUSE", 0.0)
    run = make_run(tmp_path, "dead", epochs=1)
    with caplog.at_level(logging.WARNING, logger="ssgan"):
        follower = RunSync(run, DEAD, interval=0.01).start()
        time.sleep(0.2)
        assert not follower.close()
    assert follower.view is None
    told = [record.getMessage() for record in caplog.records if record.name.startswith("ssgan")]
    assert len(told) == 2
    assert "training continues" in told[0]
    assert f"ssgan track sync {run.location}" in told[1]


def test_a_store_that_is_locked_costs_a_run_a_line_and_nothing_is_lost(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssgan.tracking.store._BUSY_WAIT", 0.02)
    monkeypatch.setattr("ssgan.tracking.live_sync._PAUSE", 0.0)
    run = make_run(tmp_path, "locked")
    run.write_summary({})
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.WARNING):
            assert not RunSync(run, uri, interval=0.01).start().close()
        other.rollback()
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [bool(record.exc_info) for record in told] == [False, False]
    assert "are locked by another process" in told[0].getMessage()
    assert f"ssgan track sync {run.location}" in told[1].getMessage()
    assert RunSync(run, uri).close()
    assert rows(uri, MlflowClient(uri).search_runs(experiments(uri, "locked"))[0].info.run_id) == (
        ALL_ROWS
    )


def experiments(uri: str, name: str) -> list[str]:
    return [MlflowClient(uri).get_experiment_by_name(name).experiment_id]


def test_a_store_that_is_down_for_long_is_not_tried_again_at_the_end(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssgan.tracking.live_sync._GIVING_UP", -1.0)
    tried: list[str] = []

    def fail(*_: object, status: str) -> None:
        tried.append(status)
        raise MlflowException("no answer")

    monkeypatch.setattr(Recorder, "sync", fail)
    run = make_run(tmp_path, "down", epochs=1)
    follower = RunSync(run, uri, interval=60.0).start()
    while not tried:
        time.sleep(0.01)
    assert not follower.close()
    assert tried == ["RUNNING"]
    assert not RunSync(run, uri).close()  # of which nothing is known yet
    assert tried == ["RUNNING", "FAILED"]


@pytest.mark.parametrize("wanted", [True, False])
def test_how_busy_the_machine_is_is_recorded_where_it_is_asked_for(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.02")
    run = make_run(tmp_path, f"busy {wanted}", epochs=1)
    tree = run.definition_tree() | {"tracking": {"system_metrics": wanted}}
    run.write_definition(yaml.safe_dump(tree))
    client = MlflowClient(uri)

    def measured() -> bool:
        experiment = client.get_experiment_by_name(f"busy {wanted}")
        (found,) = client.search_runs([experiment.experiment_id])
        return "system/cpu_utilization_percentage" in found.data.metrics

    with RunSync(run, uri, interval=0.02) as follower:
        while follower.view is None or measured() < wanted:
            time.sleep(0.02)
        run.write_summary({})
    assert measured() == wanted
    assert Recorder(uri, f"busy {wanted}").sync(run).status == "FINISHED"


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    return wait


def test_mlflow_keeps_up_with_a_search_and_closes_it(
    uri: str, search: SearchDir, wait_for: Callable[[Callable[[], object]], None]
) -> None:
    client = MlflowClient(uri)

    def child_of(trial: str) -> Run | None:
        experiment = client.get_experiment_by_name(search.info.name)
        if experiment is None:
            return None
        tagged = f"tags.`ssgan.trial` = '{trial}'"
        return next(iter(client.search_runs([experiment.experiment_id], tagged)), None)

    with SearchSync(search, uri, interval=0.02) as follower:
        row = begin(search, epochs=1)
        search.write_rows([row])
        wait_for(lambda: child_of("00000"))
        searchdirs.commit(search.run(row), 0, 2, 0.2, tiny(0, 2, 0))
        row = row.model_copy(update={"epoch": 2, "metric": 0.2})
        search.write_rows([row])
        wait_for(lambda: len(points(uri, child_of("00000") or pytest.fail("gone"))) == 2)
        row = row.model_copy(update={"status": "STOPPED", "reason": "stopped by asha at epoch 2"})
        other = begin(search, 1, epochs=1)
        search.write_rows([row, other])
        wait_for(lambda: (child_of("00000") or pytest.fail("gone")).info.status == "FINISHED")
        search.run(other).write_summary({})
        search.write_rows([row, other.model_copy(update={"status": "FINISHED"})])
        search.write_summary({"trials": 2})
    parent, children = runs_of(uri, search)
    assert parent.info.status == "FINISHED"
    assert {child.info.status for child in children.values()} == {"FINISHED"}
    assert children["00000"].data.tags["ssgan.status"] == "STOPPED"
    names = [file.path for file in client.list_artifacts(parent.info.run_id, "report")]
    assert "report/contact-sheet.html" in names
    whole = search.read_bytes("report/contact-sheet.html")
    place = client.download_artifacts(parent.info.run_id, "report/contact-sheet.html")
    assert Path(place).read_bytes() == whole
    assert follower.view == view_path(parent.info.experiment_id)
    assert follower.close()  # closing twice does no harm


def test_a_search_that_breaks_is_closed_as_failed(uri: str, search: SearchDir) -> None:
    def break_it() -> None:
        with SearchSync(search, uri, interval=0.02):
            search.write_rows([begin(search, epochs=1)])
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        break_it()
    parent, children = runs_of(uri, search)
    assert (parent.info.status, children["00000"].info.status) == ("FAILED", "KILLED")


def test_a_report_that_cannot_be_drawn_holds_nothing_up(
    uri: str, search: SearchDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SearchPages, "draw", lambda *_: 1 / 0)
    search.write_rows([begin(search, epochs=1)])
    with caplog.at_level(logging.WARNING, logger="ssgan"):
        assert SearchSync(search, uri).close("FINISHED")
    assert "cannot draw the report" in caplog.text
    assert len(points(uri, runs_of(uri, search)[1]["00000"])) == 1


def test_a_slow_server_does_not_hold_the_end_up(
    uri: str,
    search: SearchDir,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("ssgan.tracking.live_sync._CLOSING", 0.0)
    search.write_rows([begin(search, trial, epochs=1) for trial in range(3)])
    search.write_summary({})
    with caplog.at_level(logging.WARNING, logger="ssgan"):
        assert not SearchSync(search, uri).close()
    assert "news of 3 of 3 trials of the search are not in MLflow yet" in caplog.text
    assert f"ssgan track sync {search.location}" in caplog.text
    parent, children = runs_of(uri, search)
    assert (parent.info.status, children) == ("FINISHED", {})
    monkeypatch.undo()
    assert SearchSync(search, uri).close()
    assert len(runs_of(uri, search)[1]) == 3


@pytest.mark.usefixtures("impatient")
def test_a_dead_server_costs_a_search_one_warning(
    search: SearchDir, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssgan.tracking.live_sync._PAUSE", 0.0)
    search.write_rows([begin(search, epochs=1)])
    with caplog.at_level(logging.WARNING, logger="ssgan"):
        assert not SearchSync(search, DEAD, interval=0.01).start().close()
    told = [record.getMessage() for record in caplog.records if record.name.startswith("ssgan")]
    assert len(told) == 2
    assert f"the search is not in MLflow yet; once {DEAD} answers: ssgan track sync" in told[1]
    assert search.exists("report/contact-sheet.html")
