"""What `ssgan train` shows while it runs: a bar for each stage, and a line for every epoch."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from ssgan.cli.screen import Advance, progress, say

if TYPE_CHECKING:
    from ssgan.experiment.tree import Experiment
    from ssgan.launch.preparation import Stage
    from ssgan.records.rundir import Record
    from ssgan.training.loop import Progress, Watch


class Watching(NamedTuple):
    """What a run is watched by."""

    watch: Watch
    """For the training loop."""
    stage: Stage
    """For what comes before it."""


@contextmanager
def watched(experiment: Experiment) -> Iterator[Watching]:
    """Show a training run until it ends; the pair is for `ssgan.launch.train`."""
    from ssgan.training.loop import Watch

    screen = _Screen(experiment)
    try:
        with _stop_on_interrupt(lambda: screen.trains) as stop:
            yield Watching(Watch(progress=screen.see, stop=stop), screen.prepare)
    finally:
        screen.close()


_STOPPING = b"\nstopping with a checkpoint; press Ctrl-C again to stop at once\n"


@contextmanager
def _stop_on_interrupt(trains: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C stop the training with a checkpoint; a second one ends it at once."""
    from ssgan.launch.signals import handling

    raised = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if raised.is_set() or not trains():
            raise KeyboardInterrupt
        raised.set()
        os.write(2, _STOPPING)  # not through rich: the signal may have come while it prints

    with handling(signal.SIGINT, handle):
        yield raised.is_set


class _Screen:
    """The bar of the current stage.

    Attributes:
        trains: Whether training has begun, so that there is something to save.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._title = ""
        self._advance: Advance | None = None
        self._open = ExitStack()
        self._alarms: set[str] = set()
        self.trains = False

    def prepare(self, title: str, done: int, total: int, unit: str) -> None:
        """Take one report of the preparation; this is a `Stage`."""
        self._bar(title, unit)(done, total)

    def see(self, now: Progress) -> None:
        """Take one report of the loop."""
        self.trains = True
        size = now.images_per_update
        self._bar(f"training {self._experiment.name}")(now.updates * size, now.total_updates * size)
        if now.record is not None:
            say(epoch_line(now.record, self._experiment.training.epochs))
            for alarm in now.record.alarms:
                kind = re.sub(r"[\d.]+", "", alarm)  # the same again with other numbers
                if kind not in self._alarms:
                    self._alarms.add(kind)
                    say(f"alarm: {alarm}", style="yellow")

    def close(self) -> None:
        """Take the bar away."""
        self._open.close()

    def _bar(self, title: str, unit: str = "images") -> Advance:
        """Return the bar of a stage; the one before it is taken away."""
        if self._advance is None or title != self._title:
            self._open.close()
            self._title = title
            self._advance = self._open.enter_context(progress(title, unit))
        return self._advance


def epoch_line(record: Record, epochs: int) -> str:
    """Say in one line what an epoch reached."""
    metrics = record.metrics
    parts = [f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}"]
    raw, ema = metrics.get("zero_one_loss"), metrics.get("zero_one_loss_ema")
    if raw is not None and ema is not None:
        parts.append(f"0-1 loss {raw:.3f}, EMA {ema:.3f}")
    accuracy = metrics.get("q_ss_accuracy")
    if accuracy is not None:
        parts.append(f"Q_ss {accuracy:.1%}")
    probability = metrics.get("label_probability")
    if probability is not None:
        parts.append(f"labels drawn {probability:.0%}")
    speed = metrics.get("images_per_second")
    if speed is not None:
        parts.append(f"{speed:,.0f} images/s")
    return "  ".join(parts)
