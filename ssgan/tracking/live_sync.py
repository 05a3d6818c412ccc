"""Live sync: a thread of the driver that keeps MLflow up to date while a run or search trains."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from ssgan.base.errors import BadInput
from ssgan.records.histories import History
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.report.pages import FOLDER, SearchPages
from ssgan.tracking.recorder import Recorder, experiment_of
from ssgan.tracking.search import SearchRecorder
from ssgan.tracking.store import sync_command

_MAX_WAIT = 60.0  # seconds between attempts to reach a dead server
_CLOSING = 25.0  # seconds to draw the pages once more and to send what MLflow lacks of a search
_CROWD = 250  # trials; of more, every sync comes so many times later
_LAST_ATTEMPTS = 3
_PAUSE = 1.0  # seconds between the last attempts
_GIVING_UP = 8.0  # seconds after which there are no more of them
_DRAWING_SHARE = 0.02  # maximum share of the driver's time for drawing pages while trials train
_MIN_DRAWING_PAUSE = 60.0  # seconds from one drawing to the next

_log = logging.getLogger(__name__)


class LiveSync(ABC):
    """Polls a directory and records what is new in MLflow.

    A dead server costs the work nothing: it is tried again, and the directory has everything.
    Use it as a context, or `start` and `close` it. Nothing is contacted before.
    """

    def __init__(self, directory: RunDir | SearchDir, uri: str, interval: float) -> None:
        self._directory = directory
        self._uri = uri
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="mlflow", daemon=True)
        self._down = False
        self._deadline: float | None = None
        self._monitor: SystemMetricsMonitor | None = None
        self.view: str | None = None
        """Path of the experiment's ready view, once MLflow has answered (`view_path`)."""

    @abstractmethod
    def _record(self, status: str, *, is_last: bool) -> str:
        """Bring MLflow up to date, if there is news; say what there was no time for, if any."""

    def _has_time(self) -> bool:
        """Whether to send more: while the work goes on, and for a while after its end."""
        if not self._stop.is_set():
            return True
        return self._deadline is not None and time.monotonic() < self._deadline

    def _measure_machine(self, tracking: Any, mlflow_run_id: str) -> None:
        """Record how busy this machine is, where the configuration of `tracking` says so."""
        wanted = isinstance(tracking, Mapping) and tracking.get("system_metrics") is True
        if wanted and self._monitor is None and not self._stop.is_set():
            monitor = SystemMetricsMonitor(
                mlflow_run_id, resume_logging=True, tracking_uri=self._uri
            )
            monitor.start()
            self._monitor = monitor

    def start(self) -> Self:
        """Start to poll."""
        self._thread.start()
        return self

    def close(self, status: str | None = None) -> bool:
        """Stop polling, record the rest, and return whether MLflow has it all.

        Else a warning says what is missing and names the command that catches up: a server that is
        slow holds nobody up for long. MLflow's status is FINISHED by default where there is a
        summary, else FAILED.
        """
        began = time.monotonic()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
        self._deadline = time.monotonic() + _CLOSING
        directory = self._directory
        status = status or ("FINISHED" if directory.summary() is not None else "FAILED")
        for attempt in range(_LAST_ATTEMPTS):
            if self._down and time.monotonic() - began > _GIVING_UP:
                break
            if attempt:
                time.sleep(_PAUSE)
            missing = self._try(status, is_last=True)
            if missing == "":
                return True
            if missing is not None:
                _log.warning(
                    "%s of the %s are not in MLflow yet, which is slower than the trials; send "
                    "them with: %s",
                    *(missing, directory.what, sync_command(directory.location, self._uri)),
                )
                return False
        _log.warning(
            "the %s is not in MLflow yet; once %s answers: %s",
            *(directory.what, self._uri, sync_command(directory.location, self._uri)),
        )
        return False

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
            longer = min(2 * max(wait, self._interval), _MAX_WAIT)
            wait = longer if self._try("RUNNING", is_last=False) is None else self._interval

    def _try(self, status: str, *, is_last: bool) -> str | None:
        """Return what there was no time for, or None where MLflow does not answer."""
        try:
            missing = self._record(status, is_last=is_last)
        # Whatever it is, it must not end work that goes well: the directory has everything.
        except Exception as error:
            if not self._down:
                _log.warning(
                    "cannot record in MLflow at %s (%s); training continues, and I keep trying",
                    self._uri,
                    str(error).partition("\n")[0][:200],
                    exc_info=not isinstance(error, MlflowException | BadInput | OSError),
                )
            self._down = True
            return None
        if self._down:
            _log.warning("MLflow at %s answers again; nothing is missing there", self._uri)
        self._down = False
        return missing


