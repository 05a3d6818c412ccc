"""MLflow says what the run directory says, however often and however brokenly it was told."""

import io
import json
import re
import sqlite3
from pathlib import Path

import pytest
import torch
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.data.labels import LabelBudget
from ssgan.records.rundir import Record, RunDir
from ssgan.tracking.recorder import Recorder, experiment_of, flatten, sync_run
from tests.helpers.tracking import (
    ALL_IMAGES,
    ALL_ROWS,
    START,
    commit,
    count_calls,
    images,
    make_run,
    picture,
    rows,
)


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


def test_thumbnails_that_a_record_holds_are_sent_as_they_are(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "held", epochs=0)
    record = Record(epoch=1, step=1, images_seen=1, timestamp_ms=START, metrics={})
    run.commit_record(record, {"samples_ema": picture(1)}, {"samples_ema": b"a WebP"})
    run_id = Recorder(uri, "held").sync(run).mlflow_run_id
    folder = Path(uri.removeprefix("sqlite:///")).parent / f"mlartifacts/{run_id}/artifacts/images"
    (small,) = folder.glob("*.webp")
    assert small.read_bytes() == b"a WebP"


def test_an_epoch_is_one_batch_and_one_folder(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "calls", epochs=1)
    recorder = Recorder(uri, "calls", keeps_view=False)
    recorder.sync(run, status="RUNNING")
    called = count_calls(monkeypatch)
    for epoch in (2, 3):
        commit(run, epoch)
        called.clear()
        recorder.sync(run, status="RUNNING")
        assert called == ["get_experiment_by_name", "log_batch", "log_artifacts"]
    called.clear()
    recorder.sync(run, status="RUNNING")
    assert called == ["get_experiment_by_name"]


def test_a_run_that_was_deleted_meanwhile_is_made_again(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "gone")
    recorder = Recorder(uri, "gone")
    client = MlflowClient(uri)
    client.delete_run(recorder.sync(run, status="RUNNING").mlflow_run_id)
    commit(run, 4)
    with pytest.raises(MlflowException):
        recorder.sync(run, status="RUNNING")
    again = recorder.sync(run, status="RUNNING")
    assert (again.sent, again.images) == (4, 8)
    assert rows(uri, again.mlflow_run_id)[:3] == ALL_ROWS


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
    tree = yaml.safe_load(run.definition())
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
    run.write_json("environment.json", {"ssgan": "0.1.0", "threads": 2, "git_commit": "abc+"})
    report = Recorder(uri, "tags").sync(run, tags={"mlflow.parentRunId": "parent"})
    tags = MlflowClient(uri).get_run(report.mlflow_run_id).data.tags
    assert tags["ssgan.data_hash"] == "f" * 64
    assert tags["ssgan.labels_hash"] == budget.hash
    assert tags["ssgan.run_id"] == run.run_id
    assert "ssgan.alarms" not in tags
    assert tags["ssgan.stop_reason"] == "all epochs done"
    assert tags["mlflow.source.git.commit"] == "abc"
    assert tags["mlflow.source.git.dirty"] == "true"
    assert tags["ssgan.environment.ssgan"] == "0.1.0"
    assert tags["ssgan.environment.threads"] == "2"
    assert tags["mlflow.parentRunId"] == "parent"
    assert tags["mlflow.runName"] == "first"


def test_a_run_that_was_resumed_is_not_said_to_have_been_stopped(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "resumed")
    run.write_summary({"stop_reason": "stopped after 250 updates"})
    found = Recorder(uri, "resumed").sync(run).mlflow_run_id
    tags = MlflowClient(uri).get_run(found).data.tags
    assert tags["ssgan.stop_reason"] == "stopped after 250 updates"
    run.write_summary({"stop_reason": None})
    Recorder(uri, "resumed").sync(run)
    assert MlflowClient(uri).get_run(found).data.tags["ssgan.stop_reason"] == "none"


def test_alarms_are_those_of_the_last_epoch(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "alarms", epochs=2)
    recorder, client = Recorder(uri, "alarms"), MlflowClient(uri)
    run_id = recorder.sync(run).mlflow_run_id

    def alarms() -> str | None:
        return client.get_run(run_id).data.tags.get("ssgan.alarms")

    assert alarms() == "code style_1 is dead"
    commit(run, 3)
    recorder.sync(run)
    assert alarms() == "none"
    assert Recorder(uri, "alarms").sync(run).mlflow_run_id == run_id
    assert alarms() == "none"


def test_alarms_wait_until_training_has_begun(uri: str, tmp_path: Path) -> None:
    told = []
    for epochs in (11, 10):
        tree = {"name": "young", "training": {"epochs": epochs}}
        run = RunDir.create(tmp_path / str(epochs), yaml.safe_dump(tree))
        commit(run, 2)
        run_id = Recorder(uri, "young").sync(run).mlflow_run_id
        told.append(MlflowClient(uri).get_run(run_id).data.tags.get("ssgan.alarms"))
    assert told == [None, "code style_1 is dead"]


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


def test_the_summary_of_an_earlier_end_does_not_close_what_was_resumed_and_killed(
    uri: str, tmp_path: Path
) -> None:
    run = make_run(tmp_path, "killed")
    run.write_summary({"epochs": 3})
    recorder = Recorder(uri, "killed")
    assert recorder.sync(run).status == "FINISHED"
    recorder.sync(run, status="RUNNING")
    commit(run, 4)
    assert recorder.sync(run).status == "RUNNING"
    run.write_summary({"epochs": 4})
    assert recorder.sync(run).status == "FINISHED"


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
    for name in ("set one", "set two"):
        run = make_run(tmp_path / name, name, epochs=1)
        assert sync_run(uri, run).experiment == name
        assert sync_run(uri, run, "both").experiment == "both"
    chosen = {"name": "preset", "tracking": {"experiment": "chosen"}}
    assert experiment_of(RunDir.create(tmp_path / "c", yaml.safe_dump(chosen))) == "chosen"


def test_the_experiment_has_a_view_of_what_matters(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "viewed", epochs=0)
    for epoch in (1, 2):
        commit(run, epoch, **{"q_ss_accuracy/digit": 0.5, "q_ss_accuracy": 0.5})
    report = Recorder(uri, "viewed").sync(run)
    experiment = MlflowClient(uri).get_experiment_by_name("viewed")
    assert report.view == (
        f"/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
        "&viewStateShareKey=ssgan&compareRunsMode=CHART"
    )
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


def test_flattening_spells_names_as_overrides_do() -> None:
    tree = {"a": {"b": {"c": True}, "d": None}, "e": {}, "f": "text", "g": [1, "ä"]}
    assert flatten(tree) == {
        "a.b.c": "true",
        "a.d": "null",
        "e": "{}",
        "f": "text",
        "g": '[1, "ä"]',
    }
