"""The training loop of one worker: construct, restore, train, evaluate, record, report.

The same loop runs in one process, as a DDP worker under Ray Train and as a trial of Ray Tune; the
session is all that differs. Rank 0 evaluates and writes: the run directory is the record.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ssgan.base.errors import NonFiniteLoss
from ssgan.data.dataset import Dataset
from ssgan.evaluation.catalog import main_loss
from ssgan.evaluation.evaluator import Evaluation, Evaluator
from ssgan.evaluation.judge import Judge
from ssgan.experiment.tree import Experiment
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.resume import restore as read_checkpoint
from ssgan.records.rundir import Record, RunDir
from ssgan.training.distributed import Worker
from ssgan.training.session import Session
from ssgan.training.snapshot import take_snapshot
from ssgan.training.state import Training


@dataclass(frozen=True)
class Progress:
    """Where training stands, for whoever shows it."""

    step: int
    """Updates made."""
    steps: int
    """Updates in all."""
    images_per_step: int
    """Real images an update, over all workers."""
    record: Record | None = None
    """The epoch that was just finished, on rank 0; None between epochs."""


class Stopped(Exception):
    """Training was asked to stop (SIGTERM) and has written a checkpoint to go on from."""


@dataclass(frozen=True)
class Watch:
    """What the loop's surroundings see and say while it runs."""

    progress: Callable[[Progress], None] = field(default=lambda progress: None)
    """Called every `training.check_every` updates and after every epoch."""
    stop: Callable[[], bool] = field(default=lambda: False)
    """Asked as often whether to write a checkpoint and stop; one worker's yes is enough."""


def run(
    experiment: Experiment,
    dataset: Dataset,
    judge: Judge | None,
    rundir: RunDir,
    session: Session,
    device: torch.device,
    watch: Watch | None = None,
) -> None:
    """Train until the experiment's epochs are done.

    Args:
        experiment: What to train; its extent may be larger than when the run began.
        dataset: The same on every worker.
        judge: C, or None where the data has no judge split.
        rundir: The run's record; written by rank 0 alone.
        session: Where to start from, and whom to report epochs to.
        device: Where this worker computes.
        watch: Shows progress and may stop the run.

    Raises:
        NonFiniteLoss: A term of the objective became NaN or infinite.
        Stopped: `watch` said so; a resume goes on from exactly there.
    """
    watch = watch or Watch()
    worker = Worker.join(device)
    training = Training(experiment, dataset, worker)
    evaluator = (
        Evaluator(experiment.evaluation, dataset, judge, training.streams, device)
        if worker.is_main
        else None
    )
    extent = experiment.training
    checkpoints = Checkpoints(rundir, extent.keep_last, extent.keep_best)
    steps = extent.epochs * extent.steps_per_epoch

    start = session.restore()
    if start is not None:
        training.load(read_checkpoint(start)[1])

    while training.steps < steps:
        epoch = training.steps // extent.steps_per_epoch + 1
        clock, first = time.perf_counter(), training.steps
        while training.steps < epoch * extent.steps_per_epoch:
            if training.steps > first and training.steps % extent.check_every == 0:
                _check_losses(training, checkpoints)
                watch.progress(Progress(training.steps, steps, extent.batch_size))
                if worker.any(watch.stop()):
                    training.settle()
                    worker.wait(lambda: _save(checkpoints, training, None))
                    raise Stopped(f"stopped after {training.steps} updates")
            training.update()
        _check_losses(training, checkpoints)
        images = (training.steps - first) * extent.batch_size
        begun = (epoch - 1) * extent.steps_per_epoch
        metrics = training.take_losses() | {
            "images_per_second": images / (time.perf_counter() - clock),
            "label_probability": training.label_probability(begun),
            "labels_seen": float(training.batches.seen.sum()),
            "lambda1": training.step.objective.lambda1,
            "lambda2": training.lambda2(begun),
            **{f"{name}_lr": rate for name, rate in training.rates(begun)._asdict().items()},
        }

        training.settle()
        record, checkpoint = None, None
        if evaluator is not None:
            is_due = epoch % experiment.evaluation.every == 0 or epoch == extent.epochs
            evaluation = _evaluate(training, dataset, evaluator, extent.batch_size, is_due)
            record = _commit(rundir, training, epoch, metrics, evaluation)
            checkpoint = _save(checkpoints, training, record)
        worker.wait()
        watch.progress(Progress(training.steps, steps, extent.batch_size, record))
        reported = record.metrics if record is not None else {}
        session.report({"epoch": epoch, **reported}, checkpoint)
        if training.steps < steps and worker.any(watch.stop()):
            raise Stopped(f"stopped after {training.steps} updates")


def _check_losses(training: Training, checkpoints: Checkpoints) -> None:
    """Stop when a term is not finite; the updates since were skipped, the checkpoints are good."""
    found = training.find_not_finite()
    if found is not None:
        term, step = found
        saved = [checkpoints.location(name) for name in checkpoints.manifests()]
        raise NonFiniteLoss(
            f"loss/{term} became NaN or infinite at update {step}; the last good checkpoint is "
            f"{saved[-1] if saved else 'none'}. Lower the learning rates (optimizer) or the weight "
            "of that term (objective); the same run again would end the same way"
        )


def _evaluate(
    training: Training, dataset: Dataset, evaluator: Evaluator, batch_size: int, is_due: bool
) -> Evaluation | None:
    if not is_due:
        return None
    step = training.step
    snapshot = take_snapshot(
        step.generator, step.discriminator, training.average, dataset, training.streams, batch_size
    )
    return evaluator.evaluate(snapshot.generators, snapshot.discriminator)


def _commit(
    rundir: RunDir,
    training: Training,
    epoch: int,
    metrics: dict[str, float | None],
    evaluation: Evaluation | None,
) -> Record:
    """Commit the epoch's record; one that was committed before a crash stands."""
    evaluation = evaluation or Evaluation()
    return rundir.commit_record(
        Record(
            epoch=epoch,
            step=training.steps,
            images_seen=training.images_seen,
            timestamp_ms=time.time_ns() // 1_000_000,
            metrics={**metrics, **evaluation.metrics},
            reasons=evaluation.reasons,
            alarms=tuple(evaluation.alarms),
        ),
        evaluation.pngs(),
    )


def _save(checkpoints: Checkpoints, training: Training, record: Record | None) -> str:
    """Save a checkpoint, ranked by the record's main metric; return its address."""
    metric = None if record is None else main_loss(record.metrics)
    return checkpoints.location(checkpoints.save(training.steps, training.state(), metric))
