"""What `ssgan search` shows: the trials while it runs, at the end what won and where it is.

All of it is drawn from the search directory alone, so what people see is what is recorded.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ssgan.base.formatting import spell_all
from ssgan.cli.screen import (
    Screen,
    aligned,
    console,
    duration,
    last_screen,
    places,
    program,
    say,
    short,
    table,
)
from ssgan.cli.train_screen import more_samples, scores, show_tracking
from ssgan.evaluation.catalog import HEADLINES

if TYPE_CHECKING:
    from ssgan.records.searchdir import SearchDir, TrialRow
    from ssgan.tuning.search import Search

_FILES = {
    "samples": "report/samples_ema.png",
    "all trials": "report/contact-sheet.html",
    "export": "export",
}
_POLL = 1.0  # seconds between two looks at the table of trials
_ORDER = ("RUNNING", "PAUSED", "PENDING", "FINISHED", "STOPPED", "FAILED")
_STYLES = {"RUNNING": "bold", "STOPPED": "dim", "FAILED": "red", "PENDING": "dim"}
_FRAME = 6  # lines around the rows
_MAX_ROWS = 40


class SearchScreen(Screen):
    """The screen of a search: a bar while it is prepared, then the live table.

    Without a terminal it is a line for each event.
    """

    def __init__(self, definition: Search) -> None:
        super().__init__()
        self._experiment = definition.base
        self._metric = definition.metric
        self._sign = 1 if definition.mode == "min" else -1
        self._search: SearchDir | None = None
        self._done = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="screen", daemon=True)
        self._live: Any = None
        self._said: dict[str, TrialRow] = {}

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._done.set()
        if self._follower.is_alive():
            self._follower.join()

    def follow(self, search: SearchDir) -> None:
        """Show the trials of a search from now on."""
        self.close()
        self._search = search
        self._follower.start()

    def _follow(self) -> None:
        rows: Sequence[TrialRow] = ()
        try:
            is_over = False
            while not is_over:
                is_over = self._done.wait(_POLL)
                rows = self._read(rows)
                self._show(rows)
        finally:
            if self._live is not None:
                self._live.stop()

    def _read(self, before: Sequence[TrialRow]) -> Sequence[TrialRow]:
        assert self._search is not None
        try:
            return self._search.rows() or before
        except (OSError, ValueError):
            return before

    def _show(self, rows: Sequence[TrialRow]) -> None:
        if not console().is_terminal:
            self._tell(rows)
            return
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=console(), auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(self._table(rows), refresh=True)

    def _tell(self, rows: Sequence[TrialRow]) -> None:
        for row in rows:
            before = self._said.get(row.trial)
            if before is not None and (before.epoch, before.status) == (row.epoch, row.status):
                continue
            self._said[row.trial] = row
            parts = [f"{row.stage} {row.trial}", row.status.lower(), self._progress(row)]
            if row.metric is not None:
                parts.append(f"{self._metric} {row.metric:.4f}")
            if row.reason and row.status in ("STOPPED", "FAILED"):
                parts.append(row.reason)
            say(", ".join(parts))

    def _table(self, rows: Sequence[TrialRow]) -> Any:
        columns = ("trial", "stage", "status", "epoch ", f"{self._metric} ", "images/s ", "left ")
        over = sum(row.is_over for row in rows)
        shown = table(*columns, "values", title=f"{over} of {len(rows)} trials are over")
        fit = max(4, min(_MAX_ROWS, console().height - _FRAME))
        ordered = self._in_order(rows)
        for row in ordered[:fit]:
            shown.add_row(
                row.trial,
                row.stage,
                row.status.lower(),
                self._progress(row),
                "" if row.metric is None else f"{row.metric:.4f}",
                "" if row.images_per_second is None else f"{row.images_per_second:,.0f}",
                self._left(row),
                spell_all(row.values),
                style=_STYLES.get(row.status),
            )
        if len(ordered) > fit:
            shown.caption = f"and {len(ordered) - fit} more"
        return shown

    def _in_order(self, rows: Sequence[TrialRow]) -> list[TrialRow]:
        def key(row: TrialRow) -> tuple[int, bool, float, str]:
            metric = row.metric if row.is_over else None
            where = min(_ORDER.index(row.status), _ORDER.index("FINISHED"))
            return where, metric is None, self._sign * (metric or 0.0), row.trial

        return sorted(rows, key=key)

    def _progress(self, row: TrialRow) -> str:
        return f"{row.epoch}/{self._experiment.training.epochs}"

    def _left(self, row: TrialRow) -> str:
        if row.status != "RUNNING" or not row.images_per_second:
            return ""
        epochs = self._experiment.training.epochs - row.epoch
        return duration(epochs * self._experiment.images_per_epoch / row.images_per_second)


def search_summary(search: SearchDir, summary: Mapping[str, Any], view: str | None = None) -> Any:
    """Lay out what a search and its summary.json say was reached, for a rich console.

    The view is the path of its experiment in MLflow.
    """
    from rich.text import Text

    failed = [
        Text(f"  {row.trial} failed: {row.reason}", style="red")
        for row in search.rows()
        if row.status == "FAILED"
    ]
    top = [_configurations(summary)] if summary["configurations"] else []
    top += [*failed, ""] if failed else []
    where = places(search, _FILES)
    if summary.get("model"):
        champion = ", the champion" if summary["champion"] else ""
        where.append(("model", f"{summary['model']}, version {summary['model_version']}{champion}"))
    return last_screen(
        search.info.name,
        top + aligned(_reached(summary)),
        aligned(where),
        aligned(_next(search, summary, view)),
    )


def _configurations(summary: Mapping[str, Any]) -> Any:
    shown = table(f"{summary['metric']} ", "spread ", "seeds ", "trial", "values")
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
    images = f"{summary['images_in_all']:,} images over all trials"
    metrics = scores({name: summary.get(name) for name in HEADLINES})
    return [
        ("trials", str(summary["trials"]), ended),
        *((title, value, "of the registered run") for title, value, _ in metrics),
        ("time", duration(summary["seconds"]), images),
    ]


def _next(search: SearchDir, summary: Mapping[str, Any], view: str | None) -> list[tuple[str, str]]:
    from ssgan.records.searchdir import BEST

    rows = more_samples(summary, search)
    if search.exists(BEST):
        best = shlex.quote(short(search.locate(BEST)))
        rows.append(("train the best", f"{program('ssgan')} train {best}"))
    uri, views = str(summary["tracking_uri"]), [view] if view else []
    return rows + show_tracking("compare trials", uri, views)
