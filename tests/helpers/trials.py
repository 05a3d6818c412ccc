"""Trials and a controller as Ray's schedulers and callbacks see them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray.tune import Checkpoint

from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import Record, RunDir
from ssgan.training.session import write_pointer


class FakeTrial:
    """What schedulers and the table ask of a `ray.tune.experiment.Trial`."""

    def __init__(self, name: str, config: dict[str, Any] | None = None) -> None:
        self.trial_id = self.name = name
        self.config = config or {}
        self.status = "PENDING"
        self.experiment_tag = name
        self.evaluated_params: dict[str, Any] = {}
        self.last_result: dict[str, Any] = {}
        self.checkpoint: Checkpoint | None = None
        self.error_file: str | None = None
        self.temporary_state = SimpleNamespace(saving_to=None)
        settings = SimpleNamespace(num_to_keep=None)
        manager = SimpleNamespace(checkpoint_config=settings, _latest_checkpoint_result=None)
        self.run_metadata = SimpleNamespace(num_failures=0, checkpoint_manager=manager)

    def __str__(self) -> str:
        return self.name

    def is_finished(self) -> bool:
        return self.status in ("TERMINATED", "ERROR")

    def set_status(self, status: str) -> None:
        self.status = status

    def set_experiment_tag(self, tag: str) -> None:
        self.experiment_tag = tag

    def set_config(self, config: dict[str, Any]) -> None:
        self.config = config


class FakeController:
    """What schedulers ask of Tune's controller."""

    def __init__(self, *trials: FakeTrial) -> None:
        self.trials = list(trials)
        self.completed: list[str] = []
        self.search_alg = SimpleNamespace(
            on_trial_complete=lambda trial_id, error: self.completed.append(trial_id)
        )

    def get_trials(self) -> list[FakeTrial]:
        return self.trials

    def get_live_trials(self) -> list[FakeTrial]:
        return [one for one in self.trials if one.status != "TERMINATED"]

    def _set_trial_status(self, trial: FakeTrial, status: str) -> None:
        trial.status = status

    def _schedule_trial_save(self, trial: FakeTrial, result: Any) -> Checkpoint | None:
        return trial.checkpoint

    def pause_trial(self, trial: FakeTrial, should_checkpoint: bool) -> None:
        trial.status = "PAUSED"


def commit(run: RunDir, folder: Path, epoch: int, steps: int, **metrics: float) -> Checkpoint:
    """Leave an epoch's record and checkpoint, and return the pointer that Tune would hold."""
    step = epoch * steps
    run.commit_record(
        Record(epoch=epoch, step=step, images_seen=step, timestamp_ms=0, metrics=metrics)
    )
    checkpoints = Checkpoints(run, keep_last=9)
    pointer = folder / f"{run.base_name}-{epoch}"
    pointer.mkdir()
    write_pointer(pointer, checkpoints.location(checkpoints.save(step, {"step": step})))
    return Checkpoint.from_directory(str(pointer))
