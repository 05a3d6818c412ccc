"""What a run says while it is written, read beside whoever writes it."""

import json
from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.base.lease import hold
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir
from ssgan.viewing.training import Training
from tests.helpers.buckets import running_bucket
from tests.helpers.leases import write_foreign_lease
from tests.helpers.runs import small
from tests.helpers.servers import commit, picture


def make_run(location: str | Path) -> RunDir:
    return RunDir.create(location, small("training.epochs=3").to_yaml())


def test_curves_and_pictures_advance_with_the_record(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    training = Training(run)
    told = training.tell()
    assert (told["charts"], told["pictures"], told["health"]) == ([], None, None)
    commit(run, 1, picture(1))
    commit(run, 2, picture(2))
    told = training.tell()
    (loss,) = [one for one in told["charts"] if one["title"] == "0-1 loss by C"]
    assert loss["curves"][0]["points"] == [(1, 0.5), (2, 0.25)]
    assert told["pictures"] == {
        "epoch": 2,
        "names": ["samples_ema"],
        "written": run.records()[-1].timestamp_ms,
    }
    assert told["health"]["rows"][1] == ("code_1", ["0.5"])
    assert training.picture(2, "samples_ema") == picture(2)
    assert training.picture(2, "samples_raw") is None
    assert training.picture(7, "samples_ema") is None
    json.dumps(told, allow_nan=False)


def test_a_record_is_read_once_and_again_where_it_was_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, read = make_run(tmp_path / "run"), list[int]()
    training, record = Training(run), RunDir.record
    monkeypatch.setattr(RunDir, "record", lambda self, n: (read.append(n), record(self, n))[1])
    for _ in range(3):
        commit(RunDir(run.location), len(run.epochs()) + 1, picture(1))
        training.tell()
    assert sorted(set(read)) == [1, 2, 3]
    read.clear()
    run.forget_records(after=1)
    assert training.tell()["pictures"]["epoch"] == 1
    commit(run, 2, picture(5), zero_one_loss_ema=0.125)
    read.clear()
    points = training.tell()["charts"][0]["curves"][0]["points"]
    assert points == [(1, 0.5), (2, 0.125)]
    assert read == [2]


def test_it_says_whether_a_process_trains_and_what_to_do_if_none_does(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a run")
    training = Training(run)
    stopped = training.tell()["status"]
    assert stopped["state"] == "stopped"
    assert stopped["resume"] == f"ssgan train --resume '{run.location}'"
    with hold(run, "run"):
        commit(run, 1, picture(1), images_per_second=1234.4)
        assert training.tell()["status"] == {
            "state": "training",
            "told": "epoch 1 of 3, 100 updates, 12,800 real images seen, 1,234 images/s",
            "resume": None,
        }
    commit(run, 3, picture(3))
    assert training.tell()["status"]["state"] == "over"
    write_foreign_lease(run)
    assert training.tell()["status"]["state"] == "training"


def test_a_trial_is_gone_on_with_by_its_search(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "s", "name: s\n")
    training = Training(make_run(tmp_path / "s" / "trials" / "00001"))
    status = training.tell()["status"]
    assert status["resume"] == f"ssgan search --resume s --out {tmp_path}"
    with hold(search, "search"):
        assert training.tell()["status"]["state"] == "training"
    search.write_summary({})  # the search stopped it early
    assert training.tell()["status"] == {
        "state": "over",
        "told": "epoch 0 of 3",
        "resume": None,
    }


def test_a_damaged_record_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    commit(run, 1, picture(1))
    run.write_bytes("record/0002.json", b"{")
    told = Training(run).tell()
    assert "0002.json is not a record of an epoch" in told["problems"][0]
    assert told["pictures"]["epoch"] == 1


def test_a_record_gets_no_file_from_outside_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    run = make_run(tmp_path / "run")
    (run.local_path or tmp_path).joinpath("record").mkdir()
    record = Record(
        epoch=1,
        step=1,
        images_seen=1,
        timestamp_ms=1,
        metrics={},
        images={"x": "../secret", "y": str(tmp_path / "secret"), "z": "record/none.png"},
    )
    run.write_json("record/0001.json", record.model_dump(mode="json"))
    training = Training(run)
    training.tell()
    assert [training.picture(1, name) for name in "xyz"] == [None, None, None]


def test_reading_writes_nothing_on_a_disk_or_an_object_store(tmp_path: Path) -> None:
    with running_bucket() as bucket:
        for location in (str(tmp_path / "run"), bucket.locate("runs/one")):
            run = make_run(location)
            commit(run, 1, picture(1))
            files = {name: run.read_bytes(name) for name in run.list("")}
            bucket.requests.clear()
            training = Training(RunDir.open(location))
            assert training.tell()["pictures"]["names"] == ["samples_ema"]
            assert training.picture(1, "samples_ema") == picture(1)
            assert {name: run.read_bytes(name) for name in run.list("")} == files
            assert {request.method for request in bucket.requests} <= {"GET", "HEAD"}


def test_a_run_that_is_gone_is_an_error_in_words(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    training = Training(run)
    run.delete("experiment.yaml")
    with pytest.raises(BadInput, match=r"experiment\.yaml cannot be read: it is missing"):
        training.tell()
