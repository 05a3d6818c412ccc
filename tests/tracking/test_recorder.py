"""MLflow says what the run directory says, however often and however brokenly it was told."""

import io
import json
import logging
import os
import re
import sqlite3
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.data.labels import LabelBudget
from ssgan.records.rundir import Record, RunDir
from ssgan.tracking import Recorder, RunSync, Unreachable, check, default_uri, sync_all, ui_command
from ssgan.tracking.recorder import experiment_of, flatten
from ssgan.tracking.store import connect

DEAD = "http://127.0.0.1:9"  # the discard port: nothing listens
START = 1_700_000_000_000


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a dead server at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 16), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def commit(run: RunDir, epoch: int, **metrics: float | None) -> None:
    record = Record(
        epoch=epoch,
        step=100 * epoch,
        images_seen=12_800 * epoch,
        timestamp_ms=START + 1000 * epoch,
        metrics={"zero_one_loss": 0.5 / epoch, "zero_one_loss_ema": 0.1, "mi/digit": 2.0} | metrics,
        alarms=("code style_1 is dead",) if epoch == 2 else (),
    )
    run.commit_record(record, {"samples_ema": picture(epoch), "traversals": picture(-epoch % 7)})


def make_run(folder: Path, experiment: str, epochs: int = 3) -> RunDir:
    tree = {
        "name": experiment,
        "objective": {"lambda1": 0.8, "lambda2": 2.0},
        "codes": {"supervised": ["digit"], "prior": "uniform"},
        "tracking": {"uri": None, "experiment": None},
        "seed": 0,
    }
    run = RunDir.create(folder / "a run", yaml.safe_dump(tree), "first")
    for epoch in range(1, epochs + 1):
        commit(run, epoch)
    return run


