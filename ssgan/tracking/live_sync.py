"""A thread of the driver that keeps MLflow up to date while something goes on."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Generic, Self, TypeVar

from mlflow.exceptions import MlflowException

from ssgan.records.histories import History
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.report.pages import FOLDER, SearchPages
from ssgan.tracking.facts import experiment_of
from ssgan.tracking.recorder import Recorder, SyncReport
from ssgan.tracking.search import SearchRecorder, SearchReport

_LOG = logging.getLogger(__name__)
_LONGEST_WAIT = 60.0  # seconds between attempts to reach a dead server
_LAST_ATTEMPTS = 3
_PAUSE = 1.0  # seconds between the last attempts

Synced = TypeVar("Synced")


class LiveSync(ABC, Generic[Synced]):
    """Looks at a directory at intervals and records what is new in MLflow.

    A dead server costs the work nothing: it is tried again, and the directory has everything.
    """

    what = "run"
    """What the user is told that this is about."""

    def __init__(self, uri: str, location: str, interval: float) -> None:
        self._uri = uri
        self._location = location
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mlflow", daemon=True)
        self._down = False

    @abstractmethod
    def _record(self, status: str, *, is_last: bool) -> Synced:
        """Bring MLflow up to date."""

    @abstractmethod
    def _is_over(self) -> bool:
        """Whether the directory says that the work has come to its end."""

    def start(self) -> Self:
        """Start to follow."""
        self._thread.start()
        return self

    def close(self, status: str | None = None) -> Synced | None:
        """Stop to follow, and record the rest.

        Args:
            status: MLflow status; by default FINISHED where there is a summary, else FAILED.

        Returns:
            What stands in MLflow, or None where it does not answer; a warning then names the
            command that catches up.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        status = status or ("FINISHED" if self._is_over() else "FAILED")
        for attempt in range(_LAST_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE)
            if report := self._try(status, is_last=True):
                return report
        _LOG.warning(
            "the %s is not in MLflow yet; once %s answers: ssgan track sync %s",
            self.what,
            self._uri,
            self._location,
        )
        return None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        killed = kind is not None and issubclass(kind, KeyboardInterrupt | SystemExit)
        self.close("KILLED" if killed else "FAILED" if kind else None)

    def _follow(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            if self._try("RUNNING", is_last=False):
                wait = self._interval
            else:
                wait = min(2 * max(wait, self._interval), _LONGEST_WAIT)

    def _try(self, status: str, *, is_last: bool) -> Synced | None:
        """Record once; None where that failed."""
        try:
            report = self._record(status, is_last=is_last)
        # Whatever it is, it must not end work that goes well: the directory has everything.
        except Exception as error:
            if not self._down:
                _LOG.warning(
                    "cannot record in MLflow at %s (%s); training goes on and I keep trying",
                    self._uri,
                    str(error).partition("\n")[0][:200],
                    exc_info=not isinstance(error, MlflowException),
                )
            self._down = True
            return None
        if self._down:
            _LOG.warning("MLflow at %s answers again; nothing is missing there", self._uri)
        self._down = False
        return report


class RunSync(LiveSync[SyncReport]):
    """Polls a run directory and records what is new. A dead server costs the run nothing.

    ::

        with RunSync(run, uri):
            ...  # train
    """

    def __init__(
        self,
        run: RunDir,
        uri: str,
        experiment_name: str | None = None,
        *,
        interval: float = 5.0,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Name the run and the store.

        Args:
            run: The run directory.
            uri: MLflow tracking URI.
            experiment_name: MLflow experiment; the run's own by default.
            interval: Seconds between looks at the run directory.
            tags: Further tags of the MLflow run.

        Raises:
            BadInput: There can be no MLflow store at that URI.
        """
        super().__init__(uri, run.location, interval)
        self._run = run
        self._tags = dict(tags or {})
        self._recorder = Recorder(uri, experiment_name or experiment_of(run))
        self._seen: list[str] = []
        self._report: SyncReport | None = None

    def _record(self, status: str, *, is_last: bool) -> SyncReport:
        """Sync; without news the last report stands."""
        seen = self._run.list("record")
        if not is_last and self._report and seen == self._seen:
            return self._report
        report = self._recorder.sync(self._run, status=status, tags=self._tags)
        self._seen, self._report = seen, report
        return report

    def _is_over(self) -> bool:
        return self._run.summary() is not None


_LOG = logging.getLogger(__name__)
_SHARE = 0.02  # of the driver's time, at most, that goes into drawing while trials train
_LEAST_PAUSE = 60.0  # seconds from one drawing to the next


class SearchSync(LiveSync[SearchReport]):
    """Polls a search directory, records what is new, and draws its report from time to time.

    ::

        with SearchSync(search, uri) as follower:
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
        self._report = SearchPages()
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
