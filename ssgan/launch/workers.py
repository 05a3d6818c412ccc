"""DDP workers under Ray Train's TorchTrainer, on a local Ray or on a cluster."""

import contextlib
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, TypedDict, cast

import torch

from ssgan.base.errors import BadInput, NonFiniteLoss
from ssgan.cluster.capacity import object_store_environment, worker_environment
from ssgan.evaluation.judge import Judge
from ssgan.experiment.tree import Experiment
from ssgan.launch.preemption import watch_for_preemption
from ssgan.launch.preparation import ComputePlan, find_store, keep_to_share, load_dataset
from ssgan.records.checkpoints import starting_point
from ssgan.records.rundir import Record, RunDir
from ssgan.training import loop
from ssgan.training.loop import Progress, Stopped, Watch
from ssgan.training.session import TrainSession

_STOP = "STOP"  # file of the run directory by which the driver asks the workers to stop
_POLL = 0.5  # seconds between two looks at the records
_STOP_POLL = 2.0  # seconds between two looks for the file

_log = logging.getLogger(__name__)


class WorkerSpec(TypedDict):
    """What the driver tells each worker."""

    run: str
    """Location of the run directory, which holds experiment and label budget."""
    store: str
    threads: int
    gpus: float
    judge: dict[str, bytes] | None
    environment: dict[str, str]
    """How to reach the object store (`ssgan.cluster.capacity.object_store_environment`)."""
    start: str | None
    """Address of a checkpoint, of whatever run, that counts until this run has a later one."""


class Ending(TypedDict):
    """How a worker's loop ended. No exception tells it, because Ray would train again."""

    kind: Literal["finished", "stopped", "preempted", "not finite"]
    message: str


def run_under_ray(
    experiment: Experiment,
    store: str,
    judge: dict[str, bytes] | None,
    run: RunDir,
    plan: ComputePlan,
    watch: Watch,
    *,
    start: str | None = None,
    told: int | None = None,
    is_ready: Callable[[Record], bool] = lambda record: True,
) -> None:
    """Train with the workers of `scaling`, on the Ray that this process is connected to.

    A worker that dies costs the updates since the last checkpoint: all are started again from
    there, `scaling.retries` times. One that is told that it will be taken away (SIGTERM, a machine
    that drains) costs none: a checkpoint is written, and all are started again elsewhere, as often
    as that happens. Ray keeps nothing of the run: where to start from is for the run directory to
    say.

    All workers reach the run directory, which holds the same experiment; those that cannot see
    the store build their own. `judge` holds the files of C. `start` is the address of a checkpoint
    of another run to start from; the run's own, once it has a later one, goes before it.

    The watch is told of each epoch after `told`, by default of those not yet recorded, once its
    record `is_ready`, and may stop the run.

    Raises:
        Stopped: The watch said so; a checkpoint is written.
        NonFiniteLoss: A term of the objective became NaN or infinite.
        BadInput: A worker met bad input, such as data that is not on its machine.
        RuntimeError: Workers died more often than `scaling.retries` allows.
    """
    import ray.train
    from ray.train.torch import TorchTrainer

    from ssgan.launch.ray_backend import HeedingTorchConfig

    ray_train: Any = ray.train  # its stubs describe the first version of the API
    resources = {"CPU": plan.cpus} | ({"GPU": plan.gpus} if plan.cuda else {})
    counts = experiment.scaling.counts()
    # A group of a range waits for Ray's coordinator, which for three minutes holds what groups that
    # were stopped early had asked for; one of a fixed size takes what is free.
    workers = counts[0] if len(counts) == 1 else experiment.scaling.workers
    spec = WorkerSpec(
        run=run.location,
        store=store,
        threads=plan.threads,
        gpus=plan.gpus,
        judge=judge,
        environment=object_store_environment(),
        start=start,
    )

    def train_once() -> Ending:
        with tempfile.TemporaryDirectory() as bookkeeping:
            trainer: Any = TorchTrainer(
                cast(Any, work),
                train_loop_config=dict(spec),
                torch_config=HeedingTorchConfig(),
                scaling_config=ray_train.ScalingConfig(
                    num_workers=workers,
                    use_gpu=plan.cuda,
                    resources_per_worker=resources,
                ),
                run_config=ray_train.RunConfig(
                    name=run.run_id,
                    storage_path=bookkeeping,
                    failure_config=ray_train.FailureConfig(max_failures=experiment.scaling.retries),
                    worker_runtime_env={"env_vars": worker_environment(plan.threads)},
                    logging_config=ray_train.LoggingConfig(log_level="WARNING"),
                ),
            )
            ending: Ending = trainer.fit().return_value
            return ending

    run.delete(_STOP)
    try:
        # Ray prints what workers print, wherever they do, and stdout is for results.
        with (
            contextlib.redirect_stdout(sys.stderr),
            _watching(experiment, run, watch, told, is_ready),
        ):
            while (ending := train_once())["kind"] == "preempted":
                _log.warning("%s: a worker is taken away; all start again", ending["message"])
    except ray_train.TrainingFailedError as error:
        raise _cause(error) from error
    finally:
        run.delete(_STOP)
    if ending["kind"] == "stopped":
        raise Stopped(ending["message"])
    if ending["kind"] == "not finite":
        raise NonFiniteLoss(ending["message"])