def rows(uri: str, run_id: str, key: str = "zero_one_loss") -> list[tuple[int, int, float]]:
    """Read a metric past MLflow: (step, timestamp, value), doubles included."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        found = database.execute(
            "SELECT step, timestamp, value FROM metrics WHERE run_uuid = ? AND key = ?"
            " ORDER BY step",
            (run_id, key),
        )
        return found.fetchall()


def images(uri: str, run_id: str) -> Counter[tuple[str, str]]:
    """Count pictures by name and step."""
    files = MlflowClient(uri).list_artifacts(run_id, "images")
    names = [file.path.removeprefix("images/") for file in files if file.path.endswith(".png")]
    return Counter((name.split("+")[0], name.split("+")[2]) for name in names)


ALL_IMAGES = {(name, str(e)): 1 for name in ("samples_ema", "traversals") for e in (1, 2, 3)}
ALL_ROWS = [(e, START + 1000 * e, 0.5 / e) for e in (1, 2, 3)]


def test_every_epoch_is_there_once_however_often_it_is_sent(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "once")
    first = Recorder(uri, "once").sync(run)
    assert (first.epochs, first.sent, first.images, first.status) == (3, 3, 6, "RUNNING")
    second = Recorder(uri, "once").sync(run)
    assert (second.sent, second.images) == (0, 0)
    assert second.mlflow_run_id == first.mlflow_run_id
    commit(run, 4)
    assert Recorder(uri, "once").sync(run).sent == 1
    assert rows(uri, first.mlflow_run_id)[:3] == ALL_ROWS
    assert len(rows(uri, first.mlflow_run_id)) == 4
    assert set(images(uri, first.mlflow_run_id).values()) == {1}


def test_a_batch_that_is_sent_again_doubles_nothing(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "again")
    run_id = Recorder(uri, "again").sync(run).mlflow_run_id
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        database.execute("DELETE FROM metrics WHERE key = 'images_seen'")
    assert Recorder(uri, "again").sync(run).sent == 3
    assert rows(uri, run_id) == ALL_ROWS


def test_lost_and_truncated_pictures_are_mended(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "mended")
    run_id = Recorder(uri, "mended").sync(run).mlflow_run_id
    folder = Path(uri.removeprefix("sqlite:///")).parent / f"mlartifacts/{run_id}/artifacts/images"
    lost, cut, *_ = sorted(folder.glob("*.png"))
    lost.unlink()
    whole = cut.read_bytes()
    cut.write_bytes(whole[:50])
    assert Recorder(uri, "mended").sync(run).images == 2
    assert cut.read_bytes() == whole
    assert images(uri, run_id) == ALL_IMAGES


def test_a_run_that_was_created_twice_becomes_one(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "twice")
    run_id = Recorder(uri, "twice").sync(run).mlflow_run_id
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("twice").experiment_id
    client.create_run(experiment, tags={"ssgan.run_id": run.run_id})
    assert Recorder(uri, "twice").sync(run).mlflow_run_id == run_id
    assert [one.info.run_id for one in client.search_runs([experiment])] == [run_id]


def test_pictures_are_named_as_log_image_names_them(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "names", epochs=1)
    client = MlflowClient(uri)
    run_id = Recorder(uri, "names").sync(run).mlflow_run_id
    other = client.create_run(client.get_experiment_by_name("names").experiment_id).info.run_id
    with Image.open(io.BytesIO(picture(1))) as image:
        client.log_image(other, image, key="samples_ema", step=1, timestamp=START + 1000)

    def names(run_id: str) -> set[str]:
        files = client.list_artifacts(run_id, "images")
        uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        return {re.sub(uuid, "UUID", file.path) for file in files if "samples" in file.path}

    assert names(run_id) == names(other)
    tags = [client.get_run(one).data.tags for one in (run_id, other)]
    assert tags[0]["mlflow.loggedImages"] == tags[1]["mlflow.loggedImages"]


def test_thumbnails_are_readable(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "small", epochs=1)
    run_id = Recorder(uri, "small").sync(run).mlflow_run_id
    thumbnails = [
        file.path
        for file in MlflowClient(uri).list_artifacts(run_id, "images")
        if file.path.endswith("+compressed.webp")
    ]
    assert len(thumbnails) == 2
    local = MlflowClient(uri).download_artifacts(run_id, thumbnails[0], str(tmp_path))
    with Image.open(local) as image:
        assert image.size == (171, 256)


def test_metrics_without_a_value_are_left_out(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "null", epochs=0)
    commit(run, 1, precision=None, recall=float("inf"), density=float("nan"))
    metrics = MlflowClient(uri).get_run(Recorder(uri, "null").sync(run).mlflow_run_id).data.metrics
    assert metrics == {
        "zero_one_loss": 0.5,
        "zero_one_loss_ema": 0.1,
        "mi/digit": 2.0,
        "images_seen": 12_800,
    }


def test_params_are_the_flat_tree(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "params")
    params = MlflowClient(uri).get_run(Recorder(uri, "params").sync(run).mlflow_run_id).data.params
    assert params["objective.lambda2"] == "2.0"
    assert params["codes.supervised"] == '["digit"]'
    assert params["codes.prior"] == "uniform"
    assert params["tracking.uri"] == "null"


def test_many_and_long_params_fit(uri: str, tmp_path: Path) -> None:
    tree = {"name": "long", "part": {f"field_{i}": i for i in range(250)}, "text": "x" * 9000}
    run = RunDir.create(tmp_path / "run", yaml.safe_dump(tree))
    run_id = Recorder(uri, "long").sync(run).mlflow_run_id
    found = MlflowClient(uri).get_run(run_id).data
    assert len(found.params) == 252
    assert found.params["text"] == "x" * 6000
    assert not [tag for tag in found.tags if tag.startswith("ssgan.changed")]


def test_a_changed_param_becomes_a_tag(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "changed")
    Recorder(uri, "changed").sync(run)
    tree = yaml.safe_load(run.experiment_yaml())
    tree["objective"]["lambda1"] = 0.1
    run.write_bytes("experiment.yaml", yaml.safe_dump(tree).encode())
    found = MlflowClient(uri).get_run(Recorder(uri, "changed").sync(run).mlflow_run_id).data
    assert found.params["objective.lambda1"] == "0.8"
    assert found.tags["ssgan.changed.objective.lambda1"] == "0.1"


def test_tags_tell_lineage_alarms_and_the_end(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "tags")
    budget = LabelBudget(
        train=torch.arange(5),
        held_out=torch.arange(0),
        amount=5,
        seed=0,
        balanced=False,
        counts={},
        data_hash="f" * 64,
    )
    run.write_bytes("labels.parquet", budget.to_parquet())
    run.write_summary({"stop_reason": "all epochs done"})
    run.write_json("environment.json", {"ssgan": "0.1.0", "threads": 2, "git_commit": "abc"})
    report = Recorder(uri, "tags").sync(run, tags={"mlflow.parentRunId": "parent"})
    tags = MlflowClient(uri).get_run(report.mlflow_run_id).data.tags
    assert tags["ssgan.data_hash"] == "f" * 64
    assert tags["ssgan.labels_hash"] == budget.hash
    assert tags["ssgan.run_id"] == run.run_id
    assert tags["ssgan.alarms"] == "code style_1 is dead"
    assert tags["ssgan.stop_reason"] == "all epochs done"
    assert tags["mlflow.source.git.commit"] == "abc"
    assert tags["ssgan.environment.ssgan"] == "0.1.0"
    assert tags["ssgan.environment.threads"] == "2"
    assert tags["mlflow.parentRunId"] == "parent"
    assert tags["mlflow.runName"] == "first"


def test_a_summary_closes_the_run_and_resuming_opens_it(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "closed")
    run.write_summary({})
    recorder, client = Recorder(uri, "closed"), MlflowClient(uri)
    report = recorder.sync(run)
    info = client.get_run(report.mlflow_run_id).info
    assert (report.status, info.status, info.end_time) == ("FINISHED", "FINISHED", START + 3000)
    assert recorder.sync(run, status="RUNNING").status == "RUNNING"
    assert recorder.sync(run, status="FAILED").status == "FAILED"
    assert client.get_run(report.mlflow_run_id).info.status == "FAILED"


def test_figures_and_export_follow_at_the_end_and_when_they_change(
    uri: str, tmp_path: Path
) -> None:
    run = make_run(tmp_path, "files")
    run.write_bytes("figures/curve.png", b"old")
    run.write_bytes("export/generator.json", b"{}")
    recorder, client = Recorder(uri, "files"), MlflowClient(uri)
    run_id = recorder.sync(run).mlflow_run_id
    assert not client.list_artifacts(run_id, "figures")
    run.write_summary({"epochs": 3})
    recorder.sync(run)
    run.write_bytes("figures/curve.png", b"new")
    recorder.sync(run)
    found = client.download_artifacts(run_id, "figures/curve.png", str(tmp_path))
    assert Path(found).read_bytes() == b"new"
    assert {file.path for file in client.list_artifacts(run_id)} == {
        "experiment.yaml",
        "export",
        "figures",
        "images",
        "summary.json",
    }


def test_runs_go_to_the_experiments_that_they_name(uri: str, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, name, epochs=1) for name in ("set one", "set two")]
    assert [report.experiment for report in sync_all(uri, runs)] == ["set one", "set two"]
    assert [report.experiment for report in sync_all(uri, runs, "both")] == ["both", "both"]
    chosen = {"name": "preset", "tracking": {"experiment": "chosen"}}
    assert experiment_of(RunDir.create(tmp_path / "c", yaml.safe_dump(chosen))) == "chosen"


def test_the_experiment_has_a_view_of_what_matters(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "viewed", epochs=0)
    for epoch in (1, 2):
        commit(run, epoch, **{"q_ss_accuracy/digit": 0.5, "q_ss_accuracy": 0.5})
    report = Recorder(uri, "viewed").sync(run)
    experiment = MlflowClient(uri).get_experiment_by_name("viewed")
    assert f"/experiments/{experiment.experiment_id}/runs?viewStateShareKey=ssgan" in report.view
    view = json.loads(experiment.tags["mlflow.sharedViewState.ssgan"])
    charts = json.loads(view["state"])["compareRunCharts"]
    assert [chart.get("metricKey") or chart["imageKeys"] for chart in charts] == [
        "zero_one_loss_ema",
        "q_ss_accuracy",
        "mi/digit",
        ["samples_ema"],
    ]
    assert charts[-1]["step"] == 2
    Recorder(uri, "viewed").sync(RunDir.create(tmp_path / "b", "name: viewed"))
    assert MlflowClient(uri).get_experiment_by_name("viewed").tags == experiment.tags


def test_a_deleted_experiment_is_named(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "gone", epochs=1)
    Recorder(uri, "gone").sync(run)
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("gone").experiment_id)
    with pytest.raises(BadInput, match=r"'gone' was deleted; restore it, or .*tracking.experiment"):
        Recorder(uri, "gone").sync(run)


def test_artifacts_stand_beside_the_sqlite_file(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "beside", epochs=1)
    Recorder(uri, "beside").sync(run)
    beside = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    location = MlflowClient(uri).get_experiment_by_name("beside").artifact_location
    assert location == beside.as_uri()


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


def test_a_follower_keeps_up_and_closes(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "followed", epochs=1)
    with RunSync(run, uri, interval=0.02):
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
        assert follower.close() is None
    told = [record.getMessage() for record in caplog.records if record.name.startswith("ssgan")]
    assert len(told) == 2
    assert "training continues" in told[0]
    assert f"ssgan track sync {run.location}" in told[1]


def test_flattening_spells_names_as_overrides_do() -> None:
    tree = {"a": {"b": {"c": True}, "d": None}, "e": {}, "f": "text", "g": [1, "ä"]}
    assert flatten(tree) == {
        "a.b.c": "true",
        "a.d": "null",
        "e": "{}",
        "f": "text",
        "g": '[1, "ä"]',
    }
