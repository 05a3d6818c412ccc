"""The last screen of `ssgan search`: what won, by how much, where it is, how to look at it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ssgan.base.formatting import spell_all
from ssgan.cli.screen import duration, program, table
from ssgan.cli.train_summary import aligned, more_samples, short, show_tracking
from ssgan.evaluation.catalog import HEADLINES, METRICS
from ssgan.records.searchdir import BEST, SearchDir


def last_screen(search: SearchDir, summary: Mapping[str, Any]) -> Any:
    """Lay out what a search reached.

    Args:
        search: The search directory.
        summary: Content of its summary.json.

    Returns:
        Something that a rich console prints.
    """
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    parts: list[Any] = [Rule(f"ssgan: {search.info.name}", align="left")]
    if summary["configurations"]:
        parts.append(_configurations(summary))
    failed = [row for row in search.rows() if row.status == "FAILED"]
    parts += [Text(f"  {row.trial} failed: {row.reason}", style="red") for row in failed]
    if failed:
        parts.append(Text(""))
    parts += aligned(_reached(summary))
    parts.append(Text(""))
    parts += aligned(_places(search, summary))
    parts.append(Text(""))
    parts += aligned(_next(search, summary))
    return Group(*parts)


def _configurations(summary: Mapping[str, Any]) -> Any:
    """Draw the table of what stage two, or stage one where there was no other, compared."""
    metric = summary["metric"]
    shown = table(f"{metric} ", "spread ", "seeds ", "trial", "values")
    for line in summary["configurations"]:
        shown.add_row(
            "none" if line["mean"] is None else f"{line['mean']:.4f}",
            "" if line["spread"] is None else f"{line['spread']:.4f}",
            str(line["n"]),
            line["trial"],
            spell_all(line["values"]),
        )
    return shown


def _reached(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    ended = f"{summary['stopped_early']} stopped early, {summary['failed']} failed"
    rows = [("trials", str(summary["trials"]), ended)]
    rows += [
        (METRICS[name].title, f"{summary[name]:.4f}", "of the registered run")
        for name in HEADLINES
        if summary.get(name) is not None
    ]
    images = f"{summary['images_in_all']:,} images"
    rows.append(("time", duration(summary["seconds"]), f"{images} over all trials"))
    return rows


def _places(search: SearchDir, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("search", short(search.location))]
    names = {"samples": "samples_ema.png", "all trials": "contact-sheet.html"}
    for title, file in names.items():
        if search.exists(f"report/{file}"):
            rows.append((title, short(search.locate(f"report/{file}"))))
    if summary.get("export"):
        rows.append(("export", short(search.locate("export"))))
    if summary.get("model"):
        champion = ", the champion" if summary["champion"] else ""
        rows.append(("model", f"{summary['model']}, version {summary['model_version']}{champion}"))
    return rows


def _next(search: SearchDir, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = more_samples(summary, search)
    if search.exists(BEST):
        best = shlex.quote(short(search.locate(BEST)))
        rows.append(("train the best", f"{program('ssgan')} train {best}"))
    rows.append(("compare trials", show_tracking(str(summary["tracking_uri"]))))
    return rows