class RunSync(LiveSync):
    """Live sync of a run directory, looked at every `interval` seconds."""

    def __init__(self, run: RunDir, uri: str, *, interval: float = 5.0) -> None:
        """Raise `BadInput` where there can be no MLflow store at that URI."""
        super().__init__(run, uri, interval)
        self._run = run
        self._recorder = Recorder(uri, experiment_of(run))
        self._tracking = run.definition_tree().get("tracking")
        self._seen: list[str] | None = None

    def _record(self, status: str, *, is_last: bool) -> str:
        seen = self._run.list("record")
        if is_last or seen != self._seen:
            sent = self._recorder.sync(self._run, status=status)
            self.view = sent.view
            self._measure_machine(self._tracking, sent.mlflow_run_id)
            self._seen = seen
        return ""


class SearchSync(LiveSync):
    """Live sync of a search directory, whose pages are drawn from time to time.

    They are in the directory's folder `report` even where MLflow does not answer.
    """

    def __init__(self, search: SearchDir, uri: str, *, interval: float = 5.0) -> None:
        """Raise `BadInput` where there can be no MLflow store at that URI."""
        super().__init__(search, uri, interval)
        self._shortest = interval
        self._search = search
        self._recorder = SearchRecorder(search, uri)
        base = search.definition_tree().get("base")
        self._tracking = base.get("tracking") if isinstance(base, Mapping) else None
        self._pages = SearchPages()
        self._drawn: dict[str, bytes] = {}
        self._shown: dict[str, bytes] | None = None
        self._drawn_rows: tuple[TrialRow, ...] | None = None
        self._next_drawing = 0.0
        self._seen: tuple[TrialRow, ...] | None = None

    def _record(self, status: str, *, is_last: bool) -> str:
        rows = tuple(self._search.rows())
        self._interval = self._shortest * max(1.0, len(rows) / _CROWD)
        is_due = is_last or time.monotonic() >= self._next_drawing
        draws = is_due and bool(rows) and rows != self._drawn_rows
        if not (is_last or draws or rows != self._seen):
            return ""
        histories = self._recorder.read(rows)
        if draws:
            self._draw(rows, histories)
        sent = self._recorder.sync(
            status=status,
            histories=histories,
            pages=(self._drawn or None) if is_last or self._drawn is not self._shown else None,
            has_time=self._has_time,
        )
        self.view = sent.view
        self._measure_machine(self._tracking, sent.mlflow_run_id)
        self._shown = self._drawn
        self._seen = None if sent.missing else rows
        return f"news of {sent.missing} of {sent.trials} trials" if sent.missing else ""

    def _draw(self, rows: tuple[TrialRow, ...], histories: list[History]) -> None:
        began = time.monotonic()
        try:
            self._drawn = self._pages.draw(self._search, histories)
            for name, content in self._drawn.items():
                self._search.write_bytes(f"{FOLDER}/{name}", content)
        except Exception:  # whatever it is, the numbers must reach MLflow all the same
            _log.warning("cannot draw the report of %s", self._search.location, exc_info=True)
        self._drawn_rows = rows
        now = time.monotonic()
        self._next_drawing = now + max(_MIN_DRAWING_PAUSE, (now - began) / _DRAWING_SHARE)
