"""The last screen of `ssgan train`: what was reached, where it is, how to look at it."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssgan.cli.screen import duration, program
from ssgan.evaluation.catalog import HEADLINES, MAIN, METRICS
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir


def last_screen(summary: Mapping[str, Any], run_dir: str) -> Any:
    """Lay out what a run reached.

    Args:
        summary: Content of summary.json.
        run_dir: The run directory.

    Returns:
        Something that a rich console prints.
    """
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    run = RunDir(run_dir)
    records = run.records()
    lines: list[Any] = [Rule(f"ssgan: {run.info.name}", align="left")]
    lines.extend(aligned(_reached(summary, records[-1] if records else None)))
    alarms = records[-1].alarms if records else ()
    lines.extend(Text(f"  alarm: {alarm}", style="yellow") for alarm in alarms)
    lines.append(Text(""))
    lines.extend(aligned(_places(run, records)))
    lines.append(Text(""))
    lines.extend(aligned(_next(summary, run)))
    return Group(*lines)


def aligned(rows: Sequence[tuple[str, ...]]) -> list[Any]:
    """Lay rows out in columns without cutting any: commands must stay whole to be copied."""
    from rich.text import Text

    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        Text(
            "  " + "  ".join(map(str.ljust, row, widths)).rstrip(), no_wrap=True, overflow="ignore"
        )
        for row in rows
    ]


def _reached(summary: Mapping[str, Any], record: Record | None) -> list[tuple[str, str, str]]:
    metrics = record.metrics if record is not None else {}
    values = {name: summary.get(name) for name in HEADLINES}
    values |= {name: metrics.get(name) for name in ("judge_error", "diversity")}
    rows = [
        (METRICS[name].title, f"{value:.4f}", METRICS[name].meaning)
        for name, value in values.items()
        if value is not None
    ]
    if values[MAIN] is None:
        reasons = record.reasons if record is not None else {}
        rows.append((METRICS[MAIN].title, "none", reasons.get(MAIN, "not evaluated")))
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


def _places(run: RunDir, records: Sequence[Record]) -> list[tuple[str, str]]:
    rows = [("run", short(run.location))]
    pictured = next((record for record in reversed(records) if record.images), None)
    figures = run.list("figures")
    if "figures/samples_ema.png" in figures:
        rows.append(("samples", short(run.locate("figures/samples_ema.png"))))
    elif pictured is not None:
        rows.append(("samples", short(run.locate(next(iter(pictured.images.values()))))))
    if figures:
        rows.append(("figures", short(run.locate("figures"))))
    if run.list("export"):
        rows.append(("export", short(run.locate("export"))))
    return rows


def _next(summary: Mapping[str, Any], run: RunDir) -> list[tuple[str, str]]:
    rows = more_samples(summary, run)
    if summary.get("tracking_uri"):
        rows.append(("all runs", show_tracking(str(summary["tracking_uri"]))))
    place = shlex.quote(short(run.location))
    longer = 2 * int(summary.get("epochs") or 1)
    rows.append(("go on", f"{program('ssgan')} train --resume {place} training.epochs={longer}"))
    return rows


def more_samples(summary: Mapping[str, Any], record: RunDir | SearchDir) -> list[tuple[str, str]]:
    """Return the command that samples an export, in a row; none where there is no export."""
    if not summary.get("export"):
        return []
    place = shlex.quote(short(record.location))
    return [("more samples", f"{program('ssgan')} sample {place} {_example(record)}".rstrip())]


def show_tracking(uri: str) -> str:
    """Return the command that shows what MLflow recorded, or the address to open."""
    from ssgan.tracking import ui_command

    command = ui_command(uri)
    if command.startswith("mlflow "):
        return program("mlflow") + command.removeprefix("mlflow")
    return f"open {command}"


def _example(record: RunDir | SearchDir) -> str:
    """Return arguments of `ssgan sample` that suit the codes."""
    from ssgan.export import NamedGenerator

    folder = record.local_path
    if folder is None:
        return ""
    knobs = [knob for knob in NamedGenerator.load(folder).codes if knob.supervised]
    named = [knob for knob in knobs if knob.classes]
    if not named:
        return "-n 16"
    value = "7" if "7" in named[0].classes else named[0].classes[-1]
    return f"{shlex.quote(f'{named[0].name}={value}')} -n 16"


def short(location: str) -> str:
    """Write a path relative to the working directory where that is shorter."""
    if "://" in location:
        return location
    relative = os.path.relpath(location)
    return relative if len(relative) < len(location) else str(Path(location))
