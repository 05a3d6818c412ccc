"""Live sync: a thread of the driver that keeps MLflow up to date while a run or search trains."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from mlflow.exceptions import MlflowException

from ssgan.records.histories import History
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.report.pages import FOLDER, SearchPages
from ssgan.tracking.recorder import Recorder, SyncResult, experiment_of
from ssgan.tracking.search import SearchRecorder, SearchSyncResult

_MAX_WAIT = 60.0  # seconds between attempts to reach a dead server
_LAST_ATTEMPTS = 3
_PAUSE = 1.0  # seconds between the last attempts
_DRAWING_SHARE = 0.02  # maximum share of the driver's time for drawing pages while trials train
_MIN_DRAWING_PAUSE = 60.0  # seconds from one drawing to the next

_log = logging.getLogger(__name__)

Synced = TypeVar("Synced")


class LiveSync(ABC, Generic[Synced]):
    """Polls a directory and records what is new in MLflow.

    A dead server costs the work nothing: it is tried again, and the directory has everything.
    Use it as a context, or `start` and `close` it.
    """

    what: ClassVar[str]
    """What the directory records, in a word."""

    def __init__(self, uri: str, location: str, interval: float) -> None:
        self._uri = uri
        self._location = location
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="mlflow", daemon=True)
        self._down = False

    @abstractmethod
    def _record(self, status: str, *, is_last: bool) -> Synced:
        """Bring MLflow up to date."""

    @abstractmethod
    def _is_over(self) -> bool:
        """Whether the directory says that the work has come to its end."""

    def start(self) -> Self:
        """Start to poll."""
        self._thread.start()
        return self

    def close(self, status: str | None = None) -> Synced | None:
        """Stop polling, and record the rest.

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
            if synced := self._try(status, is_last=True):
                return synced
        _log.warning(
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

    def _poll(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            if self._try("RUNNING", is_last=False):
                wait = self._interval
            else:
                wait = min(2 * max(wait, self._interval), _MAX_WAIT)

    def _try(self, status: str, *, is_last: bool) -> Synced | None:
        """Record once; None where that failed."""
        try:
            synced = self._record(status, is_last=is_last)
        # Whatever it is, it must not end work that goes well: the directory has everything.
        except Exception as error:
            if not self._down:
                _log.warning(
                    "cannot record in MLflow at %s (%s); training continues, and I keep trying",
                    self._uri,
                    str(error).partition("\n")[0][:200],
                    exc_info=not isinstance(error, MlflowException),
                )
            self._down = True
            return None
        if self._down:
            _log.warning("MLflow at %s answers again; nothing is missing there", self._uri)
        self._down = False
        return synced


class RunSync(LiveSync[SyncResult]):
    """Live sync of a run directory."""

    what = "run"

    def __init__(
        self,
        run: RunDir,
        uri: str,
        experiment_name: str | None = None,
        *,
        interval: float = 5.0,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Name the run and the store; nothing is contacted yet.

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
        self._last: SyncResult | None = None

    def _record(self, status: str, *, is_last: bool) -> SyncResult:
        """Sync, if there is news."""
        seen = self._run.list("record")
        if is_last or self._last is None or seen != self._seen:
            self._last = self._recorder.sync(self._run, status=status, tags=self._tags)
            self._seen = seen
        return self._last

    def _is_over(self) -> bool:
        return self._run.summary() is not None


class SearchSync(LiveSync[SearchSyncResult]):
    """Live sync of a search directory, whose pages are drawn from time to time.

    They are in the directory's folder `report` even where MLflow does not answer.
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
        """Name the search and the store; nothing is contacted yet.

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
        self._pages = SearchPages()
        self._drawn: dict[str, bytes] = {}
        self._drawn_rows: tuple[TrialRow, ...] | None = None
        self._next_drawing = 0.0
        self._seen: tuple[TrialRow, ...] | None = None
        self._last: SearchSyncResult | None = None

    def _record(self, status: str, *, is_last: bool) -> SearchSyncResult:
        """Draw, if that is due, and sync, if there is news."""
        rows = tuple(self._search.rows())
        is_due = is_last or time.monotonic() >= self._next_drawing
        draws = is_due and bool(rows) and rows != self._drawn_rows
        if self._last is not None and not (is_last or draws or rows != self._seen):
            return self._last
        histories = self._recorder.read(rows)
        if draws:
            self._draw(rows, histories)
        self._last = self._recorder.sync(
            status=status, histories=histories, pages=self._drawn or None
        )
        self._seen = rows
        return self._last

    def _draw(self, rows: tuple[TrialRow, ...], histories: list[History]) -> None:
        began = time.monotonic()
        try:
            self._drawn = self._pages.draw(self._search, histories)
            for name, content in self._drawn.items():
                self._search.write_bytes(f"{FOLDER}/{name}", content)
        except Exception:  # whatever it is, the numbers must reach MLflow all the same
            _log.warning("cannot draw the report of %s", self._location, exc_info=True)
        self._drawn_rows = rows
        now = time.monotonic()
        self._next_drawing = now + max(_MIN_DRAWING_PAUSE, (now - began) / _DRAWING_SHARE)

    def _is_over(self) -> bool:
        return self._search.summary() is not None
