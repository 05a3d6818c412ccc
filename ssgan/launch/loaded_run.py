"""A run loaded from its directory: its data, and the networks of one of its checkpoints."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.base.progress import PreparationProgress, of_step
from ssgan.base.rng import Streams
from ssgan.base.threads import use_threads
from ssgan.data.dataset import Dataset
from ssgan.evaluation.copy_audit import CopyAudit, audit_copies
from ssgan.evaluation.evaluator import Evaluation, Evaluator
from ssgan.evaluation.judge import Judge
from ssgan.evaluation.samples import balanced_latents, generate
from ssgan.evaluation.teaching import Lesson, Teacher, teach
from ssgan.experiment.tree import Experiment
from ssgan.launch.preparation import (
    ComputePlan,
    find_judge,
    fit_to_work,
    load_run_data,
    plan_here,
)
from ssgan.launch.resumption import accept_networks
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.records.saved_state import State
from ssgan.records.search_judges import JUDGE_SEEDS, read_judge
from ssgan.records.searchdir import search_of
from ssgan.training.snapshot import Snapshot, take_snapshot


class FoundJudge(NamedTuple):
    """The classifier C that figures are measured by."""

    judge: Judge | None
    """None without a test split or without labels."""
    origin: str
    """Where it comes from, in words."""

    def __str__(self) -> str:
        """Name it in a line."""
        return "none" if self.judge is None else f"{self.judge.hash[:12]}, {self.origin}"


@dataclass(frozen=True)
class LoadedRun:
    """A run and the networks of one of its checkpoints, after `step` updates."""

    run: RunDir
    experiment: Experiment
    dataset: Dataset
    device: torch.device
    step: int
    snapshot: Snapshot
    """Networks in eval mode, with BatchNorm statistics estimated from scratch."""
    gained: int | None = None
    """Images with a label by then that was spread to them; None where none had been spread."""

    def plan(self, experiment: Experiment) -> ComputePlan:
        """Say how this process computes for an experiment on the run's images."""
        return _plan(experiment, self.dataset)

    def find_judge(
        self, experiment: Experiment, progress: PreparationProgress | None = None
    ) -> FoundJudge:
        """Find C for the run's experiment, or for one that differs in `evaluation`.

        For a trial of a search it is the one that the search has recorded, by which its figures
        were measured, unless it is to be another one (`evaluation.judge`).

        Raises:
            CorruptFile: The recorded one is not as it was written.
        """
        plan = self.plan(experiment)
        found = search_of(self.run)
        seed = 0 if found is None else JUDGE_SEEDS[found[1]]
        if found is not None and experiment.evaluation.judge == self.experiment.evaluation.judge:
            search, stage = found
            if (files := read_judge(search, stage)) is not None:
                where = search.locate(f"judges/{stage}")
                judge = Judge.from_files(files, plan.device_here, where)
                return FoundJudge(judge, f"recorded by the search {search.info.name} ({stage})")
        with use_threads(plan.threads):
            made = find_judge(experiment, self.dataset, plan, progress, seed)
        return FoundJudge(made, "of this machine's cache")

    def evaluate(
        self, experiment: Experiment, judge: Judge | None, copies: tuple[str, ...]
    ) -> Evaluation:
        """Evaluate copies of G: ``raw``, ``ema`` or both."""
        streams, snapshot = Streams(self.experiment.seed), self.snapshot
        with use_threads(self.plan(experiment).threads):
            evaluator = Evaluator(experiment.evaluation, self.dataset, judge, streams, self.device)
            generators = {copy: snapshot.generators[copy] for copy in copies}
            return evaluator.evaluate(generators, snapshot.discriminator)

    def teach(
        self,
        experiment: Experiment,
        teacher: Teacher,
        copy: str = "ema",
        progress: PreparationProgress | None = None,
    ) -> Lesson:
        """Teach a classifier by samples of a copy of G, or by what they are held against.

        Raises:
            BadInput: As `teach`.
            NonFiniteLoss: As `teach`.
        """
        with use_threads(self.plan(experiment).threads):
            return teach(
                teacher,
                experiment.evaluation.judge,
                self.dataset,
                self.snapshot.generators[copy],
                self.snapshot.discriminator,
                Streams(self.experiment.seed),
                self.device,
                of_step(progress, f"teaching by {teacher}", "updates"),
            )

    def audit_copies(
        self,
        experiment: Experiment,
        judge: Judge,
        copy: str = "ema",
        progress: PreparationProgress | None = None,
    ) -> CopyAudit:
        """Look for training images among the samples that `evaluate` measures."""
        config, space = experiment.evaluation, self.dataset.space
        draw = Streams(self.experiment.seed).generator("evaluation samples")
        with use_threads(self.plan(experiment).threads):
            latents = balanced_latents(space, config.samples, draw)
            samples = generate(self.snapshot.generators[copy], space, latents)
            told = of_step(progress, "comparing with training images", "images")
            return audit_copies(config, judge, self.dataset, samples, told)


def _plan(experiment: Experiment, dataset: Dataset) -> ComputePlan:
    return fit_to_work(plan_here(experiment.scaling), experiment, dataset.manifest.shape)


def load_run(location: str, checkpoint: str = "last") -> LoadedRun:
    """Load a run, or the winner of a search, at ``last``, ``best`` or a checkpoint's name.

    Raises:
        BadInput: There is no such run or checkpoint, or its data is not here.
        CorruptFile: The checkpoint is not whole.
    """
    run, experiment, dataset = load_run_data(location)
    plan = _plan(experiment, dataset)
    with use_threads(plan.threads):  # the statistics are those of the training's end, to the bit
        name = _name(run, checkpoint)
        return load_networks(run, experiment, dataset, plan.device_here, name)


def load_networks(
    run: RunDir,
    experiment: Experiment,
    dataset: Dataset,
    device: torch.device,
    name: str | None = None,
) -> LoadedRun:
    """Load the networks of a checkpoint of a run, by its name; None is the newest.

    Raises:
        BadInput: The run has no checkpoint, or none of that name.
        CorruptFile: It is not whole; of the newest, none before it either.
    """
    checkpoints, accept = Checkpoints(run), accept_networks(experiment, dataset)
    found = checkpoints.latest(accept) if name is None else checkpoints.load(name, accept)
    if found is None:
        raise BadInput(f"{run.location} has no checkpoint yet; train it first, with --resume")
    step, state = found
    snapshot = take_snapshot(experiment, dataset, state, device)
    gained = _count_gained(dataset, state)
    return LoadedRun(run, experiment, dataset, device, step, snapshot, gained)


def _count_gained(dataset: Dataset, state: State) -> int | None:
    if "spread" in state:  # again, by the trunk of some update before
        return int((state["spread"]["labels"] >= 0).any(dim=1).sum())
    return None if dataset.gained is None else len(dataset.gained)


def _name(run: RunDir, checkpoint: str) -> str | None:
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
