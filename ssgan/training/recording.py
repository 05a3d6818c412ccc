"""Recording: what an epoch ends with is measured, drawn and committed, while training goes on.

Rank 0 does it, from a copy of the training's state, so what it finds does not depend on how far
the training is by then.
"""

import time
from collections.abc import Callable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch

from ssgan.base.rng import Streams
from ssgan.data.dataset import Dataset
from ssgan.evaluation.catalog import main_loss
from ssgan.evaluation.evaluator import Evaluation, Evaluator
from ssgan.evaluation.judge import Judge
from ssgan.experiment.tree import Experiment
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import Record, RunDir
from ssgan.records.saved_state import State
from ssgan.training.snapshot import take_snapshot


@dataclass(frozen=True)
class Recorder:
    """What measures a run's epochs, and where they are committed."""

    experiment: Experiment
    dataset: Dataset
    judge: Judge | Callable[[], Judge | None] | None
    """C, what returns it when it is first needed, or None where the data has no test split."""
    rundir: RunDir
    checkpoints: Checkpoints
    device: torch.device
    """Where the networks are measured."""
    committed: Set[int] = frozenset()
    """Epochs whose records stand, because they were committed before a crash."""

    @cached_property
    def _evaluator(self) -> Evaluator:
        judge = self.judge() if callable(self.judge) else self.judge
        streams = Streams(self.experiment.seed)
        config = self.experiment.evaluation
        return Evaluator(config, self.dataset, judge, streams, self.device)

    def is_due(self, epoch: int) -> bool:
        """Whether an epoch is evaluated: every so many, and at the end."""
        every, last = self.experiment.evaluation.every, self.experiment.training.epochs
        return epoch % every == 0 or epoch == last

    def evaluate(self, state: State) -> Evaluation:
        """Measure the networks of a state and draw what they make."""
        snapshot = take_snapshot(self.experiment, self.dataset, state, self.device)
        return self._evaluator.evaluate(snapshot.generators, snapshot.discriminator)


@dataclass
class Recording:
    """One epoch on its way into the run directory: `measure` it, then `commit` it."""

    recorder: Recorder
    epoch: int
    state: State
    """A copy of the state after the epoch, on the CPU, which nobody changes."""
    metrics: Mapping[str, float | None]
    """What the training itself says of the epoch."""
    _found: tuple[Record, Evaluation | None] | None = field(default=None, init=False)

    def measure(self) -> Record:
        """Evaluate the epoch if that is due; return its record, which is not committed yet."""
        recorder, step = self.recorder, int(self.state["step"])
        if self.epoch in recorder.committed:
            record = recorder.rundir.record(self.epoch)
            if record is not None:
                self._found = record, None
                return record
        is_due = recorder.is_due(self.epoch)
        evaluation = recorder.evaluate(self.state) if is_due else Evaluation()
        record = Record(
            epoch=self.epoch,
            step=step,
            images_seen=step * recorder.experiment.training.batch_size,
            timestamp_ms=time.time_ns() // 1_000_000,
            metrics={**self.metrics, **evaluation.metrics},
            reasons=evaluation.reasons,
            alarms=tuple(evaluation.alarms),
        )
        self._found = record, evaluation
        return record

    def commit(self) -> str:
        """Commit the record, unless it stands already, then the checkpoint; return its address.

        A trial of a search waits for it, so pictures are encoded while the state is written.
        """
        assert self._found is not None
        record, evaluation = self._found
        checkpoints = self.recorder.checkpoints
        commit = partial(checkpoints.commit, record.step, self.state, main_loss(record.metrics))
        if evaluation is None:
            return checkpoints.location(commit())
        with ThreadPoolExecutor(2, thread_name_prefix="pictures") as pool:
            pngs = pool.submit(evaluation.pngs)
            thumbnails = pool.submit(evaluation.thumbnails)

            def commit_record() -> None:
                pictures = pngs.result(), thumbnails.result()
                self.recorder.rundir.commit_record(record, *pictures, is_new=True)

            return checkpoints.location(commit(first=commit_record))
