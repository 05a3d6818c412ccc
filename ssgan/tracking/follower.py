"""MLflow kept up to date with one run while it goes on."""

from collections.abc import Mapping

from ssgan.rundir import RunDir
from ssgan.tracking.facts import experiment_of
from ssgan.tracking.following import Following
from ssgan.tracking.recorder import Recorder, SyncReport


class Follower(Following[SyncReport]):
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
