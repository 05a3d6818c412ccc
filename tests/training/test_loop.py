import dataclasses
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ssgan.base.errors import BadInput, NonFiniteLoss
from ssgan.data.dataset import Dataset
from ssgan.data.store import Store
from ssgan.experiment.tree import Experiment
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.checkpoints import restore as read_checkpoint
from ssgan.records.rundir import Record, RunDir
from ssgan.training import loop
from ssgan.training.loop import Progress, Stopped, Watch, run
from ssgan.training.recording import Recorder
from ssgan.training.session import Commit, InProcess, Measure
from ssgan.training.state import Training
from ssgan.training.step import TERMS
from tests.helpers.runs import assert_same_state

CPU = torch.device("cpu")
TREE: dict[str, Any] = {
    "codes": {"noise": 4},
    "networks": {"width": 2, "hidden": 8, "q_hidden": 4},
    "data": {"labels": "10%"},
    "label_sampling": {"batch_size": 4},
    "training": {"epochs": 3, "steps_per_epoch": 4, "batch_size": 8, "check_every": 2},
    "evaluation": {
        "every": 3,
        "samples": 20,
        "real_images": 40,
        "held_out_images": 40,
        "columns": 2,
    },
}


def experiment(**changes: Any) -> Experiment:
    tree = {branch: dict(fields) for branch, fields in TREE.items()}
    for path, value in changes.items():
        branch, field = path.split("__")
        tree[branch][field] = value
    return Experiment.model_validate(tree)


@pytest.fixture(scope="module")
def dataset(digits_store: Store) -> Dataset:
    made = experiment()
    return Dataset.load(made.data, made.codes, digits_store)


@dataclasses.dataclass
class Listener:
    """A session that writes down what it is told."""

    start: str | None = None
    reports: list[tuple[dict[str, float | None], str | None]] = dataclasses.field(
        default_factory=list
    )

    def restore(self) -> str | None:
        return self.start

    def report(self, metrics: Measure, checkpoint: Commit | None = None) -> None:
        self.reports.append((dict(metrics()), None if checkpoint is None else checkpoint()))


@dataclasses.dataclass
class Run:
    """A run directory and what its loop said."""

    folder: RunDir
    listener: Listener
    progress: list[Progress]

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder)


