"""Where a trial stands when it starts, for the first time or again.

The run directory is the record. Ray Tune says which checkpoint it knows of: the trial's own, that
of another trial which it takes over, or none. What the run directory has beyond is used, unless it
belongs to a past that Ray has forgotten (its driver died) or to the trial before a take-over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ssgan.experiment.fields import difference, field_class
from ssgan.experiment.tree import Experiment
from ssgan.records.checkpoint_format import parse_location, step_at, step_of
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.resume import starting_point
from ssgan.records.rundir import RunDir
from ssgan.tuning.lineage import forget_exploits, is_taken_over, mark_taken_over


@dataclass(frozen=True)
class ResumePoint:
    """Where a trial goes on.

    Attributes:
        run: Its run directory.
        start: Address of the checkpoint to start from; None is the beginning.
        known: The last epoch that Ray Tune knows of.
        held: Address of another trial's checkpoint that is kept for this one.
    """

    run: RunDir
    start: str | None
    known: int
    held: str | None


def find_resume_point(
    location: str, experiment: Experiment, values: Mapping[str, Any], pointer: str | None
) -> ResumePoint:
    """Open or make the run directory of a trial, and find out where it goes on.

    Args:
        location: Where the run directory is.
        experiment: The trial's, as it trains from now on.
        values: Its searched fields.
        pointer: Address of the checkpoint that Ray Tune gives it.
    """
    run = RunDir(location)
    if not run.exists("run.json"):
        for name in run.list(""):  # left by a start that was killed at once
            run.delete(name)
        RunDir.create(location, experiment.to_yaml())
    step = 0 if pointer is None else step_at(pointer)
    known = step // experiment.training.steps_per_epoch
    is_other = pointer is not None and parse_location(pointer)[0] != run.location
    taken_over = pointer if is_other else None
    is_news = taken_over is not None and not is_taken_over(run, taken_over, values)
    is_changed = taken_over is None and _is_changed(run, experiment)
    if is_news or is_changed:
        _cut(run, known, step)
    if is_changed:
        forget_exploits(run, known)
    run.write_experiment(experiment.to_yaml())
    if is_news and taken_over is not None:
        mark_taken_over(run, taken_over, values)
    return ResumePoint(run, starting_point(run, pointer), known, taken_over)


def release(position: ResumePoint) -> None:
    """Let another trial's checkpoint go, once this one has its own."""
    if position.held is not None:
        donor, name = parse_location(position.held)
        Checkpoints(RunDir(donor)).release(name, position.run.base_name)


def is_saved(run: RunDir, step: int) -> bool:
    """Whether a checkpoint of this step, or of a later one, is committed."""
    newest = Checkpoints(run).newest()
    return newest is not None and step_of(newest) >= step


def _is_changed(run: RunDir, experiment: Experiment) -> bool:
    """Whether the run directory stands for a training with other values."""
    changed = difference(Experiment.from_yaml(run.experiment_yaml()), experiment)
    return any(field_class(path) in ("mutable", "identity") for path in changed)


def _cut(run: RunDir, epoch: int, step: int) -> None:
    """Forget everything later: what comes is trained from other weights or with other values."""
    run.delete("summary.json")
    run.delete("export")
    Checkpoints(run).forget(step)
    run.forget_records(epoch)
