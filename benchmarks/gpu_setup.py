"""What the phases of `benchmarks.gpu` share: the device, trainings without a store, and digests."""

import hashlib
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.synthetic import SMALL, synthetic_dataset
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.training.distributed import Worker
from ssgan.training.state import Training

CPU = torch.device("cpu")
MNIST = (1, 28, 28)

EXACT_RATES = ("optimizer.discriminator_lr=0.0001220703125", "optimizer.generator_lr=0.0009765625")
"""Learning rates that float32 holds exactly: a rate in a tensor (as a graph needs it) and one as a
Python float (as the shipped update has it) are then the same number."""
EAGER, GRAPH = "training.execution=eager", "training.execution=graph"
BFLOAT16 = "training.precision=bfloat16"
AUGMENTED = "augmentation={rotation: 0, scale: 0, shift: 0.125, shear: 0, flip: true}"
NOISE = "instance_noise={kind: constant, value: 0.02}"
RUNS = {"fp32": (), "bf16": (BFLOAT16,), "augmented": (AUGMENTED,)}
"""Overrides of the runs whose bits are compared."""


class Mode(NamedTuple):
    """A way to compute an update."""

    overrides: tuple[str, ...] = ()
    tf32: bool = False
    """Whether matrix products and convolutions in float32 may round their inputs to TF32."""
    channels_last: bool = False
    """Whether G and D keep their tensors with channels last."""


MODES = {
    "fp32": Mode(),
    "tf32": Mode(tf32=True),
    "bf16": Mode((BFLOAT16,)),
    "bf16_cl": Mode((BFLOAT16,), channels_last=True),
    "tf32_cl": Mode(tf32=True, channels_last=True),
}

Result = dict[str, Any]
"""One line of what a phase found: JSON values."""


@dataclass(frozen=True)
class Bench:
    """What every phase is given."""

    budget: float
    """Seconds for all phases."""
    small: bool = False
    """Small networks and few repeats, to see that everything runs."""
    device: torch.device = field(
        default_factory=lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu")
    )
    started: float = field(default_factory=time.perf_counter)

    @property
    def is_cuda(self) -> bool:
        """Whether there is a GPU."""
        return self.device.type == "cuda"

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self.started

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget - self.seconds

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def experiment(self, *overrides: str) -> Experiment:
        """Load the preset `mnist` with overrides; without `GRAPH` its updates are eager."""
        own = (*(SMALL if self.small else ()), EAGER)
        return load_experiment("mnist", [*own, *overrides])

    def training(
        self,
        *overrides: str,
        shape: Sequence[int] = MNIST,
        device: torch.device | None = None,
        channels_last: bool = False,
    ) -> Training:
        """Build a training of the preset `mnist` on synthetic images.

        Args:
            overrides: Of the preset.
            shape: Of an image, (C, H, W).
            device: Where to train; None for the bench's own.
            channels_last: See `Mode`.
        """
        worker = Worker(0, 1, device or self.device)
        training = Training(self.experiment(*overrides), synthetic_dataset(shape), worker)
        if channels_last:
            for network in (training.step.generator, training.step.discriminator):
                network.to(memory_format=torch.channels_last)
        return training

    def time(self, call: Callable[[], object], repeats: int) -> tuple[float, float]:
        """Return the seconds a call takes, and those until the host has enqueued it."""
        call()
        self.wait()
        started = time.perf_counter()
        for _ in range(repeats):
            call()
        host = time.perf_counter() - started
        self.wait()
        return (time.perf_counter() - started) / repeats, host / repeats


@contextmanager
def allow_tf32(on: bool) -> Iterator[None]:
    """Let matrix products and convolutions compute in TF32, or not."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = on
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


@contextmanager
def deterministic_cudnn(on: bool = True) -> Iterator[None]:
    """Let cuDNN choose among deterministic algorithms only, or among all."""
    torch.backends.cudnn.deterministic = on
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = False


def run_updates(training: Training, count: int) -> Training:
    """Make so many updates; return the training."""
    for _ in range(count):
        training.update()
    return training


def tensors_of(state: Any, path: str = "") -> dict[str, Tensor]:
    """Return all tensors of nested dicts and lists by path."""
    if isinstance(state, Tensor):
        return {path: state}
    if isinstance(state, dict):
        items = list(state.items())
    else:
        items = list(enumerate(state)) if isinstance(state, list | tuple) else []
    return {k: v for key, value in items for k, v in tensors_of(value, f"{path}/{key}").items()}


def digests(state: Any) -> dict[str, str]:
    """Return a hash of each tensor's bytes by path."""
    found = {}
    for path, tensor in tensors_of(state).items():
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        found[path] = hashlib.sha1(values.numpy().tobytes()).hexdigest()[:12]
    return found


def differing(one: Any, other: Any) -> list[str]:
    """Return the paths of the tensors that differ in any bit."""
    ours, theirs = digests(one), digests(other)
    return [path for path in ours if ours[path] != theirs[path]]


def failure(error: Exception) -> Result:
    """Return what is told of an error."""
    lines = traceback.format_exception(error)
    where = "".join(lines).splitlines()[-8:-1]
    return {"error": f"{type(error).__name__}: {str(error)[:400]}", "where": where}