def start(
    folder: Path | Run,
    made: Experiment,
    dataset: Dataset,
    stop_at: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Run the loop in a new directory, or go on in one."""
    if isinstance(folder, Run):
        rundir, names = folder.folder, [*folder.checkpoints().manifests()]
        listener = Listener(folder.checkpoints().location(names[-1]) if names else None)
    else:
        rundir, listener = RunDir.create(folder, made.to_yaml(), "test"), Listener()
    found = Run(rundir, listener, [])

    def is_over() -> bool:
        return stop() or (stop_at is not None and found.progress[-1].updates >= stop_at)

    watch = Watch(progress=found.progress.append, stop=is_over)
    try:
        run(made, dataset, None, rundir, listener, CPU, watch)
    except Stopped:
        assert stop_at is not None
    return found


@pytest.fixture(scope="module")
def undisturbed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(tmp_path_factory.mktemp("run") / "undisturbed", experiment(), dataset)


def last_state(found: Run) -> dict[str, Any]:
    latest = found.checkpoints().latest()
    assert latest is not None
    return latest[1]


def assert_same_end(one: Run, other: Run) -> None:
    assert_same_state(last_state(one), last_state(other))


def measured(record: Record) -> dict[str, Any]:
    """Return a record without its clock."""
    body = record.model_dump()
    del body["timestamp_ms"], body["metrics"]["images_per_second"]
    return body


def test_every_epoch_is_recorded_once(undisturbed: Run) -> None:
    records = undisturbed.folder.records()
    assert [record.epoch for record in records] == [1, 2, 3]
    assert [record.step for record in records] == [4, 8, 12]
    assert [record.images_seen for record in records] == [32, 64, 96]
    for record in records:
        losses = [record.metrics[f"loss/{term}"] for term in TERMS]
        assert all(loss is not None and math.isfinite(loss) for loss in losses)
        assert record.metrics["images_per_second"] > 0  # type: ignore[operator]
        assert record.metrics["lambda1"] == 0.8
        assert record.metrics["lambda2"] == 2.0
    assert [record.metrics["label_probability"] for record in records] == pytest.approx(
        [1.0, 0.9, 0.8]
    )
    seen = [record.metrics["labels_seen"] for record in records]
    assert 0 < seen[0] < seen[1] < seen[2] <= 48  # type: ignore[operator]


def test_evaluations_come_when_due_and_at_the_end(undisturbed: Run, dataset: Dataset) -> None:
    records = undisturbed.folder.records()
    assert ["q_ss_accuracy" in record.metrics for record in records] == [False, False, True]
    assert not records[0].images
    assert records[2].images
    assert all(undisturbed.folder.exists(file) for file in records[2].images.values())


def test_the_last_epoch_is_always_evaluated(dataset: Dataset, tmp_path: Path) -> None:
    made = experiment(training__epochs=2, evaluation__every=100)
    found = start(tmp_path / "run", made, dataset)
    assert ["q_ss_accuracy" in r.metrics for r in found.folder.records()] == [False, True]


def test_the_session_hears_of_every_epoch(undisturbed: Run) -> None:
    reports = undisturbed.listener.reports
    records = undisturbed.folder.records()
    for epoch, (metrics, checkpoint) in enumerate(reports, start=1):
        assert metrics == {"epoch": epoch, **records[epoch - 1].metrics}
        assert checkpoint is not None
    last = reports[-1][1]
    assert last is not None
    assert read_checkpoint(last)[0] == 12


def test_progress_comes_between_epochs_and_after_them(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "has_spare_core", lambda *_: False)
    found = start(tmp_path / "run", experiment(), dataset)
    seen = [(p.updates, None if p.record is None else p.record.epoch) for p in found.progress]
    assert seen == [(2, None), (4, 1), (6, None), (8, 2), (10, None), (12, 3)]
    assert {(p.total_updates, p.images_per_update) for p in found.progress} == {(12, 8)}


def test_an_epoch_is_measured_beside_the_next_one_to_the_same_bits(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = experiment(evaluation__every=1)
    monkeypatch.setattr(loop, "has_spare_core", lambda *_: False)
    apart = start(tmp_path / "apart", made, dataset)
    monkeypatch.setattr(loop, "has_spare_core", lambda *_: True)
    evaluate, is_trained = Recorder.evaluate, threading.Event()
    folder, progress = RunDir.create(tmp_path / "beside", made.to_yaml(), "beside"), []

    def held_up(self: Recorder, state: Any) -> Any:
        assert is_trained.wait(60)  # the next epoch, but for its end
        is_trained.clear()
        return evaluate(self, state)

    def follow(now: Progress) -> None:
        progress.append((now.updates, None if now.record is None else now.record.epoch))
        if now.updates in (6, 10, 12):
            is_trained.set()

    monkeypatch.setattr(Recorder, "evaluate", held_up)
    run(made, dataset, None, folder, InProcess(), CPU, Watch(follow))
    assert progress[:2] == [(2, None), (4, None)]
    assert [epoch for _, epoch in progress if epoch is not None] == [1, 2, 3]
    assert {updates for updates, epoch in progress if epoch == 1} <= {6, 8}
    beside = Run(folder, Listener(), [])
    assert_same_end(beside, apart)
    for ours, theirs in zip(folder.records(), apart.folder.records(), strict=True):
        assert measured(ours) == measured(theirs)
        assert folder.pictures(ours) == apart.folder.pictures(theirs)


@pytest.mark.parametrize("is_beside", [False, True])
def test_an_evaluation_that_fails_ends_the_run(
    is_beside: bool, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Recorder, state: Any) -> Any:
        raise BadInput("no such metric")

    monkeypatch.setattr(loop, "has_spare_core", lambda *_: is_beside)
    monkeypatch.setattr(Recorder, "evaluate", broken)
    made, rundir = experiment(evaluation__every=2), RunDir.create(tmp_path / "run", "", "x")
    with pytest.raises(BadInput, match="no such metric"):
        run(made, dataset, None, rundir, InProcess(), CPU)
    assert rundir.epochs() == {1}
    assert Checkpoints(rundir).newest() == "00000004"


def test_a_run_that_is_stopped_while_an_epoch_is_measured_has_its_record(
    undisturbed: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "has_spare_core", lambda *_: True)
    stopped = start(tmp_path / "run", experiment(), dataset, stop_at=6)
    told = [p.record.epoch for p in stopped.progress if p.record is not None]
    assert told == [1]
    assert stopped.folder.epochs() == {1}
    assert_same_end(start(stopped, experiment(), dataset), undisturbed)


@pytest.mark.parametrize("stop_at", [2, 4, 6, 8, 10])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    stop_at: int, undisturbed: Run, dataset: Dataset, tmp_path: Path
) -> None:
    stopped = start(tmp_path / "run", experiment(), dataset, stop_at=stop_at)
    latest = stopped.checkpoints().latest()
    assert latest is not None
    assert latest[0] == stop_at
    assert len(stopped.folder.records()) == stop_at // 4
    resumed = start(stopped, experiment(), dataset)
    assert_same_end(resumed, undisturbed)
    for ours, theirs in zip(resumed.folder.records(), undisturbed.folder.records(), strict=True):
        assert measured(ours) == measured(theirs)


def test_a_request_to_stop_comes_too_late_after_the_last_update(
    undisturbed: Run, dataset: Dataset, tmp_path: Path
) -> None:
    made, rundir = experiment(), RunDir.create(tmp_path / "run", experiment().to_yaml(), "late")
    seen: list[int] = []
    watch = Watch(lambda progress: seen.append(progress.updates), lambda: seen[-1] == 12)
    run(made, dataset, None, rundir, Listener(), CPU, watch)
    assert len(rundir.records()) == 3


def test_a_run_may_be_extended(undisturbed: Run, dataset: Dataset, tmp_path: Path) -> None:
    short = start(tmp_path / "run", experiment(training__epochs=1), dataset)
    longer = start(short, experiment(), dataset)
    assert_same_end(longer, undisturbed)
    assert [report["epoch"] for report, _ in longer.listener.reports] == [2, 3]


def test_a_finished_run_has_nothing_left_to_do(
    undisturbed: Run, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Training, "update", lambda self: pytest.fail("one update too many"))
    again = start(undisturbed, experiment(), dataset)
    assert again.listener.reports == []


def test_an_epoch_that_is_run_again_keeps_its_record(
    undisturbed: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RunDir.write_json

    def full(self: RunDir, name: str, content: Any) -> None:
        if name == "checkpoints/00000008/MANIFEST.json":
            raise OSError(28, "No space left on device")
        write(self, name, content)

    found = Run(RunDir.create(tmp_path / "run", experiment().to_yaml(), "x"), Listener(), [])
    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "write_json", full)
        with pytest.raises(OSError, match="disk is full"):
            run(experiment(), dataset, None, found.folder, found.listener, CPU)
    before = found.folder.records()
    assert [record.epoch for record in before] == [1, 2]
    resumed = start(found, experiment(), dataset)
    assert resumed.folder.records()[:2] == before
    assert_same_end(resumed, undisturbed)


@pytest.mark.parametrize(
    ("at", "saved"), [(1, "none"), (3, "none"), (5, "00000004"), (7, "00000004")]
)
def test_a_loss_that_is_not_finite_ends_the_run(
    at: int, saved: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Training._inputs

    def spoilt(self: Training, *args: Any) -> Any:
        inputs = draw(self, *args)
        if self.updates == at:
            inputs.x[0] = math.nan
        return inputs

    monkeypatch.setattr(Training, "_inputs", spoilt)
    rundir = RunDir.create(tmp_path / "run", experiment().to_yaml(), "nan")
    with pytest.raises(NonFiniteLoss, match=rf"loss/d_real .* update {at};.*is .*{saved}") as error:
        run(experiment(), dataset, None, rundir, Listener(), CPU)
    assert "Lower the learning rates" in str(error.value)
    assert len(rundir.records()) == at // 4
    assert all(m.step <= at for m in Checkpoints(rundir).manifests().values())


def test_checkpoints_are_ranked_by_it(undisturbed: Run) -> None:
    ranked = [m.metric for m in undisturbed.checkpoints().manifests().values()]
    accuracy = undisturbed.folder.records()[-1].metrics["q_ss_accuracy"]
    assert accuracy is not None
    assert ranked[-1] == pytest.approx(1 - accuracy)
    assert ranked[0] is None


def test_a_record_says_why_a_metric_has_no_value(undisturbed: Run) -> None:
    record = undisturbed.folder.records()[-1]
    assert record.metrics["zero_one_loss"] is None
    assert "no test split" in record.reasons["zero_one_loss"]
