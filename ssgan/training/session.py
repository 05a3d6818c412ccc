"""The training loop's interface to its runtime: where to resume, where to report.

The loop is the same in one process, as a worker of Ray Train and as a trial of Ray Tune. Ray gets
*pointer checkpoints*: a folder with one JSON file that names a checkpoint in a run directory, which
still owns the weights. Who runs under Ray passes its module in, so nothing here imports Ray.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
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

        It is the same on every rank; `ssgan.records.checkpoints.restore` reads it.
        """

    def report(self, metrics: Metrics, checkpoint: str | None = None) -> None:
        """Report an epoch's metrics and its checkpoint's address, once an epoch on every rank.

        The metrics of rank 0 count; on other ranks there is no address.
        """


class InProcess:
    """One worker in this process, without Ray; tells a listener the metrics of every epoch."""

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


class RaySession:
    """A worker of `ray.train`, or a trial of `ray.tune` that is its own single worker.

    Both modules have the same two functions; that of ray.train to report is a barrier over all
    workers. `start` is the checkpoint to resume from while Ray has none of this run.
    """

    def __init__(self, ray: ModuleType, start: str | None = None) -> None:
        self._ray = ray
        self._start = start

    def restore(self) -> str | None:
        checkpoint = self._ray.get_checkpoint()
        return self._start if checkpoint is None else read_pointer(checkpoint)

    def report(self, metrics: Metrics, checkpoint: str | None = None) -> None:
        if checkpoint is None:
            self._ray.report(dict(metrics))
            return
        with tempfile.TemporaryDirectory() as folder:
            write_pointer(Path(folder), checkpoint)
            pointer = self._ray.Checkpoint.from_directory(folder)
            self._ray.report(dict(metrics), checkpoint=pointer)


def write_pointer(folder: Path, checkpoint: str) -> None:
    """Write a pointer to the checkpoint at this address into a local folder."""
    text = json.dumps({"format": _FORMAT, "checkpoint": checkpoint})
    (folder / _POINTER).write_text(text, encoding="utf-8")


def read_pointer(checkpoint: Any) -> str:
    """Return the address that a pointer, a `ray.train.Checkpoint` on any file system, holds.

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
