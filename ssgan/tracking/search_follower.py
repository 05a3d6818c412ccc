"""MLflow and the report kept up to date with a search while it goes on."""

import logging
import time

from ssgan.report import History, Report
from ssgan.report.pages import FOLDER
from ssgan.searchdir import SearchDir, TrialRow
from ssgan.tracking.following import Following
from ssgan.tracking.search import SearchRecorder, SearchReport

_LOG = logging.getLogger(__name__)
_SHARE = 0.02  # of the driver's time, at most, that goes into drawing while trials train
_LEAST_PAUSE = 60.0  # seconds from one drawing to the next


class SearchFollower(Following[SearchReport]):
    """Polls a search directory, records what is new, and draws its report from time to time.

    ::

        with SearchFollower(search, uri) as follower:
            ...  # tuner.fit(), finals, summary.json

    The report is in the directory's folder `report` even where MLflow does not answer.
    """

    what = "search"

    def __init__(
        self,
        search: SearchDir,
        uri: str,
        experiment_name: str | None = None,
        *,
        interval: float = 5.0,
    ) -> None:
        """Name the search and the store.

        Args:
            search: The search directory.
            uri: MLflow tracking URI.
            experiment_name: MLflow experiment; named as the search by default.
            interval: Seconds between looks at the directory.

        Raises:
            BadInput: There can be no MLflow store at that URI.
        """
        super().__init__(uri, search.location, interval)
        self._search = search
        self._recorder = SearchRecorder(search, uri, experiment_name)
        self._report = Report()
        self._pages: dict[str, bytes] = {}
        self._drawn: tuple[TrialRow, ...] | None = None
        self._next_drawing = 0.0
        self._seen: tuple[TrialRow, ...] | None = None
        self._last: SearchReport | None = None

    def _record(self, status: str, *, is_last: bool) -> SearchReport:
        """Sync; without news the last report stands."""
        rows = tuple(self._search.rows())
        is_due = is_last or time.monotonic() >= self._next_drawing
        has_news = rows != self._seen
        if not is_last and self._last and not has_news and (not is_due or rows == self._drawn):
            return self._last
        histories = self._recorder.read(rows)
        if is_due and rows and rows != self._drawn:
            self._draw(rows, histories)
        report = self._recorder.sync(status=status, histories=histories, report=self._pages or None)
        self._seen, self._last = rows, report
        return report

    def _draw(self, rows: tuple[TrialRow, ...], histories: list[History]) -> None:
        began = time.monotonic()
        try:
            self._pages = self._report.draw(self._search, histories)
            for name, content in self._pages.items():
                self._search.write_bytes(f"{FOLDER}/{name}", content)
        except Exception:  # whatever it is, the numbers must reach MLflow all the same
            _LOG.warning("cannot draw the report of %s", self._location, exc_info=True)
        self._drawn = rows
        now = time.monotonic()
        self._next_drawing = now + max(_LEAST_PAUSE, (now - began) / _SHARE)

    def _is_over(self) -> bool:
        return self._search.summary() is not None
