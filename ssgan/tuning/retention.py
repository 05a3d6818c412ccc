"""What trials that are over keep of their checkpoints (`Search.keep`)."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from ssgan.base.errors import CorruptFile
from ssgan.base.storage import join
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir

_log = logging.getLogger(__name__)


class KeepBest(Callback):
    """Deletes all checkpoints but the best of a trial that finished or was stopped.

    On a thread, because the driver's own must not wait for storage. A trial that failed keeps what
    it has, for `--resume`, and so does what another trial continues from. A trial that is resumed
    all the same, as a run of its own, continues from its best checkpoint.
    """

    def __init__(self, runs: str) -> None:
        """Take the location of the trials' run directories."""
        self._runs = runs
        self._pool: ThreadPoolExecutor | None = None

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Have its checkpoints deleted."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._pool.submit(_prune, join(self._runs, str(trial)))

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Wait until all is deleted."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None

    def get_state(self) -> None:
        """Have no state: a trial that ended while nobody looked keeps its checkpoints."""

    def __getstate__(self) -> dict[str, Any]:
        return {"_runs": self._runs, "_pool": None}


def _prune(run: str) -> None:
    try:
        Checkpoints(RunDir(run)).prune_to_best()
    except (OSError, CorruptFile) as error:
        _log.warning("the checkpoints of %s stay: %s", run, error)
