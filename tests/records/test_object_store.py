"""Records and checkpoints on an object store: their cost in requests, and what a crash leaves."""

import uuid
from collections.abc import Iterator

import pytest
import torch

from ssgan.base.errors import BadInput
from ssgan.records.checkpoints import Checkpoints, State, restore
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir, hold_record
from tests.helpers.buckets import Bucket, running_bucket

FILES = ("experiment.yaml", "run.json")
PICTURES = {"samples_ema": b"png of samples", "confusion_digit": b"png of confusion"}


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with running_bucket() as bucket:
        yield bucket


@pytest.fixture
def run(bucket: Bucket) -> Iterator[RunDir]:
    yield RunDir.create(bucket.locate(f"runs/{uuid.uuid4().hex}"), "seed: 3\n")
    bucket.refuse_every = 0


def record(epoch: int) -> Record:
    return Record(epoch=epoch, step=epoch, images_seen=epoch, timestamp_ms=epoch, metrics={})


def state(step: int) -> State:
    return {"weight": torch.full((4,), float(step)), "step": step}


def methods(bucket: Bucket) -> list[str]:
    return [request.method for request in bucket.requests]


def test_the_pictures_of_an_epoch_are_one_object(bucket: Bucket, run: RunDir) -> None:
    bucket.requests.clear()
    committed = run.commit_record(record(3), PICTURES, is_new=True)
    assert [one.path.rpartition("/record/")[2] for one in bucket.requests] == [
        "0003.zip",
        "0003.json",
    ]
    assert committed.images["samples_ema"] == "record/0003.zip/samples_ema.png"
    bucket.requests.clear()
    assert run.pictures(committed) == (PICTURES, {})
    assert methods(bucket) == ["HEAD", "GET"]
    assert run.read_bytes(committed.images["confusion_digit"]) == PICTURES["confusion_digit"]
    assert run.commit_record(record(3), {"samples_ema": b"other"}) == committed
    assert run.records() == [committed]
    assert run.record(4) is None


def test_epochs_can_be_forgotten_with_their_pictures(run: RunDir) -> None:
    for epoch in (1, 2, 3):
        run.commit_record(record(epoch), PICTURES)
    run.forget_records(after=1)
    assert run.list("record") == ["record/0001.json", "record/0001.zip"]
    assert run.epochs() == {1}


def test_one_epoch_costs_as_many_requests_as_any_other(bucket: Bucket, run: RunDir) -> None:
    checkpoints = Checkpoints(run)
    counts = []
    for step, metric in enumerate([0.5, 0.1, 0.4, 0.3, 0.05, 0.2, 0.3, 0.4], start=1):
        bucket.requests.clear()
        checkpoints.save(step, state(step), metric)
        counts.append(len(bucket.requests))
    assert counts[0] <= 6  # looks at the directory once
    assert max(counts[1:]) <= 9
    assert set(run.folders("checkpoints")) == {"00000005", "00000007", "00000008"}
    assert Checkpoints(run).best() == "00000005"


def test_what_others_point_at_is_kept_until_they_let_go(run: RunDir) -> None:
    checkpoints = Checkpoints(run, keep_last=1, keep_best=0)
    checkpoints.save(1, state(1))
    Checkpoints(run).protect("00000001", "trial-7")
    checkpoints.save(2, state(2))
    checkpoints.save(3, state(3))
    assert run.folders("checkpoints") == ["00000001", "00000003"]
    Checkpoints(run).release("00000001", "trial-7")
    checkpoints.save(4, state(4))
    assert run.folders("checkpoints") == ["00000003", "00000004"]
    checkpoints.prune(whole=True)
    assert run.folders("checkpoints") == ["00000004"]


def test_a_run_that_is_over_may_keep_its_best_alone(run: RunDir) -> None:
    for step, metric in enumerate([0.3, 0.1, 0.2], start=1):
        Checkpoints(run, keep_last=9).save(step, state(step), metric)
    Checkpoints(run).prune_to_best()
    assert run.folders("checkpoints") == ["00000002"]


def test_a_store_that_is_busy_now_and_then_loses_nothing(bucket: Bucket, run: RunDir) -> None:
    bucket.refuse_every, bucket.refused = 10, 0
    checkpoints = Checkpoints(run)
    for step in range(1, 6):
        run.commit_record(record(step), PICTURES)
        checkpoints.save(step, state(step), 1 / step)
    assert bucket.refused >= 5
    assert run.epochs() == {1, 2, 3, 4, 5}
    step, saved = restore(checkpoints.location("00000004"))
    assert step == 4
    assert torch.equal(saved["weight"], torch.full((4,), 4.0))


def test_the_run_of_a_trial_is_held_together_with_its_search(bucket: Bucket) -> None:
    search = SearchDir.create(bucket.locate(f"runs/{uuid.uuid4().hex}"), "")
    trial = RunDir.create(search.locate("trials/00003"), "")
    with hold_record(trial):
        with pytest.raises(BadInput, match=r"the search .* is being written"), hold_record(search):
            pass
        with pytest.raises(BadInput, match="is being written"), hold_record(trial):
            pass
    with hold_record(search):
        pass
    assert search.list("") == ["search.json", "search.yaml", *map("trials/00003/{}".format, FILES)]


def test_a_folder_without_commit_mark_counts_for_nothing_and_goes(run: RunDir) -> None:
    Checkpoints(run).save(1, state(1))
    run.write_bytes("checkpoints/00000002/state.pt", b"half")
    resumed = Checkpoints(run)
    assert resumed.newest() == "00000001"
    assert resumed.save(2, state(2)) == "00000002"
    assert resumed.load("00000002")[0] == 2
