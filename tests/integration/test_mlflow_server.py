"""A tracking server over HTTP, killed in the middle of a run and started again."""

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ssgan.records.rundir import RunDir
from ssgan.tracking.live_sync import RunSync
from ssgan.tracking.recorder import sync_run
from ssgan.tracking.store import default_uri
from tests.helpers.servers import START, Server, commit, mlflow_server, picture, synthetic_run

pytestmark = pytest.mark.integration


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def query(store: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(store / "mlflow.db") as database:
        return database.execute(sql).fetchall()


def steps(store: Path) -> list[tuple[object, ...]]:
    """All points of one metric, doubles included."""
    return query(store, "SELECT step FROM metrics WHERE key = 'zero_one_loss_ema' ORDER BY step")


def assert_all_there_once(store: Path, artifacts: Path, run: RunDir, epochs: int) -> None:
    """Compare what stands in the database and on the disk with the run directory."""
    wanted = {
        (key, record.epoch, record.timestamp_ms, value)
        for record in run.records()
        for key, value in {**record.metrics, "images_seen": record.images_seen}.items()
    }
    there = query(store, "SELECT key, step, timestamp, value FROM metrics")
    assert len(there) == 33 * epochs
    assert set(there) == wanted
    assert len(query(store, "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active'")) == 1
    pictures = sorted(artifacts.rglob("images/*.png"))
    assert {(file.name.split("+")[2], file.read_bytes()) for file in pictures} == {
        (str(record.epoch), run.read_bytes(record.images["samples_ema"]))
        for record in run.records()
    }
    assert len(pictures) == len(list(artifacts.rglob("images/*+compressed.webp"))) == epochs


def test_a_server_killed_during_a_run_has_everything_once_in_the_end(
    tmp_path: Path, serve: Callable[[Server], Server], caplog: pytest.LogCaptureFixture
) -> None:
    store, artifacts = tmp_path, tmp_path / "artifacts"
    server = serve(mlflow_server(store, "server", "--artifacts-destination", artifacts.as_uri()))
    run = synthetic_run(tmp_path / "run")
    with caplog.at_level(logging.WARNING, logger="ssgan"), RunSync(run, server.url, interval=0.05):
        for epoch in range(1, 4):
            commit(run, epoch, picture(epoch))
        wait_until(lambda: len(steps(store)) >= 2)
        for epoch in range(4, 8):
            commit(run, epoch, picture(epoch, side=1200))  # megabytes: the kill cuts one short
        wait_until(lambda: len(steps(store)) >= 4)
        server.kill()
        told = len(steps(store))
        for epoch in range(8, 11):
            commit(run, epoch, picture(epoch))
        wait_until(lambda: "training continues" in caplog.text)
        assert len(steps(store)) == told
        server.start()
        for epoch in range(11, 13):
            commit(run, epoch, picture(epoch))
        wait_until(lambda: len(steps(store)) >= 10)
        run.write_summary({"epochs": 12, "stop_reason": "all epochs done"})
    assert_all_there_once(store, artifacts, run, epochs=12)
    assert query(store, "SELECT status, end_time FROM runs") == [("FINISHED", START + 12_000)]
    told_user = [record.getMessage() for record in caplog.records if "ssgan" in record.name]
    assert len(told_user) == 2
    assert "answers again" in told_user[1]

    # The same directory fills another store.
    other = tmp_path / "other"
    sync_run(default_uri(other), run)
    assert_all_there_once(other, other / "mlartifacts", run, epochs=12)


def test_a_run_without_a_server_is_synced_later(
    tmp_path: Path, serve: Callable[[Server], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    artifacts = tmp_path / "artifacts"
    server = mlflow_server(tmp_path, "server", "--artifacts-destination", artifacts.as_uri())
    run = synthetic_run(tmp_path / "run")
    follower = RunSync(run, server.url, interval=0.05).start()
    for epoch in (1, 2):
        commit(run, epoch, picture(epoch))
    assert not follower.close()
    serve(server)
    for _ in range(2):
        sync_run(server.url, run)
    assert_all_there_once(tmp_path, artifacts, run, epochs=2)
