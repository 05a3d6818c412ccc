import json
import os
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.records.rundir import Record, RunDir


def record(epoch: int, **changes: object) -> Record:
    values = {
        "epoch": epoch,
        "step": epoch * 10,
        "images_seen": epoch * 640,
        "timestamp_ms": 1_700_000_000_000 + epoch,
        "metrics": {"zero_one_loss": 0.1 * epoch},
        **changes,
    }
    return Record.model_validate(values)


@pytest.fixture(params=["local", "file-uri", "mock", "subtree"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunDir:
    location, filesystem = {
        "local": (tmp_path / "runs" / "a", None),
        "file-uri": (f"file://{tmp_path}/runs/a", None),
        "mock": ("bucket/runs/a", pafs._MockFileSystem()),
        "subtree": ("runs/a", pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())),
    }[request.param]
    return RunDir.create(location, "seed: 3\n", filesystem=filesystem)


def test_a_run_keeps_its_identity_and_experiment(run: RunDir) -> None:
    again = RunDir.open(run._path, run._fs)
    assert again.run_id == run.run_id
    assert again.info.name == "a"
    assert again.definition() == "seed: 3\n"
    run.write_definition("seed: 4\n")
    assert again.definition() == "seed: 4\n"


def test_files_come_back_and_are_listed_by_name(run: RunDir) -> None:
    run.write_bytes("figures/b.png", b"\x00\xff")
    run.write_bytes("figures/deep/a.png", b"old")
    run.write_bytes("figures/deep/a.png", b"new")
    assert run.read_bytes("figures/b.png") == b"\x00\xff"
    assert run.read_bytes("figures/deep/a.png") == b"new"
    assert run.list("figures") == ["figures/b.png", "figures/deep/a.png"]
    assert run.list("nothing") == []
    assert run.folders("figures") == ["deep"]
    run.delete("figures/deep")
    run.delete("figures/deep")
    assert run.list("") == ["experiment.yaml", "figures/b.png", "run.json"]


def test_a_committed_epoch_is_never_rewritten(run: RunDir) -> None:
    first = run.commit_record(record(3), {"samples_ema": b"first"})
    second = run.commit_record(record(3, metrics={"zero_one_loss": 0.9}), {"samples_ema": b"2nd"})
    assert first.images == {"samples_ema": "record/0003/samples_ema.png"}
    assert second == first == run.record(3)
    assert run.read_bytes(first.images["samples_ema"]) == b"first"


def test_records_come_in_the_order_of_epochs(run: RunDir) -> None:
    for epoch in (10_001, 2, 0):
        run.commit_record(record(epoch), {"samples": b"png"})
    assert [entry.epoch for entry in run.records()] == [0, 2, 10_001]
    assert run.record(1) is None


def test_whoever_looks_often_sees_which_records_are_there_and_which_are_new(run: RunDir) -> None:
    assert run.record_times() == {}
    run.commit_record(record(1), {"samples_ema": b"png"})
    first = run.record_times()
    run.write_bytes("record/notes.json", b"{}")
    run.commit_record(record(12))
    times = run.record_times()
    assert times.keys() == {1, 12}
    assert times[1] == first[1] <= times[12]


def test_metrics_without_a_value_are_null(run: RunDir) -> None:
    run.commit_record(record(1, metrics={"a": float("nan"), "b": float("inf"), "c": None, "d": 1}))
    assert json.loads(run.read_bytes("record/0001.json"))["metrics"] == {
        "a": None,
        "b": None,
        "c": None,
        "d": 1.0,
    }


def test_pictures_left_by_a_crash_before_the_commit_are_replaced(run: RunDir) -> None:
    run.write_bytes("record/0001/samples.png", b"half")
    run.commit_record(record(1), {"samples": b"whole"})
    assert run.read_bytes("record/0001/samples.png") == b"whole"


def test_summary_is_none_until_it_is_written(run: RunDir) -> None:
    assert run.summary() is None
    run.write_summary({"zero_one_loss": None, "seed": 3})
    assert run.summary() == {"zero_one_loss": None, "seed": 3}


def test_a_truncated_record_is_named(run: RunDir) -> None:
    run.commit_record(record(1))
    run.write_bytes("record/0001.json", run.read_bytes("record/0001.json")[:20])
    with pytest.raises(CorruptFile, match=r"record/0001\.json is not a record"):
        run.records()


def test_names_stay_inside_the_run(run: RunDir) -> None:
    for name in ("../other", "a/../../b", "/a", "", "a//b"):
        with pytest.raises(ValueError, match="not a name inside"):
            run.write_bytes(name, b"")


def test_a_taken_name_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "a", "")
    with pytest.raises(BadInput, match=r"--resume .*a.*--name"):
        RunDir.create(tmp_path / "a", "")


def test_a_folder_with_other_files_is_refused_and_an_empty_one_taken(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="taken, but not by a run"):
        RunDir.create(tmp_path / "photos", "")
    with pytest.raises(BadInput, match="taken, but not by a run"):
        RunDir.create(tmp_path / "photos" / "cat.png", "")
    assert RunDir.create(tmp_path / "empty", "").info.name == "empty"


def test_what_was_killed_while_it_was_made_is_made_again_with_the_same_definition(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/experiment.yaml").write_text("seed: 1\n")
    with pytest.raises(BadInput, match="taken, but not by a run"):
        RunDir.create(tmp_path / "a", "seed: 2\n")
    assert RunDir.create(tmp_path / "a", "seed: 1\n").definition() == "seed: 1\n"


def test_an_output_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput, match=r"cannot write the run directory .*--out"):
        RunDir.create(tmp_path / "file" / "a", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_output_directory_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(BadInput, match="cannot write the run directory"):
        RunDir.create(tmp_path / "a", "")


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a run directory"):
        RunDir.open(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CorruptFile, match=r"run\.json"):
        RunDir.open(tmp_path)


def test_an_unknown_kind_of_place_is_refused() -> None:
    with pytest.raises(BadInput, match="gopher://x/y"):
        RunDir("gopher://x/y")


def test_a_relative_path_is_resolved_for_workers_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert RunDir("runs/a").location == str(tmp_path / "runs" / "a")
    assert RunDir("runs/a").local_path == tmp_path / "runs" / "a"
    assert RunDir("x", pafs._MockFileSystem()).local_path is None


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir.create(tmp_path / "a", "")
    run.write_bytes("summary.json", b"{}")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        run.write_bytes("summary.json", b"longer")
    assert run.read_bytes("summary.json") == b"{}"
    assert sorted(os.listdir(tmp_path / "a")) == ["experiment.yaml", "run.json", "summary.json"]


def test_records_later_than_an_epoch_can_be_forgotten(run: RunDir) -> None:
    for epoch in (1, 2, 3):
        run.commit_record(record(epoch), {"samples_ema": b"png"})
    run.forget_records(after=1)
    assert [one.epoch for one in run.records()] == [1]
    assert run.list("record") == ["record/0001.json", "record/0001/samples_ema.png"]
    again = run.commit_record(record(2, metrics={"zero_one_loss": 0.9}))
    assert again.metrics == {"zero_one_loss": 0.9}
