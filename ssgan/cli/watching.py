"""What `ssgan train` shows while it runs: a bar, and a line for every epoch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ssgan.cli.screen import Bar, progress, say

if TYPE_CHECKING:
    from ssgan.experiment import Experiment
    from ssgan.loop import Progress, Watch
    from ssgan.rundir import Record


@contextmanager
def watched(experiment: "Experiment") -> Iterator["Watch"]:
    """Show a training run until it ends; the watch is for `ssgan.launch.train`."""
    from ssgan.loop import Watch

    with progress(f"training {experiment.name}") as bar:
        yield Watch(progress=_Screen(bar, experiment.training.epochs).see)


class _Screen:
    def __init__(self, bar: Bar, epochs: int) -> None:
        self._bar = bar
        self._epochs = epochs
        self._alarms: set[str] = set()

    def see(self, now: "Progress") -> None:
        """Take one report of the loop."""
        size = now.images_per_step
        self._bar.advance(now.step * size, now.steps * size)
        if now.record is not None:
            self._bar.note(epoch_line(now.record, self._epochs))
            for alarm in now.record.alarms:
                if alarm not in self._alarms:
                    self._alarms.add(alarm)
                    say(f"alarm: {alarm}", style="yellow")


def epoch_line(record: "Record", epochs: int) -> str:
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