def work(spec: WorkerSpec) -> Ending:
    """Train as one of several workers; Ray Train calls this in each of them."""
    from ray import train
    from ray.train.torch import get_device

    logging.disable(logging.INFO)  # Ray prints every report with all its metrics
    torch.set_num_threads(spec["threads"])
    os.environ.update(spec["environment"])
    run = RunDir.open(spec["run"])
    experiment = run.read_definition(Experiment)
    store = find_store(experiment, location=spec["store"])
    dataset = load_dataset(experiment, run, store)
    device = get_device()
    keep_to_share(spec["gpus"], device)
    session = TrainSession(train, partial(starting_point, run, spec["start"]))
    judge = None if spec["judge"] is None else Judge.from_files(spec["judge"], device)
    is_main = train.get_context().get_world_rank() == 0
    is_asked: Callable[[], bool] = _StopFile(run) if is_main else lambda: False
    try:
        with watch_for_preemption() as is_taken:
            watch = Watch(stop=lambda: is_taken() or is_asked())
            loop.run(experiment, dataset, judge, run, session, device, watch)
    except Stopped as stopped:
        # Rank 0 answers for all, and it may be another one that is taken away.
        kind: Literal["stopped", "preempted"] = "stopped" if run.exists(_STOP) else "preempted"
        return Ending(kind=kind, message=str(stopped))
    except NonFiniteLoss as error:
        return Ending(kind="not finite", message=str(error))
    return Ending(kind="finished", message="")


class _StopFile:
    """Says whether the driver asked to stop; looks every few seconds, however often it is called.

    One worker asks for all (`Watch.stop`).
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._is_there = False
        self._next = 0.0

    def __call__(self) -> bool:
        if not self._is_there and time.monotonic() >= self._next:
            with contextlib.suppress(OSError):  # the next look will tell
                self._is_there = self._run.find_bytes(_STOP) is not None
            self._next = time.monotonic() + _STOP_POLL
        return self._is_there


@contextlib.contextmanager
def _watching(
    experiment: Experiment,
    run: RunDir,
    watch: Watch,
    told: int | None = None,
    is_ready: Callable[[Record], bool] = lambda record: True,
) -> Iterator[None]:
    """Tell the watch of every record that appears, and the workers when it wants to stop."""
    done = threading.Event()
    last = max(run.epochs(), default=0) if told is None else told

    def follow() -> None:
        nonlocal last
        asked = False
        extent = experiment.training
        while not done.is_set():
            is_last_look = done.wait(_POLL)
            with contextlib.suppress(OSError):
                while (record := run.record(last + 1)) is not None and is_ready(record):
                    last += 1
                    steps = extent.epochs * extent.steps_per_epoch
                    watch.progress(Progress(record.step, steps, extent.batch_size, record))
                if not asked and not is_last_look and watch.stop():
                    run.write_bytes(_STOP, b"")
                    asked = True

    follower = threading.Thread(target=follow, name="watch", daemon=True)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()


def _cause(error: Exception) -> Exception:
    """Find what a worker raised behind the errors of Ray that wrap it."""
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        found = getattr(failure, "cause", None) or failure
        if isinstance(found, BadInput | OSError):
            return found
    lines = "; ".join(f"worker {rank}: {_last_line(e)}" for rank, e in failures.items())
    return RuntimeError(
        f"training failed under Ray ({lines or _last_line(error)}); the run directory holds its "
        "checkpoints, so --resume continues from the last one"
    )


def _last_line(error: Any) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else repr(error)
