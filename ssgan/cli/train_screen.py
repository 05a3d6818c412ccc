"""What `ssgan train` shows: a bar and a line for every epoch, at the end what was reached."""

from __future__ import annotations

import os
import re
import shlex
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from ssgan.cli.screen import Screen, aligned, duration, last_screen, places, program, say, short
from ssgan.evaluation.catalog import HEADLINES, MAIN, METRICS

if TYPE_CHECKING:
    from ssgan.experiment.tree import Experiment
    from ssgan.records.rundir import Record, RunDir
    from ssgan.records.searchdir import SearchDir
    from ssgan.training.loop import Progress, Watch

_FILES = {"samples": "figures/samples_ema.png", "figures": "figures", "export": "export"}
_STOPPING = b"\nstopping with a checkpoint; press Ctrl-C again to stop at once\n"


class TrainScreen(Screen):
    """The screen of a training: a bar for each stage, lines for epochs and alarms."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self._experiment = experiment
        self._alarms: set[str] = set()
        self._trains = False

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Yield what the training loop is watched by.

        The first Ctrl-C stops the training with a checkpoint, a second one, or one before there is
        anything to save, ends it at once.
        """
        from ssgan.launch.signals import handling
        from ssgan.training.loop import Watch

        raised = threading.Event()

        def handle(number: int, frame: FrameType | None) -> None:
            if raised.is_set() or not self._trains:
                raise KeyboardInterrupt
            raised.set()
            os.write(2, _STOPPING)  # not through rich: the signal may have come while it prints

        with handling(signal.SIGINT, handle):
            yield Watch(progress=self.see, stop=raised.is_set)

    def see(self, now: Progress) -> None:
        """Take one report of the loop."""
        self._trains = True
        size, title = now.images_per_update, f"training {self._experiment.name}"
        self.prepare(title, now.updates * size, now.total_updates * size)
        if now.record is not None:
            say(epoch_line(now.record, self._experiment.training.epochs))
            for alarm in now.record.alarms:
                kind = re.sub(r"[\d.]+", "", alarm)  # the same again with other numbers
                if kind not in self._alarms:
                    self._alarms.add(kind)
                    say(f"alarm: {alarm}", style="yellow")


def epoch_line(record: Record, epochs: int) -> str:
    """Say in one line what an epoch reached."""
    metrics = record.metrics
    parts = [f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}"]
    raw, ema = metrics.get("zero_one_loss"), metrics.get("zero_one_loss_ema")
    if raw is not None and ema is not None:
        parts.append(f"0-1 loss {raw:.3f}, EMA {ema:.3f}")
    formats = {
        "q_ss_accuracy": "Q_ss {:.1%}",
        "label_probability": "labels drawn {:.0%}",
        "images_per_second": "{:,.0f} images/s",
    }
    for name, text in formats.items():
        if (value := metrics.get(name)) is not None:
            parts.append(text.format(value))
    return "  ".join(parts)


def train_summary(summary: Mapping[str, Any], run_dir: str, view: str | None = None) -> Any:
    """Lay out what a run and its summary.json say was reached, for a rich console.

    The view is the path of its experiment in MLflow.
    """
    from rich.text import Text

    from ssgan.records.rundir import RunDir

    run = RunDir(run_dir)
    records = run.records()
    last = records[-1] if records else None
    alarms = [Text(f"  alarm: {one}", style="yellow") for one in (last.alarms if last else ())]
    return last_screen(
        run.info.name,
        aligned(_reached(summary, last)) + alarms,
        aligned(places(run, _FILES)),
        aligned(_next(summary, run, view)),
    )


def scores(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return rows of metrics by their names in the catalog; those without a value are left out."""
    return [
        (METRICS[name].title, f"{value:.4f}", METRICS[name].meaning)
        for name, value in values.items()
        if value is not None
    ]


def more_samples(summary: Mapping[str, Any], record: RunDir | SearchDir) -> list[tuple[str, str]]:
    """Return the command that samples an export, as a row; nothing where there is no export."""
    if not summary.get("export"):
        return []
    place = shlex.quote(short(record.location))
    return [("more samples", f"{program('ssgan')} sample {place} {_example(record)}".rstrip())]


def show_tracking(title: str, uri: str, views: Iterable[str]) -> list[tuple[str, str]]:
    """Return how to look at what MLflow recorded, as rows.

    A server's address is opened as it is; of a file a command is first. Then come the addresses of
    the experiments with such paths.
    """
    from ssgan.tracking.store import ui_address, ui_command

    command, address = ui_command(uri), ui_address(uri)
    said = [f"open {address}{view}" for view in dict.fromkeys(views)]
    if command.startswith("mlflow "):
        said = [program("mlflow") + command.removeprefix("mlflow"), *(f"and {one}" for one in said)]
    return list(zip([title, *[""] * len(said)], said or [f"open {address}"], strict=False))


def _reached(summary: Mapping[str, Any], record: Record | None) -> list[tuple[str, str, str]]:
    metrics = record.metrics if record is not None else {}
    values = {name: summary.get(name) for name in HEADLINES}
    rows = scores(values | {name: metrics.get(name) for name in ("judge_error", "diversity")})
    if values[MAIN] is None:
        reasons = record.reasons if record is not None else {}
        rows.append((METRICS[MAIN].title, "none", reasons.get(MAIN, "not evaluated")))
    rows.append(("alarms", str(len(record.alarms) if record is not None else 0), ""))
    if summary.get("images_per_second") is not None:
        seen = f"{summary.get('images_seen', 0):,} images in {summary.get('epochs')} epochs"
        if summary.get("seconds") is not None:
            seen += f", {duration(summary['seconds'])} in all"
        rows.append(("speed", f"{summary['images_per_second']:,.0f} images/s", seen))
    if summary.get("stop_reason"):
        rows.append(("stopped", str(summary["stop_reason"]), ""))
    return rows


def _next(summary: Mapping[str, Any], run: RunDir, view: str | None) -> list[tuple[str, str]]:
    rows = more_samples(summary, run)
    if summary.get("tracking_uri"):
        rows += show_tracking("all runs", str(summary["tracking_uri"]), [view] if view else [])
    train = f"{program('ssgan')} train --resume {shlex.quote(short(run.location))}"
    rows.append(("train longer", f"{train} training.epochs={2 * int(summary.get('epochs') or 1)}"))
    return rows


def _example(record: RunDir | SearchDir) -> str:
    from ssgan.export.code_values import describe
    from ssgan.export.format import MANIFEST, parse_manifest

    file = f"export/{MANIFEST}"
    manifest = parse_manifest(record.read_bytes(file), record.locate(file))
    for code in describe(manifest.space):
        if code.supervised and code.classes:
            value = "7" if "7" in code.classes else code.classes[-1]
            return f"{shlex.quote(f'{code.name}={value}')} -n 16"
    return "-n 16"
