"""What `ssgan search` shows while it runs: the table of trials, or a line for each event.

It is drawn from the search directory alone, so what people see is what is recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from ssgan.base.formatting import spell_all
from ssgan.cli.screen import Advance, console, duration, progress, say, table

if TYPE_CHECKING:
    from types import TracebackType

    from ssgan.records.searchdir import SearchDir, TrialRow
    from ssgan.tuning.search import Search

_POLL = 1.0  # seconds between two looks at the table of trials
_ORDER = ("RUNNING", "PAUSED", "PENDING", "FINISHED", "STOPPED", "FAILED")
_STYLES = {"RUNNING": "bold", "STOPPED": "dim", "FAILED": "red", "PENDING": "dim"}
_FRAME = 6  # lines around the rows
_MOST_ROWS = 40


class SearchScreen:
    """The screen of a search: a bar while it is prepared, then the live table.

    Args:
        definition: What is searched.
    """

    def __init__(self, definition: Search) -> None:
        self._experiment = definition.base
        self._metric = definition.metric
        self._sign = 1 if definition.mode == "min" else -1
        self._stage: tuple[str, Any, Advance] | None = None
        self._search: SearchDir | None = None
        self._done = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="screen", daemon=True)
        self._live: Any = None
        self._said: dict[str, TrialRow] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_stage()
        self._done.set()
        if self._follower.is_alive():
            self._follower.join()

    def prepare(self, title: str, done: int, total: int, unit: str) -> None:
        """Show how far the preparation is; this is a `Stage`."""
        if self._stage is None or self._stage[0] != title:
            self._end_stage()
            bar = progress(title, unit)
            self._stage = (title, bar, bar.__enter__())
        self._stage[2](done, total)

    def follow(self, search: SearchDir) -> None:
        """Show the trials of a search from now on."""
        self._end_stage()
        self._search = search
        self._follower.start()

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._stage[1].__exit__(None, None, None)
            self._stage = None

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
        """Read the table; what cannot be read just now is shown as it was."""
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
        """Say as a line what changed: for logs."""
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
        room = max(4, min(_MOST_ROWS, console().height - _FRAME))
        ordered = self._in_order(rows)
        for row in ordered[:room]:
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
        if len(ordered) > room:
            shown.caption = f"and {len(ordered) - room} more"
        return shown

    def _in_order(self, rows: Sequence[TrialRow]) -> list[TrialRow]:
        """Put what runs first, then what is over by its metric, the best first."""

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
