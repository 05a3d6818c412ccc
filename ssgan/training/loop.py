"""The training loop of one worker: construct, restore, train, evaluate, record, report.

The same loop runs in one process, as a DDP worker under Ray Train and as a trial of Ray Tune; the
session is all that differs. Rank 0 evaluates and writes: the run directory is the record. It does
so on a thread (`ssgan.training.recording`), from copies of what is to be measured and saved, while
training goes on; what a crash loses is what was not committed by then.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import torch

from ssgan.base.errors import NonFiniteLoss
from ssgan.base.heap import keep_heap
from ssgan.base.threads import has_spare_core
from ssgan.data.dataset import Dataset
from ssgan.evaluation.judge import Judge
from ssgan.experiment.tree import Experiment
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.checkpoints import restore as read_checkpoint
from ssgan.records.rundir import Record, RunDir
from ssgan.training.distributed import Worker
from ssgan.training.execution import numerics
from ssgan.training.rebuild import rebuild_labels
from ssgan.training.recording import Recorder, Recording
from ssgan.training.session import Commit, Measure, Metrics, Session
from ssgan.training.snapshot import copy_state
from ssgan.training.state import Training
from ssgan.training.writer import Writer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far training is, for a display."""

    updates: int
    total_updates: int
    images_per_update: int
    """Real images of one update, over all workers."""
    record: Record | None = None
    """An epoch that was measured since the last call, on rank 0, or None."""


class Stopped(Exception):
    """Training was asked to stop (SIGTERM) and has saved a checkpoint to resume from."""


@dataclass(frozen=True)
class Watch:
    """Callbacks by which the caller of the loop shows progress and stops it."""

    progress: Callable[[Progress], None] = field(default=lambda progress: None)
    """Called every `training.check_every` updates and after every epoch.

    Every epoch's record comes once and in order; where it is measured beside the training, while
    the next epoch is trained.
    """
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

    extent = experiment.training
    checkpoints = Checkpoints(rundir, extent.keep_last, extent.keep_best)
    total = extent.epochs * extent.steps_per_epoch

    start = worker.share(session.restore)
    if start is not None:
        training.load(read_checkpoint(start, training.check)[1])
    committed = rundir.epochs() if worker.is_main else frozenset()
    recorder = Recorder(experiment, dataset, judge, rundir, checkpoints, device, committed)
    is_beside = has_spare_core(device, worker.local_size)
    if worker.is_main and not is_beside:
        _log.info("training pauses while an epoch is evaluated, because it takes all cores itself")
    measured: Future[Record] | None = None  # of an epoch that the watch was not told of yet

    def tell() -> None:
        nonlocal measured
        record = None
        if measured is not None and measured.done():
            record, measured = measured.result(), None
        watch.progress(Progress(training.updates, total, extent.batch_size, record))

    exact = numerics(device, tf32=extent.tf32, deterministic=extent.deterministic)
    with exact, Writer() as writer:
        while training.updates < total:
            epoch = training.updates // extent.steps_per_epoch + 1
            rebuild_labels(experiment, dataset, training, worker)
            started, first = time.perf_counter(), training.updates
            while training.updates < epoch * extent.steps_per_epoch:
                if training.updates > first and training.updates % extent.check_every == 0:
                    writer.check()
                    _check_losses(training, checkpoints, writer)
                    tell()
                    if worker.any(watch.stop()):
                        training.synchronize(within_epoch=True)
                        worker.wait(lambda: _save_and_wait(writer, checkpoints, training))
                        if measured is not None:
                            tell()
                        raise _stopped(training)
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
            writer.wait()  # one epoch at most is on its way
            if measured is not None:
                tell()
            found: Measure = partial(dict, metrics, epoch=epoch)
            checkpoint: Commit | None = None
            if worker.is_main:
                recording = Recording(recorder, epoch, copy_state(training.state()), metrics)
                tidy = partial(checkpoints.prune, whole=training.updates >= total)
                measured, saved, _ = writer.put(recording.measure, recording.commit, tidy)
                found, checkpoint = partial(_reported, measured), saved.result
                if not is_beside:
                    measured.result()
            worker.wait()
            tell()
            session.report(found, checkpoint)
            if training.updates < total and worker.any(watch.stop()):
                break
        writer.wait()
        if measured is not None:
            tell()
    if training.updates < total:
        raise _stopped(training)


def _stopped(training: Training) -> Stopped:
    return Stopped(f"stopped after {training.updates} updates")


def _reported(measured: Future[Record]) -> Metrics:
    return measured.result().numbered_metrics


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
