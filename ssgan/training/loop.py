"""The training loop of one worker: construct, restore, train, evaluate, record, report.

The same loop runs in one process, as a DDP worker under Ray Train and as a trial of Ray Tune; the
session is all that differs. Rank 0 evaluates and writes: the run directory is the record. It writes
on a thread (`ssgan.training.writer`), from copies of what is to be saved, while training goes on;
what a crash loses is what was not committed by then.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import torch

from ssgan.base.errors import NonFiniteLoss
from ssgan.base.heap import keep_heap
from ssgan.data.dataset import Dataset
from ssgan.evaluation.catalog import main_loss
from ssgan.evaluation.evaluator import Evaluation, Evaluator
from ssgan.evaluation.judge import Judge
from ssgan.experiment.tree import Experiment
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.checkpoints import restore as read_checkpoint
from ssgan.records.rundir import Record, RunDir
from ssgan.records.saved_state import State
from ssgan.training.distributed import Worker
from ssgan.training.rebuild import rebuild_labels
from ssgan.training.session import Session
from ssgan.training.snapshot import copy_state, take_snapshot
from ssgan.training.state import Training
from ssgan.training.writer import Writer


@dataclass(frozen=True)
class Progress:
    """How far training is, for a display."""

    updates: int
    total_updates: int
    images_per_update: int
    """Real images of one update, over all workers."""
    record: Record | None = None
    """The epoch that was just finished, on rank 0; None between epochs."""


class Stopped(Exception):
    """Training was asked to stop (SIGTERM) and has saved a checkpoint to resume from."""


@dataclass(frozen=True)
class Watch:
    """Callbacks by which the caller of the loop shows progress and stops it."""

    progress: Callable[[Progress], None] = field(default=lambda progress: None)
    """Called every `training.check_every` updates and after every epoch."""
    stop: Callable[[], bool] = field(default=lambda: False)
    """Asked as often whether to save a checkpoint and stop; one worker's yes is enough."""


def run(
    experiment: Experiment,
    dataset: Dataset,
    judge: Judge | Callable[[], Judge | None] | None,
    rundir: RunDir,
    session: Session,
    device: torch.device,
    watch: Watch | None = None,
) -> None:
    """Train until the experiment's epochs are done, which may be more than when the run began.

    The data set is the same on every worker; rank 0 alone writes the run directory. The judge is
    C, or what returns it when it is first needed, or None where the data has no test split.

    Raises:
        NonFiniteLoss: A term of the objective became NaN or infinite.
        Stopped: `watch` said so; a resumed run continues from exactly there.
    """
    keep_heap()
    watch = watch or Watch()
    worker = Worker.join(device)
    training = Training(experiment, dataset, worker)

    def evaluates_by(c: Judge | None) -> Evaluator:
        return Evaluator(experiment.evaluation, dataset, c, training.streams, device)

    evaluator = evaluates_by(judge) if worker.is_main and not callable(judge) else None
    extent = experiment.training
    checkpoints = Checkpoints(rundir, extent.keep_last, extent.keep_best)
    total = extent.epochs * extent.steps_per_epoch

    start = worker.share(session.restore)
    if start is not None:
        training.load(read_checkpoint(start, training.check)[1])
    # A record of an epoch that was committed before a crash stands.
    committed = rundir.epochs() if worker.is_main else frozenset()

    with Writer() as writer:
        while training.updates < total:
            epoch = training.updates // extent.steps_per_epoch + 1
            rebuild_labels(experiment, dataset, training, worker)
            started, first = time.perf_counter(), training.updates
            while training.updates < epoch * extent.steps_per_epoch:
                if training.updates > first and training.updates % extent.check_every == 0:
                    writer.check()
                    _check_losses(training, checkpoints, writer)
                    watch.progress(Progress(training.updates, total, extent.batch_size))
                    if worker.any(watch.stop()):
                        training.synchronize(within_epoch=True)
                        worker.wait(lambda: _save_and_wait(writer, checkpoints, training))
                        raise Stopped(f"stopped after {training.updates} updates")
                training.update()
            _check_losses(training, checkpoints, writer)
            images = (training.updates - first) * extent.batch_size
            begun = (epoch - 1) * extent.steps_per_epoch
            weights = training.weights(begun)
            metrics = training.take_losses() | {
                "images_per_second": images / (time.perf_counter() - started),
                "label_probability": training.label_probability(begun),
                "labels_seen": float(training.batches.seen.sum()),
                **training.gained_metrics(),
                "lambda1": weights.lambda1,
                "lambda2": weights.lambda2,
                "discriminator_lr": weights.d_lr,
                "generator_lr": weights.g_lr,
            }

            training.synchronize()
            record, checkpoint = None, None
            if worker.is_main:
                state, evaluation = training.state(), Evaluation()
                if epoch % experiment.evaluation.every == 0 or epoch == extent.epochs:
                    if evaluator is None:
                        evaluator = evaluates_by(judge() if callable(judge) else judge)
                    snapshot = take_snapshot(experiment, dataset, state, device)
                    evaluation = evaluator.evaluate(snapshot.generators, snapshot.discriminator)
                found = rundir.record(epoch) if epoch in committed else None
                record = found or Record(
                    epoch=epoch,
                    step=training.updates,
                    images_seen=training.images_seen,
                    timestamp_ms=time.time_ns() // 1_000_000,
                    metrics={**metrics, **evaluation.metrics},
                    reasons=evaluation.reasons,
                    alarms=tuple(evaluation.alarms),
                )
                commit = _Commit(
                    *(rundir, checkpoints, record, None if found else evaluation),
                    state=copy_state(state),
                )
                is_last = training.updates >= total
                tidy = partial(checkpoints.prune, whole=is_last)
                checkpoint = writer.put(commit, tidy).result
            worker.wait()
            watch.progress(Progress(training.updates, total, extent.batch_size, record))
            reported = record.metrics if record is not None else {}
            session.report({"epoch": epoch, **reported}, checkpoint)
            if training.updates < total and worker.any(watch.stop()):
                writer.wait()
                raise Stopped(f"stopped after {training.updates} updates")


