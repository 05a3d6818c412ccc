"""A thread of the driver that keeps MLflow up to date while a run goes on."""

import logging
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from mlflow.exceptions import MlflowException

from ssgan.rundir import RunDir
from ssgan.tracking.facts import experiment_of
from ssgan.tracking.recorder import Recorder, SyncReport

_LOG = logging.getLogger(__name__)
_LONGEST_WAIT = 60.0  # seconds between attempts to reach a dead server
_LAST_ATTEMPTS = 3
_PAUSE = 1.0  # seconds between the last attempts


class Follower:
    """Polls a run directory and records what is new. A dead server costs the run nothing.

    ::

        with Follower(run, uri):
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
        self._run = run
        self._uri = uri
        self._tags = dict(tags or {})
        self._recorder = Recorder(uri, experiment_name or experiment_of(run))
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mlflow", daemon=True)
        self._down = False
        self._seen: list[str] = []
        self._report: SyncReport | None = None

    def start(self) -> Self:
        """Start to follow."""
        self._thread.start()
        return self

    def close(self, status: str | None = None) -> SyncReport | None:
        """Stop to follow, and record the rest.

        Args:
            status: MLflow status; by default FINISHED where the run has a summary, else FAILED.

        Returns:
            What stands in MLflow, or None where it does not answer; a warning then names the
            command that catches up.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        status = status or ("FINISHED" if self._run.summary() is not None else "FAILED")
        for attempt in range(_LAST_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE)
            if report := self._sync(status):
                return report
        _LOG.warning(
            "the run is not in MLflow yet; once %s answers: ssgan track sync %s",
            self._uri,
            self._run.location,
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
            if self._sync("RUNNING", only_news=True):
                wait = self._interval
            else:
                wait = min(2 * max(wait, self._interval), _LONGEST_WAIT)

    def _sync(self, status: str, *, only_news: bool = False) -> SyncReport | None:
        """Sync once; None where that failed. Without news the last report stands."""
        try:
            seen = self._run.list("record")
            if only_news and self._report and seen == self._seen:
                return self._report
            report = self._recorder.sync(self._run, status=status, tags=self._tags)
        # Whatever it is, it must not end a run that trains well: the directory has everything.
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
        self._seen, self._report = seen, report
        return report
