"""The recorder: writes what a run directory says to MLflow, as often as one likes.

Everything it sends is a function of the run directory: metrics keep the record's step and
timestamp (MLflow stores equal points once), pictures are named by UUIDs of run, epoch and name (a
resend overwrites). So a sync that broke off anywhere is mended by the next one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import yaml
from mlflow.entities import Metric, Run

from ssgan.records.rundir import Record, RunDir
from ssgan.tracking.facts import ENVIRONMENT, experiment_of, flatten, tags_of
from ssgan.tracking.grids import IMAGE_FOLDER, picture_names, thumbnail
from ssgan.tracking.mlflow_experiment import MlflowExperiment
from ssgan.tracking.store import check
from ssgan.tracking.view import view_path, view_tag

RUN_ID = "ssgan.run_id"
"""Tag by which a run directory's MLflow run is found."""
_ARTIFACTS = "ssgan.artifacts"
_MARK = "images_seen"  # a metric of every record, so its history tells which records are there
_FILES = ("experiment.yaml", "labels.parquet", ENVIRONMENT, "summary.json")
_FOLDERS = ("figures", "export")


class SyncReport(NamedTuple):
    """What one sync did."""

    mlflow_run_id: str
    """The run's id in MLflow."""
    experiment: str
    """Name of the MLflow experiment."""
    epochs: int
    """Records in the run directory, all of which are in MLflow now."""
    sent: int
    """How many of them this sync sent."""
    images: int
    """Pictures that this sync sent."""
    status: str
    """MLflow's status of the run: RUNNING, FINISHED, FAILED or KILLED."""
    view: str
    """Path behind a server's address that shows the experiment's runs side by side."""


class Recorder:
    """Writes run directories to one MLflow experiment.

    It remembers what it has sent, so that a run that goes on costs what is new of it.
    """

    def __init__(
        self,
        uri: str,
        experiment_name: str,
        *,
        folders: Sequence[str] = _FOLDERS,
        keeps_view: bool = True,
    ) -> None:
        """Name the store and the experiment; nothing is contacted before `sync`.

        Args:
            uri: MLflow tracking URI.
            experiment_name: MLflow experiment.
            folders: Folders of a finished run that are sent with it.
            keeps_view: Whether the runs set the experiment's ready view.

        Raises:
            BadInput: There can be no MLflow store at that URI.
        """
        self.uri = uri
        self.experiment_name = experiment_name
        self.ledger = MlflowExperiment(uri, experiment_name)
        self._folders = tuple(folders)
        self._keeps_view = keeps_view
        # By MLflow run: records and pictures known to be whole there.
        self._records: dict[str, set[tuple[int, int]]] = {}
        self._pictures: dict[str, set[str]] = {}

    def sync(
        self,
        run: RunDir,
        *,
        status: str | None = None,
        tags: Mapping[str, str] | None = None,
        records: Sequence[Record] | None = None,
    ) -> SyncReport:
        """Bring MLflow up to what the run directory says.

        Args:
            run: The run directory.
            status: MLflow status to set; by default FINISHED once there is a summary, and as it
                is before that.
            tags: Further tags, for example ``mlflow.parentRunId`` of a search's trial.
            records: The epochs that count; by default all that the directory has.

        Raises:
            MlflowException: MLflow does not answer; what was sent stands, the next sync sends
                the rest.
            BadInput: The experiment was deleted in MLflow.
        """
        records = run.records() if records is None else records
        summary = run.summary()
        ledger = self.ledger
        experiment = ledger.experiment()
        found = ledger.open(experiment, RUN_ID, run.run_id, run.info.name, run.info.created)
        run_id = found.info.run_id
        ledger.send_params(found, flatten(yaml.safe_load(run.experiment_yaml())))
        ledger.send_tags(found, {**tags_of(run, records, summary), **(tags or {})})
        sent = self._send_metrics(run_id, records)
        images = self._send_images(found, run, records)
        ledger.send_files(found, self._files(run, whole=summary is not None), _ARTIFACTS)
        if self._keeps_view:
            ledger.show_view(experiment, view_tag(records))
        status = status or ("FINISHED" if summary is not None else found.info.status)
        ledger.set_status(found, status, (record.timestamp_ms for record in records))
        return SyncReport(
            run_id,
            self.experiment_name,
            len(records),
            sent,
            images,
            status,
            view_path(experiment.experiment_id),
        )

    def _send_metrics(self, run_id: str, records: Iterable[Record]) -> int:
        """Send one batch an epoch, its mark last: where it must be split, in the final part."""
        if run_id not in self._records:
            history = self.ledger.client.get_metric_history(run_id, _MARK)
            self._records[run_id] = {(point.step, point.timestamp) for point in history}
        there = self._records[run_id]
        missing = [one for one in records if (one.epoch, one.timestamp_ms) not in there]
        for record in missing:
            values = {key: value for key, value in record.metrics.items() if key != _MARK}
            values[_MARK] = float(record.images_seen)
            metrics = [
                Metric(key, value, record.timestamp_ms, record.epoch)
                for key, value in values.items()
                if value is not None
            ]
            self.ledger.send_metrics(run_id, metrics)
            there.add((record.epoch, record.timestamp_ms))
        return len(missing)

    def _send_images(self, found: Run, run: RunDir, records: Iterable[Record]) -> int:
        """Send pictures that are missing or were cut short when a server died."""
        run_id = found.info.run_id
        sizes: dict[str, int | None] = {}
        if run_id not in self._pictures:
            sizes = self.ledger.sizes(run_id, IMAGE_FOLDER)
            self._pictures[run_id] = set()
        known = self._pictures[run_id]
        sent = 0
        for record in records:
            for name, path in record.images.items():
                picture, small = picture_names(run.run_id, record, name)
                if picture in known:
                    continue
                png = run.read_bytes(path)
                # The small copy is sent first, so a whole picture means that both are there.
                if sizes.get(picture) != len(png):
                    self.ledger.upload(run_id, {small: thumbnail(png)})
                    self.ledger.upload(run_id, {picture: png})
                    sent += 1
                known.add(picture)
        if known:
            self.ledger.send_tags(found, {"mlflow.loggedImages": "True"})
        return sent

    def _files(self, run: RunDir, *, whole: bool) -> dict[str, bytes]:
        """Read configuration, figures and export."""
        names = [name for name in _FILES if run.exists(name)]
        for folder in self._folders if whole else ():
            names += run.list(folder)
        return {name: run.read_bytes(name) for name in names}


def sync_all(uri: str, runs: Iterable[RunDir], experiment: str | None = None) -> list[SyncReport]:
    """Write several run directories to MLflow, each to the experiment that it names.

    Args:
        uri: MLflow tracking URI.
        runs: The run directories.
        experiment: An MLflow experiment for all of them instead.

    Raises:
        BadInput: The store cannot be reached (`ssgan.tracking.store.check`).
    """
    check(uri)
    return [Recorder(uri, experiment or experiment_of(run)).sync(run) for run in runs]
