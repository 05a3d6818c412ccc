"""The last screen of `ssgan train`: what was reached, where it is, how to look at it."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssgan.cli.screen import duration, program
from ssgan.rundir import Record, RunDir


def last_screen(summary: Mapping[str, Any], run_dir: str) -> Any:
    """Lay out what a run reached.

    Args:
        summary: Content of summary.json.
        run_dir: The run directory.

    Returns:
        A rich group of tables and text.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    run = RunDir(run_dir)
    records = run.records()
    where = _short(run.location)
    blocks: list[Any] = [Rule(f"ssgan: {run.info.name}", align="left")]
    for rows in (_reached(summary, records[-1] if records else None), _places(run, records)):
        grid = Table.grid(padding=(0, 2))
        for row in rows:
            grid.add_row(*map(Text, row))
        blocks.append(Padding(grid, (0, 0, 1, 2)))
    alarms = records[-1].alarms if records else ()
    blocks.extend(Text(f"  alarm: {alarm}", style="yellow") for alarm in alarms)
    commands = Table.grid(padding=(0, 2))
    for what, command in _next(summary, run, where):
        commands.add_row(Text(what), Text(command, style="bold", no_wrap=True, overflow="ignore"))
    blocks.append(Padding(commands, (0, 0, 0, 2)))
    return Group(*blocks)


def _reached(summary: Mapping[str, Any], record: Record | None) -> list[tuple[str, str, str]]:
    metrics = record.metrics if record is not None else {}
    rows = []
    names = {"zero_one_loss_ema": "G, moving average (EMA)", "zero_one_loss": "G, raw weights"}
    for key, copy in names.items():
        if summary.get(key) is not None:
            rows.append(("0-1 loss", f"{summary[key]:.4f}", copy))
    error = metrics.get("judge_error")
    if error is not None:
        rows.append(("error of C", f"{error:.4f}", "the judge, on real images it never saw"))
    if summary.get("q_ss_accuracy") is not None:
        rows.append(("Q_ss accuracy", f"{summary['q_ss_accuracy']:.4f}", "on held-out real images"))
    if summary.get("zero_one_loss_ema") is None:
        rows.append(("0-1 loss", "none", "no judge split, or nothing to classify"))
    diversity = metrics.get("diversity")
    if diversity is not None:
        rows.append(("diversity", f"{diversity:.2f}", "within classes; real images have 1"))
    alarms = len(record.alarms) if record is not None else 0
    rows.append(("alarms", str(alarms), ""))
    if summary.get("images_per_second") is not None:
        seen = f"{summary.get('images_seen', 0):,} images in {summary.get('epochs')} epochs"
        if summary.get("seconds") is not None:
            seen += f", {duration(summary['seconds'])} in all"
        rows.append(("speed", f"{summary['images_per_second']:,.0f} images/s", seen))
    if summary.get("stop_reason"):
        rows.append(("stopped", str(summary["stop_reason"]), ""))
    return rows


def _places(run: RunDir, records: Any) -> list[tuple[str, str]]:
    rows = [("run", _short(run.location))]
    pictured = next((record for record in reversed(records) if record.images), None)
    if run.list("figures"):
        rows.append(("figures", f"{_short(run.location)}/figures"))
    if pictured is not None:
        name = next((n for n in pictured.images if n == "samples_ema"), next(iter(pictured.images)))
        rows.append(("samples", f"{_short(run.location)}/{pictured.images[name]}"))
    if run.list("export"):
        rows.append(("export", f"{_short(run.location)}/export"))
    return rows


def _next(summary: Mapping[str, Any], run: RunDir, where: str) -> list[tuple[str, str]]:
    place = shlex.quote(where)
    rows = []
    if summary.get("export"):
        rows.append(("more samples", f"{program('ssgan')} sample {place} {_example(run)}".rstrip()))
    if summary.get("tracking_uri"):
        from ssgan.tracking import ui_command

        command = ui_command(str(summary["tracking_uri"]))
        if command.startswith("mlflow "):
            command = program("mlflow") + command.removeprefix("mlflow")
        rows.append(("all runs", command))
    rows.append(("go on", f"{program('ssgan')} train --resume {place} training.epochs=..."))
    return rows


def _example(run: RunDir) -> str:
    """Return arguments of `ssgan sample` that suit the run's codes."""
    from ssgan.export import NamedGenerator

    folder = run.local_path
    if folder is None:
        return ""
    knobs = [knob for knob in NamedGenerator.load(folder).codes if knob.supervised]
    named = [knob for knob in knobs if knob.classes]
    if not named:
        return "-n 16"
    value = "7" if "7" in named[0].classes else named[0].classes[-1]
    return f"{shlex.quote(f'{named[0].name}={value}')} -n 16"


def _short(location: str) -> str:
    """Write a path relative to the working directory where that is shorter."""
    if "://" in location:
        return location
    relative = os.path.relpath(location)
    return relative if len(relative) < len(location) else str(Path(location))
