"""One worker in this process, without Ray."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from ssgan.data.dataset import Dataset
from ssgan.evaluation.judge import Judge
from ssgan.experiment.tree import Experiment
from ssgan.launch.preparation import Plan
from ssgan.launch.signals import handling
from ssgan.records.rundir import RunDir
from ssgan.training import loop
from ssgan.training.loop import Watch
from ssgan.training.session import InProcess


def run_here(
    experiment: Experiment,
    dataset: Dataset,
    judge: Judge | None,
    run: RunDir,
    plan: Plan,
    start: str | None,
    watch: Watch,
) -> None:
    """Train in this process.

    Args:
        experiment: What to train.
        dataset: Its data.
        judge: C.
        run: The run directory.
        plan: Device and threads.
        start: Address of the checkpoint to start from.
        watch: Shows progress and may stop the run.

    Raises:
        Stopped: The watch or a SIGTERM said so; a checkpoint is written.
        NonFiniteLoss: A term of the objective became NaN or infinite.
    """
    with use_threads(plan.threads):
        loop.run(experiment, dataset, judge, run, InProcess(start), plan.device_here, watch)


@contextmanager
def use_threads(threads: int) -> Iterator[None]:
    """Let torch compute with so many CPU threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM (a spot instance that ends, Slurm's time limit) into a flag.

    A second one does what it did before. Outside the main thread, where Python allows no
    handlers, the flag stays down.
    """
    raised = threading.Event()
    before = signal.getsignal(signal.SIGTERM)

    def raise_flag(number: int, frame: FrameType | None) -> None:
        raised.set()
        signal.signal(signal.SIGTERM, before)

    with handling(signal.SIGTERM, raise_flag):
        yield raised.is_set
