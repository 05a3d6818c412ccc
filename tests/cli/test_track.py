"""`ssgan track sync` takes runs and searches alike."""

import json
import shutil
import socket
from pathlib import Path

import pytest

from tests.helpers.searchdirs import fill_search, make_search
from tests.helpers.tracking import forget_places, make_run


def test_a_search_is_synced_with_all_its_trials(tmp_path: Path, ssgan) -> None:
    search = make_search(tmp_path / "runs")
    fill_search(search, trials=3, epochs=2)
    before = search.list("")
    done = ssgan("track", "sync", "runs/lambdas", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["runs"] == []
    (report,) = found["searches"]
    assert report["tracking_uri"] == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert (report["experiment"], report["trials"], report["synced"]) == ("lambdas", 3, 3)
    assert report["epochs"] == sum(row.epoch for row in search.rows())
    assert search.list("") == before
    again = ssgan("track", "sync", "runs/lambdas", "runs/lambdas/trials/00000")
    assert again.code == 0
    assert "0 epochs and 0 pictures of 3 trials sent" in again.err
    assert "lambdas: 3 trials in MLflow experiment lambdas" in again.out
    assert "00000: 2 epochs in MLflow experiment digits" in again.out
    shown = [line for line in again.out.splitlines() if "mlflow ui" in line or "/#/" in line]
    # The trial alone is recorded beside itself, so there are two stores to look at.
    assert ["look at them: " in line for line in shown] == [True, False, True, False]
    assert all("/#/experiments/1/runs?workflow" in line for line in shown[1::2])


def test_a_search_goes_where_it_was_recorded(tmp_path: Path, ssgan) -> None:
    search = make_search(tmp_path / "runs")
    elsewhere = f"sqlite:///{tmp_path}/elsewhere.db"
    search.write_summary({"tracking_uri": elsewhere})
    done = ssgan("track", "sync", "runs/lambdas", "--json")
    (report,) = json.loads(done.out)["searches"]
    assert (report["tracking_uri"], report["status"]) == (elsewhere, "FINISHED")


def test_a_search_that_was_cut_off_goes_where_its_trials_were_to_go(tmp_path: Path, ssgan) -> None:
    search = make_search(tmp_path / "runs")
    chosen = f"sqlite:///{tmp_path}/chosen.db"
    search.write_bytes("search.yaml", f"base: {{tracking: {{uri: '{chosen}'}}}}\n".encode())
    (report,) = json.loads(ssgan("track", "sync", "runs/lambdas", "--json").out)["searches"]
    assert (report["tracking_uri"], report["status"]) == (chosen, "RUNNING")


def test_nothing_is_sent_to_a_server_that_a_directory_names(
    tmp_path: Path, ssgan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        make_run(tmp_path / "received", "digits").write_summary({"tracking_uri": address})
        search = make_search(tmp_path / "received")
        search.write_bytes("search.yaml", f"base: {{tracking: {{uri: '{address}'}}}}\n".encode())
        for name in ("a run", "lambdas"):
            refused = ssgan("track", "sync", f"received/{name}")
            assert refused.code == 2
            told = " ".join(refused.err.split())
            assert f"says that it was recorded in {address}; nothing is sent" in told
            assert f"add --uri {address}" in told
        for given in ("--uri", "MLFLOW_TRACKING_URI", "beside"):
            arguments = ("--uri", f"sqlite:///{tmp_path}/mine.db") if given == "--uri" else ()
            with monkeypatch.context() as patch:
                if given == "MLFLOW_TRACKING_URI":
                    patch.setenv(given, f"sqlite:///{tmp_path}/theirs.db")
                if given == "beside":
                    shutil.copy(tmp_path / "mine.db", tmp_path / "received/mlflow.db")
                assert ssgan("track", "sync", "received/a run", *arguments).code == 0
        with pytest.raises(BlockingIOError):
            server.accept()


def test_runs_that_were_moved_are_synced_where_they_are(tmp_path: Path, ssgan) -> None:
    make_run(tmp_path / "runs", "digits").write_summary(
        {"tracking_uri": f"sqlite:///{tmp_path}/runs/mlflow.db"}
    )
    assert ssgan("track", "sync", "runs/a run").code == 0
    shutil.copytree(tmp_path / "runs", tmp_path / "copy")
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    forget_places()
    copied = ssgan("track", "sync", "copy/a run", "--json")
    assert (
        json.loads(copied.out)["runs"][0]["tracking_uri"] == f"sqlite:///{tmp_path}/copy/mlflow.db"
    )
    told = " ".join(copied.err.split())
    assert f"was recorded in sqlite:///{tmp_path}/runs/mlflow.db; sqlite:///" in told
    after = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert after == before


def test_what_is_neither_is_refused(tmp_path: Path, ssgan) -> None:
    (tmp_path / "folder").mkdir()
    refused = ssgan("track", "sync", "folder")
    assert refused.code == 2
    assert "none of these is a run or search directory: folder" in refused.err
