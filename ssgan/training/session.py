"""The training loop's interface to its runtime: where to resume, where to report.

The loop is the same in one process, as a worker of Ray Train and as a trial of Ray Tune. Ray gets
*pointer checkpoints*: a folder with one JSON file that names a checkpoint in a run directory, which
still owns the weights. Ray is imported only by the sessions that need it.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ssgan.base.errors import CorruptFile

Metrics = Mapping[str, float | None]
"""Flat metric names to values; None where a metric has no value."""

_POINTER = "pointer.json"
_FORMAT = "ssgan-pointer-1"


class Session(Protocol):
    """The two calls that a loop makes to its runtime."""

    def restore(self) -> str | None:
        """Return the address of the checkpoint to resume from, or None to start from scratch.

        It is the same on every rank; `ssgan.records.resume.restore` reads it.
        """

    def report(self, metrics: Metrics, checkpoint: str | None = None) -> None:
        """Report an epoch's metrics. Every rank calls this, once an epoch.

        Args:
            metrics: The epoch's metrics; those of rank 0 count.
            checkpoint: Address of the checkpoint that was saved, on rank 0; None elsewhere.
        """


class InProcess:
    """One worker in this process, without Ray.

    Args:
        start: Address of the checkpoint to resume from.
        listener: Called with the metrics of every epoch.
    """

    def __init__(
        self, start: str | None = None, listener: Callable[[Metrics], None] | None = None
    ) -> None:
        self._start = start
        self._listener = listener

    def restore(self) -> str | None:
        return self._start

    def report(self, metrics: Metrics, checkpoint: str | None = None) -> None:
        if self._listener is not None:
            self._listener(metrics)


class _Ray:
    """A session of Ray, whose modules `ray.train` and `ray.tune` have the same two functions.

    Args:
        start: Address of the checkpoint to resume from while Ray has none of this run.
    """

    def __init__(self, start: str | None = None) -> None:
        self._start = start

    def _module(self) -> Any:
        raise NotImplementedError

    def restore(self) -> str | None:
        checkpoint = self._module().get_checkpoint()
        return self._start if checkpoint is None else read_pointer(checkpoint)

    def report(self, metrics: Metrics, checkpoint: str | None = None) -> None:
        ray = self._module()
        if checkpoint is None:
            ray.report(dict(metrics))
            return
        with tempfile.TemporaryDirectory() as folder:
            write_pointer(Path(folder), checkpoint)
            ray.report(dict(metrics), checkpoint=ray.Checkpoint.from_directory(folder))


class RayTrain(_Ray):
    """A worker of `ray.train.torch.TorchTrainer`; `report` is a barrier over all workers."""

    def _module(self) -> Any:
        import ray.train

        return ray.train


class RayTune(_Ray):
    """A trial of `ray.tune.Tuner` that is its own single worker."""

    def _module(self) -> Any:
        from ray import tune

        return tune


def write_pointer(folder: Path, checkpoint: str) -> None:
    """Write a pointer to the checkpoint at this address into a local folder."""
    text = json.dumps({"format": _FORMAT, "checkpoint": checkpoint})
    (folder / _POINTER).write_text(text, encoding="utf-8")


def read_pointer(checkpoint: Any) -> str:
    """Return the address that a pointer checkpoint of Ray holds.

    Args:
        checkpoint: A `ray.train.Checkpoint`, on whatever file system.

    Raises:
        CorruptFile: It holds no pointer, or one that cannot be read.
    """
    try:
        with checkpoint.as_directory() as folder:
            pointer = json.loads((Path(folder) / _POINTER).read_text(encoding="utf-8"))
        if pointer["format"] != _FORMAT:
            raise ValueError(f"its format is {pointer['format']!r}, not {_FORMAT!r}")
        return str(pointer["checkpoint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            f"{checkpoint} points at no checkpoint of a run: {error!r}; "
            "resume from the run directory instead"
        ) from error
