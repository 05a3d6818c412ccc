"""The training loop's interface to its runtime: where to resume, where to report.

The loop is the same in one process, as a worker of Ray Train and as a trial of Ray Tune. The run
directory owns the weights. Ray Tune, which lets a trial continue from another's, gets *pointer
checkpoints*: a folder with one JSON file that names a checkpoint in a run directory; so a report to
it waits until that checkpoint is committed. Ray Train needs none: its workers resume from what the
run directory holds. Who runs under Ray passes its module in, so nothing here imports Ray.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from ssgan.base.errors import CorruptFile
from ssgan.base.json_text import read_json

Metrics = Mapping[str, float | None]
"""Flat metric names to values; None where a metric has no value."""
Measure = Callable[[], Metrics]
"""Waits until an epoch is measured, and returns its metrics."""
Commit = Callable[[], str]
"""Waits until an epoch's checkpoint is committed, and returns its address."""

_POINTER = "pointer.json"
_FORMAT = "ssgan-pointer-1"


class Session(Protocol):
    """The two calls that a loop makes to its runtime."""

    def restore(self) -> str | None:
        """Return the address of the checkpoint to resume from, or None to start from scratch.

        Rank 0 asks for all; `ssgan.records.checkpoints.restore` reads it.
        """

    def report(self, metrics: Measure, checkpoint: Commit | None = None) -> None:
        """Hear that an epoch is trained, once an epoch on every rank.

        Rank 0 measures and commits it while training goes on, unless the session waits for either.
        Other ranks know what the training itself says, and have no checkpoint.
        """


class InProcess:
    """One worker in this process, without Ray: nobody is told of epochs."""

    def __init__(self, start: str | None = None) -> None:
        self._start = start

    def restore(self) -> str | None:
        return self._start

    def report(self, metrics: Measure, checkpoint: Commit | None = None) -> None:
        pass


class TrainSession:
    """A worker of `ray.train`, where a report is a barrier over all workers.

    It says no more than that the worker lives: the driver reads the run directory. Whenever the
    workers are started, `start` finds the checkpoint to resume from.
    """

    def __init__(self, train: ModuleType, start: Callable[[], str | None]) -> None:
        self._train = train
        self._start = start

    def restore(self) -> str | None:
        return self._start()

    def report(self, metrics: Measure, checkpoint: Commit | None = None) -> None:
        self._train.report({})


class TuneSession:
    """A trial of `ray.tune` that is its own single worker."""

    def __init__(self, tune: ModuleType) -> None:
        self._tune = tune

    def restore(self) -> str | None:
        checkpoint = self._tune.get_checkpoint()
        return None if checkpoint is None else read_pointer(checkpoint)

    def report(self, metrics: Measure, checkpoint: Commit | None = None) -> None:
        told = dict(metrics())
        if checkpoint is None:
            self._tune.report(told)
            return
        with tempfile.TemporaryDirectory() as folder:
            write_pointer(Path(folder), checkpoint())
            pointer = self._tune.Checkpoint.from_directory(folder)
            self._tune.report(told, checkpoint=pointer)


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
            pointer = read_json((Path(folder) / _POINTER).read_bytes())
        if pointer["format"] != _FORMAT:
            raise ValueError(f"its format is {pointer['format']!r}, not {_FORMAT!r}")
        return str(pointer["checkpoint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            f"{checkpoint} points at no checkpoint of a run: {error!r}; "
            "resume from the run directory instead"
        ) from error