@dataclass(frozen=True)
class _Commit:
    """Commits an epoch: its record, unless that stands already, before its checkpoint counts."""

    rundir: RunDir
    checkpoints: Checkpoints
    record: Record
    evaluation: Evaluation | None
    """What is recorded; None where the record stands already."""
    state: State

    def __call__(self) -> str:
        """Write; return the checkpoint's address.

        A trial of a search waits for it, so pictures are encoded while the state is written.
        """
        metric = main_loss(self.record.metrics)
        commit = partial(self.checkpoints.commit, self.record.step, self.state, metric)
        if self.evaluation is None:
            return self.checkpoints.location(commit())
        with ThreadPoolExecutor(2, thread_name_prefix="pictures") as pool:
            pngs = pool.submit(self.evaluation.pngs)
            thumbnails = pool.submit(self.evaluation.thumbnails)

            def commit_record() -> None:
                pictures = pngs.result(), thumbnails.result()
                self.rundir.commit_record(self.record, *pictures, is_new=True)

            return self.checkpoints.location(commit(first=commit_record))


def _check_losses(training: Training, checkpoints: Checkpoints, writer: Writer) -> None:
    """Stop when a term is not finite; the updates since were skipped, the checkpoints are good."""
    if (found := training.find_not_finite()) is not None:
        writer.wait()
        term, update = found
        saved = [checkpoints.location(name) for name in checkpoints.manifests()]
        raise NonFiniteLoss(
            f"loss/{term} became NaN or infinite at update {update}; the last good checkpoint is "
            f"{saved[-1] if saved else 'none'}. Lower the learning rates (optimizer) or the weight "
            "of that term (objective); the same run again would end the same way"
        )


def _save_and_wait(writer: Writer, checkpoints: Checkpoints, training: Training) -> None:
    """Save a checkpoint between two records."""
    step, state = training.updates, training.state()
    writer.put(lambda: checkpoints.commit(step, state), checkpoints.prune)
    writer.wait()
