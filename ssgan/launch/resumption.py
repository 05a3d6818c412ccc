"""Whether a run can be resumed, found out before anything of it is changed."""

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.dataset import Dataset
from ssgan.experiment.tree import Experiment
from ssgan.networks.architecture import build_networks, shapes_only
from ssgan.records.checkpoint_address import step_of
from ssgan.records.checkpoints import Accept, Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.training.state_check import check_networks


def find_start(run: RunDir, experiment: Experiment, dataset: Dataset) -> str | None:
    """Return the address of the checkpoint that a run resumes from; None is the beginning.

    That is the newest that is whole; warnings name those that are not.

    Raises:
        BadInput: More epochs are done than the experiment has.
        CorruptFile: No checkpoint is whole, or the record of an epoch before it is not.
    """
    checkpoints = Checkpoints(run)
    name = checkpoints.usable(accept_networks(experiment, dataset))
    done = 0 if name is None else step_of(name) // experiment.training.steps_per_epoch
    recorded = run.epochs()
    most = max(done, *recorded, 0)
    if most > experiment.training.epochs:
        raise BadInput(
            f"{run.location} has made {most} epochs, more than "
            f"training.epochs={experiment.training.epochs}; set {most} or more to resume it"
        )
    for epoch in range(1, done + 1):
        if epoch not in recorded:
            raise CorruptFile(
                f"the record of epoch {epoch} of {run.location} is missing, and its checkpoint "
                f"{name} is of a later one; restore the folder record from a copy, or start "
                "another run with --name"
            )
    _ = run.records()  # which says what is wrong with one that cannot be read
    return None if name is None else checkpoints.location(name)


def accept_networks(experiment: Experiment, dataset: Dataset) -> Accept:
    """Return what refuses a checkpoint that is not of the experiment's networks."""
    sizes = experiment.networks, dataset.space, dataset.manifest.shape
    try:
        with shapes_only():
            networks = build_networks(*sizes)
    except RuntimeError:  # networks of another package, which need numbers
        networks = build_networks(*sizes)
    return lambda state: check_networks(state, *networks)
