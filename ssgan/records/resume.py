"""Resuming: what is at the address of a checkpoint, and which address a run resumes from."""

from ssgan.records.checkpoint_format import parse_location, step_at, step_of
from ssgan.records.checkpoints import Checkpoints, State
from ssgan.records.rundir import RunDir


def restore(location: str) -> tuple[int, State]:
    """Read the checkpoint at an address that `Checkpoints.location` gave, of whatever run.

    A corrupt one is passed over for the one saved before it, with a warning.

    Raises:
        BadInput: It is not the address of a checkpoint, or nothing is there.
        CorruptFile: Neither it nor any before it is whole.
    """
    run, name = parse_location(location)
    return Checkpoints(RunDir(run)).restore(name)


def starting_point(run: RunDir, given: str | None = None) -> str | None:
    """Return the address of the checkpoint that a run resumes from; None to start from scratch.

    Args:
        run: The run directory.
        given: Address of another checkpoint, of whatever run; it counts until the run has saved a
            later one itself.
    """
    checkpoints = Checkpoints(run)
    newest = checkpoints.newest()
    if newest is None:
        return given
    is_later = given is None or step_of(newest) > step_at(given)
    return checkpoints.location(newest) if is_later else given
