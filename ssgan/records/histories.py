"""What each trial of a search went through: its row of the table and its epochs' records."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ssgan.base.errors import CorruptFile
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir, TrialRow

_THREADS = 8  # trials that are read at a time

_log = logging.getLogger(__name__)


class History(NamedTuple):
    """One trial as far as the search has seen it."""

    row: TrialRow
    run: RunDir | None
    """Its run directory, None where it has none (yet)."""
    records: tuple[Record, ...]
    """Its epochs up to the row's, in order. Workers may be ahead of the search, and what they did
    after a stop or before an exploit is not part of the trial."""

    def curve(self, metric: str) -> list[tuple[Record, float]]:
        """Return the epochs at which a metric has a value, with that value."""
        values = ((record, record.metrics.get(metric)) for record in self.records)
        return [(record, value) for record, value in values if value is not None]


class Histories:
    """Reads trials again and again, and each record once.

    A search that is resumed has all of its records to read, many at a time: a store on the network
    answers each after a while.
    """

    def __init__(self) -> None:
        self._runs: dict[str, RunDir] = {}
        self._records: dict[str, dict[int, Record | None]] = {}
        self._exploits: dict[str, int] = {}
        self._read_last: dict[str, History] = {}

    def read(self, search: SearchDir, rows: Sequence[TrialRow] | None = None) -> list[History]:
        """Read the trials of a search, always the same, or of its table where that was read."""
        rows = search.rows() if rows is None else rows
        new = [row for row in rows if not self._is_read(row)]
        with ThreadPoolExecutor(_THREADS, "records") as pool:
            for history in pool.map(lambda row: self._read(search, row), new):
                self._read_last[history.row.run] = history
        return [self._read_last[row.run] for row in rows]

    def _is_read(self, row: TrialRow) -> bool:
        """Whether all that a row says of a trial was read already."""
        last = self._read_last.get(row.run)
        return (
            last is not None
            and last.row is row
            and last.run is not None
            and len(last.records) == row.epoch
        )

    def _read(self, search: SearchDir, row: TrialRow) -> History:
        run = self._runs.get(row.run)
        if run is None:
            if row.status == "PENDING" and not row.epoch:
                return History(row, None, ())
            run = search.run(row)
            if not run.exists("run.json"):
                return History(row, None, ())
            self._runs[row.run] = run
        known = self._records.setdefault(row.run, {})
        # Since it exploited another one, the trial has run the later epochs again.
        new = row.lineage[self._exploits.get(row.run, 0) :]
        kept = min((exploit.epoch for exploit in new), default=row.epoch)
        self._exploits[row.run] = len(row.lineage)
        for epoch in [epoch for epoch in known if new and epoch > kept]:
            del known[epoch]
        for epoch in range(1, row.epoch + 1):
            if epoch in known:
                continue
            try:
                record = run.record(epoch)
            except CorruptFile as error:
                _log.warning("left out of the report: %s", error)
                known[epoch] = None
            else:
                if record is not None:
                    known[epoch] = record
        records = (known.get(epoch) for epoch in range(1, row.epoch + 1))
        return History(row, run, tuple(record for record in records if record is not None))
