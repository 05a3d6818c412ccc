import os
from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.tracking.store import Unreachable, check, connect, default_uri, ui_command
from tests.helpers.tracking import DEAD


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


def test_the_users_own_patience_wins(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", raising=False)
    connect(uri)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"] == "1"


def test_the_command_that_shows_it_all() -> None:
    assert ui_command("http://host:5000") == "http://host:5000"
    assert ui_command("sqlite:////a b/mlflow.db", 5001) == (
        "mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db' --port 5001"
    )
