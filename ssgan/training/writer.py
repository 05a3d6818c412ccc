"""Writer: measures and commits epochs and checkpoints in order, on a thread of its own."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

_log = logging.getLogger(__name__)


class Writer:
    """Does what it is handed, one thing after the other.

    One epoch at most is on its way: who hands over another waits for the one before, so that
    storage that is too slow for the epochs slows training down and memory does not grow. A failure
    is raised by the next call, and nothing is done after it.

    Use it as a context. Its end waits for all that was handed over.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._jobs: Sequence[Future[Any]] = ()

    def put(self, *jobs: Callable[[], Any]) -> "list[Future[Any]]":
        """Hand over what is to be done in this order, once all that came before is done.

        Returns:
            What each will return. Of those after one that fails, its error.

        Raises:
            Exception: What was raised before.
        """
        self.wait()
        futures: list[Future[Any]] = []
        for job in jobs:
            futures.append(self._pool.submit(_do, job, futures[-1] if futures else None))
        self._jobs = futures
        return futures

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
        lost = self._jobs[-1].exception() if self._jobs else None
        if lost is not None and lost is not error:
            _log.error("what was trained last could not be written either: %s", lost)


def _do(job: Callable[[], Any], before: "Future[Any] | None") -> Any:
    if before is not None:
        before.result()
    return job()
