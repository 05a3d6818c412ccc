"""The recorder: writes what a run directory says to MLflow, as often as one likes.

Everything it sends is a function of the run directory: metrics keep the record's step and
timestamp (MLflow stores equal points once), pictures are named by UUIDs of run, epoch and name (a
resend overwrites). So a sync that broke off anywhere is mended by the next one.
"""

import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import yaml
from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from ssgan.errors import BadInput
from ssgan.rundir import Record, RunDir
from ssgan.tracking.facts import ENVIRONMENT, experiment_of, flatten, tags_of
from ssgan.tracking.pictures import IMAGE_FOLDER, picture_names, thumbnail
from ssgan.tracking.store import artifact_location, check, connect, validate
from ssgan.tracking.view import VIEW_TAG, view_path, view_tag

_RUN_ID = "ssgan.run_id"
_ARTIFACTS = "ssgan.artifacts"
_MARK = "images_seen"  # a metric of every record, so its history tells which records are there
_FILES = ("experiment.yaml", "labels.parquet", ENVIRONMENT, "summary.json")
_FOLDERS = ("figures", "export")
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # the interface's layout
_MOST_PARAMS, _MOST_METRICS, _LONGEST_TAG = 100, 1000, 5000


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
    """Writes run directories to one MLflow experiment."""

    def __init__(self, uri: str, experiment_name: str) -> None:
        """Name the store and the experiment; nothing is contacted before `sync`.

        Raises:
            BadInput: There can be no MLflow store at that URI.
        """
        self.uri = uri
        self.experiment_name = experiment_name
        self._seen: set[str] = set()  # pictures known to be whole there
        validate(uri)

    @cached_property
    def _client(self) -> MlflowClient:
        return connect(self.uri)

    def sync(
        self, run: RunDir, *, status: str | None = None, tags: Mapping[str, str] | None = None
    ) -> SyncReport:
        """Bring MLflow up to what the run directory says.

        Args:
            run: The run directory.
            status: MLflow status to set; by default FINISHED once there is a summary, and as it
                is before that.
            tags: Further tags, for example ``mlflow.parentRunId`` of a search's trial.

        Raises:
            MlflowException: MLflow does not answer; what was sent stands, the next sync sends
                the rest.
            BadInput: The experiment was deleted in MLflow.
        """
        records = run.records()
        summary = run.summary()
        experiment = self._experiment()
        found = self._find_or_create(experiment, run)
        run_id = found.info.run_id
        self._send_params(found, run)
        self._send_tags(found, {**tags_of(run, records, summary), **(tags or {})})
        sent = self._send_metrics(run_id, records)
        images = self._send_images(run_id, run, records)
        self._send_artifacts(found, run, whole=summary is not None)
        view = view_tag(records)
        if view is not None and experiment.tags.get(VIEW_TAG) != view:
            self._client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, view)
        status = status or ("FINISHED" if summary is not None else found.info.status)
        if status != found.info.status:
            end = records[-1].timestamp_ms if records else None
            if status == "RUNNING":
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, status=status, end_time=end)
        return SyncReport(
            run_id,
            self.experiment_name,
            len(records),
            sent,
            images,
            status,
            view_path(experiment.experiment_id),
        )

    def _experiment(self) -> Experiment:
        found = self._client.get_experiment_by_name(self.experiment_name)
        if found is None:
            try:
                self._client.create_experiment(
                    self.experiment_name,
                    artifact_location=artifact_location(self.uri),
                    tags=_MODEL_TRAINING,
                )
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(self.experiment_name)
        assert found is not None
        if found.lifecycle_stage != "active":
            raise BadInput(
                f"the MLflow experiment {self.experiment_name!r} was deleted; restore it, or name "
                "another one with tracking.experiment"
            )
        return found

    def _find_or_create(self, experiment: Experiment, run: RunDir) -> Run:
        runs = self._find(experiment, run)
        if not runs:
            started = int(datetime.fromisoformat(run.info.created).timestamp() * 1000)
            self._client.create_run(
                experiment.experiment_id,
                start_time=started,
                run_name=run.info.name,
                tags={
                    _RUN_ID: run.run_id,
                    "mlflow.source.name": "ssgan",
                },
            )
            runs = self._find(experiment, run)
        # A request that timed out may have been served all the same, and so be sent twice; every
        # recorder then settles for the same one.
        for doubled in runs[1:]:
            self._client.delete_run(doubled.info.run_id)
        return runs[0]

    def _find(self, experiment: Experiment, run: RunDir) -> list[Run]:
        found = self._client.search_runs(
            [experiment.experiment_id], filter_string=f"tags.`{_RUN_ID}` = '{run.run_id}'"
        )
        return sorted(found, key=lambda one: (-len(one.data.params), one.info.run_id))

    def _send_params(self, found: Run, run: RunDir) -> None:
        """Send the flat tree; params are immutable in MLflow, so a changed one becomes a tag."""
        there = found.data.params
        wanted = flatten(yaml.safe_load(run.experiment_yaml()))
        missing = [Param(key, value) for key, value in wanted.items() if key not in there]
        for start in range(0, len(missing), _MOST_PARAMS):
            self._client.log_batch(found.info.run_id, params=missing[start : start + _MOST_PARAMS])
        changed = {
            f"ssgan.changed.{key}": value
            for key, value in wanted.items()
            if there.get(key, value) != value
        }
        self._send_tags(found, changed)

    def _send_tags(self, found: Run, tags: Mapping[str, str]) -> None:
        new = [
            RunTag(key, value[:_LONGEST_TAG])
            for key, value in tags.items()
            if found.data.tags.get(key) != value[:_LONGEST_TAG]
        ]
        if new:
            self._client.log_batch(found.info.run_id, tags=new)

    def _send_metrics(self, run_id: str, records: Iterable[Record]) -> int:
        """Send one batch an epoch; a batch is stored whole or not at all."""
        there = {point.step for point in self._client.get_metric_history(run_id, _MARK)}
        missing = [record for record in records if record.epoch not in there]
        for record in missing:
            # The mark is last: where a batch must be split, it is in the final part.
            values = {key: value for key, value in record.metrics.items() if key != _MARK}
            values[_MARK] = float(record.images_seen)
            metrics = [
                Metric(key, value, record.timestamp_ms, record.epoch)
                for key, value in values.items()
                if value is not None
            ]
            for start in range(0, len(metrics), _MOST_METRICS):
                self._client.log_batch(run_id, metrics=metrics[start : start + _MOST_METRICS])
        return len(missing)

    def _send_images(self, run_id: str, run: RunDir, records: Iterable[Record]) -> int:
        """Send pictures that are missing or were cut short when a server died."""
        there = self._sizes(run_id, IMAGE_FOLDER)
        sent = 0
        for record in records:
            for name, path in record.images.items():
                picture, small = picture_names(run.run_id, record, name)
                if picture in self._seen:
                    continue
                png = run.read_bytes(path)
                # The small copy is sent first, so a whole picture means that both are there.
                if there.get(picture) != len(png):
                    self._upload(run_id, {small: thumbnail(png)})
                    self._upload(run_id, {picture: png})
                    sent += 1
                self._seen.add(picture)
        if sent:
            self._client.set_tag(run_id, "mlflow.loggedImages", True)
        return sent

    def _send_artifacts(self, found: Run, run: RunDir, *, whole: bool) -> None:
        """Send configuration, figures and export, if they changed since they were sent last."""
        names = [name for name in _FILES if run.exists(name)]
        for folder in _FOLDERS if whole else ():
            names += run.list(folder)
        contents = {name: run.read_bytes(name) for name in names}
        digests = [f"{sha256(content).hexdigest()} {name}" for name, content in contents.items()]
        digest = sha256("\n".join(digests).encode()).hexdigest()
        if found.data.tags.get(_ARTIFACTS) != digest:
            self._upload(found.info.run_id, contents)
            self._client.set_tag(found.info.run_id, _ARTIFACTS, digest)

    def _upload(self, run_id: str, contents: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            for name, content in contents.items():
                file = Path(temporary, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            self._client.log_artifacts(run_id, temporary)

    def _sizes(self, run_id: str, folder: str) -> dict[str, int | None]:
        return {file.path: file.file_size for file in self._client.list_artifacts(run_id, folder)}


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
