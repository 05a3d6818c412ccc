"""Where a trial stands when it starts, for the first time or again, and which trials it exploited.

The run directory is the record. Ray Tune says which checkpoint it knows of: the trial's own, that
of another trial which it exploits, or none. What the run directory has beyond is used, unless it
belongs to a past that Ray has forgotten (its driver died) or to the trial before an exploit.

The driver writes each exploit of population based training to ``lineage.json`` of the run
directory; the trial marks in ``taken-over.json`` that it has cut its own past off for it, so that a
second start does not do so again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ssgan.base.config import STORED
from ssgan.base.errors import CorruptFile
from ssgan.base.storage import join, split
from ssgan.experiment.fields import difference, field_class
from ssgan.experiment.tree import Experiment
from ssgan.records.checkpoint_address import parse_location, step_at, step_of
from ssgan.records.checkpoints import Checkpoints, starting_point
from ssgan.records.data_info import LABELS
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import Exploit

_LINEAGE = "lineage.json"
_MARK = "taken-over.json"


@dataclass(frozen=True)
class ResumePoint:
    """Where a trial resumes."""

    run: RunDir
    start: str | None
    """Address of the checkpoint to start from; None is the beginning."""
    known: int
    """The last epoch that Ray Tune knows of."""
    held: str | None
    """Address of another trial's checkpoint that is kept for this one."""


def find_resume_point(
    location: str, experiment: Experiment, values: Mapping[str, Any], pointer: str | None
) -> ResumePoint:
    """Open or make the run directory of a trial, and find out where it resumes.

    The experiment and the searched values are those that it trains with from now on; the pointer is
    the address of the checkpoint that Ray Tune gives it.
    """
    run = RunDir(location)
    runs = split(run.location)[0]
    pointer = None if pointer is None else settle(pointer, runs)
    if not run.exists("run.json"):
        if run.list("") == [RunDir.definition_file]:  # all that a start leaves, killed at once
            run.delete(RunDir.definition_file)
        RunDir.create(location, experiment.to_yaml())
    step = 0 if pointer is None else step_at(pointer)
    known = step // experiment.training.steps_per_epoch
    is_other = pointer is not None and parse_location(pointer)[0] != run.location
    exploited = pointer if is_other else None
    mark = {"checkpoint": exploited, "values": dict(values)}
    marked = run.read_json(_MARK) if run.exists(_MARK) else None
    if marked is not None and marked["checkpoint"] is not None:
        marked["checkpoint"] = settle(marked["checkpoint"], runs)
    is_news = exploited is not None and marked != mark
    is_changed = exploited is None and _is_changed(run, experiment)
    if is_news or is_changed:  # what comes is trained from other weights or with other values
        run.delete("summary.json")
        run.delete("export")
        Checkpoints(run).forget(step)
        run.forget_records(known)
    if is_changed:
        run.delete(LABELS)  # drawn and spread by the values of before
        if run.exists(_LINEAGE):
            _write_lineage(run, _lineage_before(run, known))
    run.write_definition(experiment.to_yaml())
    if is_news:
        run.write_json(_MARK, mark)
    return ResumePoint(run, starting_point(run, pointer), known, exploited)


def settle(address: str, runs: str) -> str:
    """Return the address of a trial's checkpoint, written at whatever place, where it is now.

    All trials of a stage are in the folder `runs`, which may have been moved or copied.
    """
    run, name = parse_location(address)
    return Checkpoints(RunDir(join(runs, split(run)[1]))).location(name)


def release(at: ResumePoint) -> None:
    """Let another trial's checkpoint go, once this one has its own."""
    if at.held is not None:
        source, name = parse_location(at.held)
        Checkpoints(RunDir(source)).release(name, at.run.base_name)


def is_saved(run: RunDir, step: int) -> bool:
    """Whether a checkpoint of this step, or of a later one, is committed."""
    newest = Checkpoints(run).newest()
    return newest is not None and step_of(newest) >= step


def read_lineage(run: RunDir) -> tuple[Exploit, ...]:
    """Return all exploits of a trial, in order."""
    if not run.exists(_LINEAGE):
        return ()
    try:
        lines = run.read_json(_LINEAGE)
        return tuple(Exploit.model_validate(line, context=STORED) for line in lines)
    except (ValidationError, TypeError) as error:
        raise CorruptFile(f"{run.locate(_LINEAGE)} does not hold a trial's exploits") from error


def add_exploit(run: RunDir, exploit: Exploit) -> None:
    """Add an exploit. Those of later epochs are of a past that was lost with a driver."""
    _write_lineage(run, (*_lineage_before(run, exploit.epoch), exploit))


def _lineage_before(run: RunDir, epoch: int) -> tuple[Exploit, ...]:
    return tuple(line for line in read_lineage(run) if line.epoch < epoch)


def _write_lineage(run: RunDir, lineage: tuple[Exploit, ...]) -> None:
    run.write_json(_LINEAGE, [line.model_dump(mode="json") for line in lineage])


def _is_changed(run: RunDir, experiment: Experiment) -> bool:
    """Whether the run directory is of a training with other values."""
    changed = difference(run.read_definition(Experiment), experiment)
    return any(field_class(path) in ("mutable", "identity") for path in changed)
