"""`ssgan track sync` takes runs and searches alike."""

import json
from pathlib import Path

from tests.helpers.searchdirs import fill_search, make_search


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


def test_what_is_neither_is_refused(tmp_path: Path, ssgan) -> None:
    (tmp_path / "folder").mkdir()
    refused = ssgan("track", "sync", "folder")
    assert refused.code == 2
    assert "none of these is a run or search directory: folder" in refused.err
