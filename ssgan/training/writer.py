"""Writer: commits epochs and checkpoints in order, on a thread, while training goes on."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

_log = logging.getLogger(__name__)


class Writer:
    """Writes what it is handed, one commit after the other.

    One commit at most is on its way: who hands over another waits for the one before, so that
    storage that is too slow for the epochs slows training down and memory does not grow. A failure
    is raised by the next call, and nothing is written after it.

    Use it as a context. Its end waits for all that was handed over.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._jobs: Sequence[Future[Any]] = ()

    def put(self, commit: Callable[[], str], then: Callable[[], object]) -> "Future[str]":
        """Hand over what to write, once the one before it is done, and what to tidy up `then`.

        Returns:
            What `commit` will return; it is there before the tidying begins.

        Raises:
            Exception: What the one before raised.
        """
        self.wait()
        committed = self._pool.submit(commit)
        tidied = self._pool.submit(lambda: committed.exception() is None and then())
        self._jobs = (committed, tidied)
        return committed

    def check(self) -> None:
        """Raise what was raised meanwhile, without waiting."""
        for job in self._jobs:
            if job.done():
                job.result()

    def wait(self) -> None:
        """Wait until all that was handed over is written; raise what was raised meanwhile."""
        for job in self._jobs:
            job.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True)
        if error is None:
            self.wait()
            return
        for job in self._jobs:
            lost = job.exception()
            if lost is not None and lost is not error:
                _log.error("what was trained last could not be written either: %s", lost)
