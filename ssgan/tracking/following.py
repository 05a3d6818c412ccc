"""A thread of the driver that keeps MLflow up to date while something goes on."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Generic, Self, TypeVar

from mlflow.exceptions import MlflowException

_LOG = logging.getLogger(__name__)
_LONGEST_WAIT = 60.0  # seconds between attempts to reach a dead server
_LAST_ATTEMPTS = 3
_PAUSE = 1.0  # seconds between the last attempts

Report = TypeVar("Report")


class Following(ABC, Generic[Report]):
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
    def _record(self, status: str, *, is_last: bool) -> Report:
        """Bring MLflow up to date."""

    @abstractmethod
    def _is_over(self) -> bool:
        """Whether the directory says that the work has come to its end."""

    def start(self) -> Self:
        """Start to follow."""
        self._thread.start()
        return self

    def close(self, status: str | None = None) -> Report | None:
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

    def _try(self, status: str, *, is_last: bool) -> Report | None:
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
