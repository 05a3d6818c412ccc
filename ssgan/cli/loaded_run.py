"""A run opened again: its data, and the networks of one of its checkpoints."""

from dataclasses import dataclass

import torch

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.cli.screen import progress, waiting
from ssgan.data.dataset import Dataset
from ssgan.evaluation.evaluator import Evaluator
from ssgan.evaluation.result import Evaluation
from ssgan.experiment.tree import Experiment
from ssgan.launch.local import use_threads
from ssgan.launch.outcome import Reached, load_run, reach
from ssgan.launch.preparation import find_judge, plan_here
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir


@dataclass(frozen=True)
class LoadedRun:
    """A run and one of its checkpoints.

    Attributes:
        run: The run directory.
        experiment: The run's own.
        dataset: The run's own.
        reached: The networks of the checkpoint.
        device: Where they stand.
    """

    run: RunDir
    experiment: Experiment
    dataset: Dataset
    reached: Reached
    device: torch.device


def reopen(location: str, checkpoint: str) -> LoadedRun:
    """Open a run.

    Args:
        location: The run directory.
        checkpoint: ``last``, ``best`` or the name of one.

    Raises:
        BadInput: There is no such run or checkpoint, or its data is not here.
    """
    run, experiment, dataset = load_run(location)
    device = plan_here(experiment.scaling).device_here
    name = _name(run, checkpoint)
    return LoadedRun(
        run, experiment, dataset, reach(run, experiment, dataset, device, name), device
    )


def evaluate(opened: LoadedRun, experiment: Experiment, copies: tuple[str, ...]) -> Evaluation:
    """Evaluate copies of G.

    Args:
        opened: The run.
        experiment: The run's own, or with another `evaluation`.
        copies: ``raw``, ``ema`` or both.
    """
    plan = plan_here(experiment.scaling)
    with use_threads(plan.threads):
        with progress("training the judge C", "updates") as advance:
            judge = find_judge(
                experiment,
                opened.dataset,
                plan,
                lambda title, done, total, unit: advance(done, total),
            )
        with waiting("evaluating"):
            streams = opened.reached.training.streams
            evaluator = Evaluator(
                experiment.evaluation, opened.dataset, judge, streams, opened.device
            )
            snapshot = opened.reached.snapshot
            generators = {copy: snapshot.generators[copy] for copy in copies}
            return evaluator.evaluate(generators, snapshot.discriminator)


def _name(run: RunDir, checkpoint: str) -> str | None:
    """Find the name of a checkpoint; None is the newest whole one."""
    if checkpoint == "last":
        return None
    checkpoints = Checkpoints(run)
    known = checkpoints.manifests()
    if checkpoint == "best":
        best = checkpoints.best()
        if best is None and known:
            raise BadInput(
                f"no checkpoint of {run.location} was scored, so none is best; take "
                "--checkpoint last"
            )
        return best
    if checkpoint not in known:
        raise BadInput(
            f"{run.location} has no checkpoint {checkpoint!r}{nearest(checkpoint, known)}; or take "
            "best or last"
        )
    return checkpoint
