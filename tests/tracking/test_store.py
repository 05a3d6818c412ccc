import fcntl
import logging
import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ssgan.base.errors import BadInput
from ssgan.records.rundir import RunDir
from ssgan.tracking import store
from ssgan.tracking.recorder import sync_run
from ssgan.tracking.store import (
    Busy,
    Deleted,
    Unreachable,
    check,
    connect,
    default_uri,
    store_of,
    sync_command,
    ui_address,
    ui_command,
)
from tests.helpers.tracking import ALL_IMAGES, DEAD, commit, forget_places, images, make_run


@pytest.mark.parametrize("uri", ["runs/mlflow.db", "file:///runs", "databricks", "ftp://host"])
def test_what_is_no_store_is_refused(uri: str) -> None:
    with pytest.raises(BadInput, match=r"cannot hold MLflow's records; give .*sqlite:////"):
        check(uri)


def test_the_environment_says_where_runs_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    assert default_uri(f"file://{tmp_path}") == f"sqlite:///{tmp_path}/mlflow.db"
    assert default_uri("mock:///bucket/runs") == f"sqlite:///{Path.cwd()}/runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere")
    assert default_uri(tmp_path) == "nowhere"
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_URI='nowhere' cannot hold"):
        check(default_uri(tmp_path))
    with pytest.raises(BadInput, match=r"tracking\.uri='elsewhere' cannot hold"):
        check("elsewhere")


