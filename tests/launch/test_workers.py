import time
from pathlib import Path
from typing import Any

import pytest

from ssgan.base.errors import BadInput
from ssgan.experiment.tree import Experiment
from ssgan.launch import workers
from ssgan.records.rundir import Record, RunDir
from ssgan.training.loop import Progress, Watch


def record(epoch: int) -> Record:
    return Record(epoch=epoch, step=6 * epoch, images_seen=48 * epoch, timestamp_ms=0, metrics={})


def test_the_driver_sees_each_new_record_once_and_passes_a_stop_on(
    tmp_path: Path, tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_POLL", 0.01)
    run = RunDir.create(tmp_path / "run", "")
    run.commit_record(record(1))
    seen: list[Progress] = []
    watch = Watch(seen.append, stop=lambda: bool(seen))
    with workers._watching(tiny, run, watch):
        run.commit_record(record(2))
        deadline = time.monotonic() + 30
        while not run.exists("STOP") and time.monotonic() < deadline:
            time.sleep(0.01)
        run.commit_record(record(3))
    assert run.exists("STOP")
    assert [(now.updates, now.total_updates, now.record) for now in seen] == [
        (12, 18, record(2)),
        (18, 18, record(3)),
    ]


def test_the_driver_is_told_from_an_epoch_on_and_only_of_what_is_ready(
    tmp_path: Path, tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_POLL", 0.01)
    run = RunDir.create(tmp_path / "run", "")
    for epoch in (1, 2, 3):
        run.commit_record(record(epoch))
    seen: list[Progress] = []
    with workers._watching(tiny, run, Watch(seen.append), 1, lambda one: one.epoch < 3):
        pass
    assert [now.record for now in seen] == [record(2)]


class Wrapped(Exception):
    """As Ray wraps what a worker raised."""

    def __init__(self, cause: Exception | None, text: str = "") -> None:
        super().__init__(text)
        self.cause = cause


def failed(*failures: Exception) -> Any:
    error = RuntimeError("training failed")
    error.worker_failures = dict(enumerate(failures))  # type: ignore[attr-defined]
    return error


def test_bad_input_of_a_worker_comes_back_as_such() -> None:
    cause = BadInput("no images at this place")
    assert workers._cause(failed(Wrapped(None, "killed"), Wrapped(cause))) is cause
    assert workers._cause(failed(cause)) is cause


def test_dead_workers_are_named_with_the_way_on() -> None:
    text = str(workers._cause(failed(Wrapped(None, "Traceback\n  x\nActorDiedError: killed\n"))))
    assert "worker 0: ActorDiedError: killed" in text
    assert "--resume" in text
    assert "training failed" in str(workers._cause(RuntimeError("training failed")))
