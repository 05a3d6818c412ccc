"""The loop against storage that is far, busy or broken: one run, in a folder and in a bucket."""

import threading
import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ssgan.data.dataset import Dataset
from ssgan.data.store import Store
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.training.loop import Progress, Stopped, Watch, run
from ssgan.training.session import InProcess
from tests.helpers.buckets import Bucket, running_bucket
from tests.training.test_loop import CPU, Listener, Run, assert_same_end, experiment, measured

MADE = experiment(evaluation__every=1, training__epochs=5)


@pytest.fixture(scope="module")
def dataset(digits_store: Store) -> Dataset:
    return Dataset.load(MADE.data, MADE.codes, digits_store)


@pytest.fixture(scope="module")
def undisturbed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(RunDir.create(tmp_path_factory.mktemp("run") / "x", MADE.to_yaml()), dataset)


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    with running_bucket() as bucket:
        yield bucket


@pytest.fixture
def bucket(server: Bucket) -> Iterator[Bucket]:
    """Twenty milliseconds away, with one answer in ten a 503."""
    server.delay, server.refuse_every = 0.02, 10
    yield server
    server.delay, server.refuse_every = 0.0, 0
    server.is_open.set()


@pytest.fixture(params=["folder", "bucket"])
def rundir(request: pytest.FixtureRequest, tmp_path: Path) -> RunDir:
    location = str(tmp_path / "run")
    if request.param == "bucket":
        location = request.getfixturevalue("bucket").locate(f"runs/{uuid.uuid4().hex}")
    return RunDir.create(location, MADE.to_yaml())


def train(rundir: RunDir, dataset: Dataset, watch: Watch | None = None) -> Run:
    names = [*Checkpoints(rundir).manifests()]
    listener = Listener(Checkpoints(rundir).location(names[-1]) if names else None)
    run(MADE, dataset, None, rundir, listener, CPU, watch)
    return Run(rundir, listener, [])


def assert_same_records(one: Run, other: Run) -> None:
    """Compare records and pictures."""
    for ours, theirs in zip(one.folder.records(), other.folder.records(), strict=True):
        apart = {"images": 0, "thumbnails": 0}  # files here, members of an archive there
        assert measured(ours) | apart == measured(theirs) | apart
        assert one.folder.pictures(ours) == other.folder.pictures(theirs)


def test_a_run_leaves_the_same_bits_wherever_it_is(
    rundir: RunDir, undisturbed: Run, dataset: Dataset
) -> None:
    found = train(rundir, dataset)
    assert_same_end(found, undisturbed)
    assert_same_records(found, undisturbed)
    kept = {*undisturbed.checkpoints().manifests()}
    assert {*found.checkpoints().manifests()} == kept


@pytest.mark.parametrize("at", [6, 8])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    at: int, rundir: RunDir, undisturbed: Run, dataset: Dataset
) -> None:
    seen: list[int] = []
    watch = Watch(lambda now: seen.append(now.updates), lambda: seen[-1] == at)
    with pytest.raises(Stopped):
        train(rundir, dataset, watch)
    latest = Checkpoints(rundir).latest()
    assert latest is not None
    assert latest[0] == at
    resumed = train(rundir, dataset)
    assert_same_end(resumed, undisturbed)
    assert_same_records(resumed, undisturbed)


@pytest.mark.parametrize("part", ["record/0003", "checkpoints/00000012"])
def test_storage_that_fails_stops_the_run_and_costs_what_was_not_committed(
    part: str,
    rundir: RunDir,
    undisturbed: Run,
    dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = RunDir.write_bytes

    def broken(self: RunDir, name: str, data: bytes) -> None:
        if name.startswith(part):
            raise OSError(5, f"cannot write {name}")
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "write_bytes", broken)
        with pytest.raises(OSError, match=f"cannot write {part}"):
            train(rundir, dataset)
    assert rundir.epochs() == {1, 2}
    assert Checkpoints(rundir).newest() == "00000008"
    resumed = train(rundir, dataset)
    assert_same_end(resumed, undisturbed)
    assert_same_records(resumed, undisturbed)


def test_an_epoch_takes_at_most_twelve_requests(bucket: Bucket, dataset: Dataset) -> None:
    bucket.refuse_every = 0
    rundir = RunDir.create(bucket.locate("runs/counted"), MADE.to_yaml())
    bucket.requests.clear()
    run(MADE, dataset, None, rundir, InProcess(), CPU)
    commits = [
        index
        for index, (method, path) in enumerate(bucket.requests)
        if method == "PUT" and path.endswith(".json") and "/record/" in path
    ]
    assert len(commits) == MADE.training.epochs
    ends = [*commits, len(bucket.requests)]
    counts = [after - before for before, after in pairwise(ends)]
    assert max(counts) <= 12
    assert len(bucket.requests) <= 12 * MADE.training.epochs


def test_training_goes_on_while_storage_does_not_answer(bucket: Bucket, dataset: Dataset) -> None:
    rundir = RunDir.create(bucket.locate("runs/held"), MADE.to_yaml())
    two_epochs = 2 * MADE.training.steps_per_epoch
    reached: list[int] = []
    is_held_up = threading.Event()

    def follow(now: Progress) -> None:
        reached.append(now.updates)
        if now.updates == MADE.training.check_every:
            bucket.is_open.clear()
        if now.updates == two_epochs - MADE.training.check_every:
            is_held_up.set()

    training = threading.Thread(
        target=run, args=(MADE, dataset, None, rundir, InProcess(), CPU, Watch(follow))
    )
    training.start()
    assert is_held_up.wait(120)
    training.join(1)
    assert training.is_alive()  # the second epoch waits for the first to be committed
    assert reached[-1] < two_epochs
    bucket.is_open.set()
    training.join(120)
    assert rundir.epochs() == {1, 2, 3, 4, 5}