@pytest.mark.usefixtures("impatient")
def test_a_dead_server_is_named_with_what_to_do() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9 does not answer .*start it"):
        check(DEAD)


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"choose a writable place with tracking\.uri"):
        check(default_uri(tmp_path / "file"))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no lock."""
    monkeypatch.setattr(store, "_LOCK_WAIT", 0.05)
    monkeypatch.setattr(store, "_BUSY_WAIT", 0.05)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_locked_file_is_named_and_not_waited_for(uri: str, lock: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as other:
        other.execute(f"BEGIN {lock}")
        with pytest.raises(Busy, match=r"mlflow\.db are locked by another process .*wait"):
            check(uri)
        other.rollback()
    check(uri)


@pytest.mark.usefixtures("at_once")
def test_a_lock_file_that_is_held_is_named_and_not_waited_for(uri: str) -> None:
    with open(f"{uri.removeprefix('sqlite:///')}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Busy, match=r"lock file .*mlflow\.db\.lock is held"):
            check(uri)


def test_a_store_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.db import utils

    uri, seen = default_uri(tmp_path), []

    def break_off(engine: object) -> None:
        seen.append({file.name for file in tmp_path.iterdir()})
        raise OSError("killed between two of MLflow's steps")

    with monkeypatch.context() as patch:
        patch.setattr(utils, "_upgrade_db", break_off)
        with pytest.raises(Unreachable):
            check(uri)
    assert seen
    assert all("mlflow.db" not in names for names in seen)
    assert os.listdir(tmp_path) == ["mlflow.db.lock"]
    check(uri)
    assert connect(uri).create_experiment("first")
    assert set(os.listdir(tmp_path)) == {"mlflow.db", "mlflow.db.lock"}


@pytest.mark.parametrize("memory", ["has room", "is full", "is missing"])
def test_a_store_is_made_in_memory_where_there_is_room(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "memory"
    if memory != "is missing":
        folder.mkdir()
    monkeypatch.setattr(store, "_SHARED_MEMORY", folder)
    monkeypatch.setattr(store, "_ROOM", 2**60 if memory == "is full" else 0)
    made, copyfile = [], shutil.copyfile

    def copy(source: Path, target: Path) -> None:
        made.append(source)
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", copy)
    check(default_uri(tmp_path / "runs"))
    (place,) = made
    assert place.is_relative_to(folder) == (memory == "has room")
    assert not place.parent.exists()


def test_a_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, " * 100)
    with pytest.raises(Unreachable, match=r"cannot use MLflow's records .* not a database"):
        check(default_uri(tmp_path))


@pytest.mark.usefixtures("impatient")
def test_a_silent_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as server:  # it listens, and answers nothing
        port = server.getsockname()[1]
        with pytest.raises(Unreachable, match=f"127.0.0.1:{port} does not answer"):
            check(f"http://127.0.0.1:{port}")


def test_a_server_that_refuses_is_named_with_the_remedy() -> None:
    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403, "Invalid Host header")

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = r"refuses us .*start it with --allowed-hosts 127\.0\.0\.1"
        with pytest.raises(Unreachable, match=told):
            check(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_a_port_is_not_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(self: MlflowClient, **_: object) -> None:
        raise MlflowException("HTTPConnectionPool(host='127.0.0.1', port=36403): Read timed out")

    monkeypatch.setattr(MlflowClient, "search_experiments", time_out)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:36403 does not answer"):
        check("http://127.0.0.1:36403")


def test_an_experiment_that_was_deleted_is_refused(uri: str) -> None:
    client = connect(uri)
    check(uri, "deleted later")
    client.delete_experiment(client.create_experiment("deleted later"))
    with pytest.raises(Deleted, match=r"'deleted later' was deleted; restore it"):
        check(uri, "deleted later")
    check(uri)


def test_the_users_own_patience_wins(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", raising=False)
    connect(uri)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"] == "1"


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_a_store_that_was_moved_or_copied_finds_its_files(
    tmp_path: Path, move: Callable[[Path, Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    before, after = tmp_path / "before it", tmp_path / "after"
    first = sync_run(default_uri(before), make_run(before, "digits"))
    move(before, after)
    kept = sorted(before.rglob("*"))
    forget_places()
    uri, run = default_uri(after), RunDir.open(after / "a run")
    commit(run, 4)
    with caplog.at_level(logging.WARNING):
        assert sync_run(uri, run)[:4] == (first.mlflow_run_id, "digits", 4, 1)
    assert (
        f"the files of {after}/mlflow.db are {(after / 'mlartifacts').as_uri()} now" in caplog.text
    )
    assert images(uri, first.mlflow_run_id) == ALL_IMAGES | {
        ("samples_ema", "4"): 1,
        ("traversals", "4"): 1,
    }
    info = MlflowClient(uri).get_run(first.mlflow_run_id).info
    assert info.artifact_uri.startswith((after / "mlartifacts").as_uri())
    assert sorted(before.rglob("*")) == kept  # nothing is written to where it was
    caplog.clear()
    connect(uri)
    assert "the files of" not in caplog.text


def test_the_store_beside_the_runs_takes_the_place_of_one_that_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = str(tmp_path / "moved")
    beside, gone = default_uri(out), f"sqlite:///{tmp_path}/runs/mlflow.db"
    (tmp_path / "other.db").touch()
    here = f"sqlite:///{tmp_path}/other.db"
    assert store_of(None, out) == beside
    assert store_of(here, out) == here
    assert store_of("http://mlflow:5000", out) == "http://mlflow:5000"
    assert store_of(gone, out) == beside
    assert f"{tmp_path}/runs/mlflow.db is gone; {out}/mlflow.db, beside the runs, is" in caplog.text
    new = f"sqlite:///{tmp_path}/to come.db"
    assert store_of(new, out) == new
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved/mlflow.db").touch()
    assert store_of(new, out) == beside


def test_the_command_that_catches_up_names_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sync_command("runs/a", "sqlite:////runs/mlflow.db") == "ssgan track sync runs/a"
    server = "http://mlflow:5000"
    assert sync_command("runs/a", server) == f"ssgan track sync runs/a --uri {server}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert sync_command("runs/a", server) == "ssgan track sync runs/a"


def test_the_command_that_shows_it_all_and_where() -> None:
    assert ui_command("http://host:5000") == "http://host:5000"
    assert ui_command("sqlite:////a b/mlflow.db", 5001) == (
        "mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db' --port 5001"
    )
    assert ui_address("sqlite:////a b/mlflow.db", 5001) == "http://127.0.0.1:5001"
    assert ui_address("https://host/mlflow/") == "https://host/mlflow"
