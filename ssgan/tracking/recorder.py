"""The recorder: writes what a run directory says to MLflow, as often as one likes.

Everything it sends is a function of the run directory: metrics keep the record's step and
timestamp (MLflow stores equal points once), pictures are named by UUIDs of run, epoch and name (a
resend overwrites). So a sync that broke off anywhere is mended by the next one.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from mlflow.entities import Metric, Run

from ssgan.data.labels import LabelBudget
from ssgan.drawing.sheet import thumbnail
from ssgan.records.rundir import Record, RunDir
from ssgan.tracking.mlflow_experiment import MlflowExperiment
from ssgan.tracking.store import check
from ssgan.tracking.view import view_path, view_tag

RUN_ID = "ssgan.run_id"
"""Tag by which a run directory's MLflow run is found."""
_ARTIFACTS = "ssgan.artifacts"
_MARK = "images_seen"  # a metric of every record, so its history tells which records are there
IMAGE_FOLDER = "images"
"""Folder of a run's artifacts in which MLflow's interface looks for pictures."""
_SMALL = 256  # pixels of a small copy's longer side, as MLflow's own
_LONGEST_PARAM = 6000  # MLflow's limit
_ENVIRONMENT = "environment.json"
_FILES = ("experiment.yaml", "labels.parquet", _ENVIRONMENT, "summary.json")
_FOLDERS = ("figures", "export")


class SyncResult(NamedTuple):
    """What one sync did."""

    mlflow_run_id: str
    """The run's id in MLflow."""
    experiment: str
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

    It remembers what it has sent, so that the next sync costs what is new.
    """

    def __init__(
        self,
        uri: str,
        experiment_name: str,
        *,
        folders: Sequence[str] = _FOLDERS,
        keeps_view: bool = True,
    ) -> None:
        """Raise `BadInput` where there can be no MLflow store at that URI.

        With a finished run go its `folders`. `keeps_view` is whether the runs set the ready view.
        """
        self.experiment = MlflowExperiment(uri, experiment_name)
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
    ) -> SyncResult:
        """Bring MLflow up to what the run directory says.

        By default its status is FINISHED once there is a summary, and stays as it is before that;
        the `records` are all that the directory has. There may be further tags.

        Raises:
            MlflowException: MLflow does not answer; what was sent stands, the next sync sends
                the rest.
            BadInput: The experiment was deleted in MLflow.
        """
        records = run.records() if records is None else records
        summary = run.summary()
        experiment = self.experiment
        experiment.refresh()
        found = experiment.open(RUN_ID, run.run_id, run.info.name, run.info.created)
        run_id = found.info.run_id
        experiment.send_params(found, flatten(yaml.safe_load(run.definition())))
        experiment.send_tags(found, {**_tags_of(run, records, summary), **(tags or {})})
        sent = self._send_metrics(run_id, records)
        images = self._send_images(found, run, records)
        experiment.send_files(found, self._files(run, whole=summary is not None), _ARTIFACTS)
        if self._keeps_view:
            experiment.show_view(view_tag(records))
        status = status or ("FINISHED" if summary is not None else found.info.status)
        experiment.set_status(found, status, (record.timestamp_ms for record in records))
        view = view_path(experiment.id)
        return SyncResult(run_id, experiment.name, len(records), sent, images, status, view)

    def _send_metrics(self, run_id: str, records: Iterable[Record]) -> int:
        """Send one batch an epoch, its mark last: where it must be split, in the final part."""
        if run_id not in self._records:
            history = self.experiment.client.get_metric_history(run_id, _MARK)
            self._records[run_id] = {(point.step, point.timestamp) for point in history}
        there = self._records[run_id]
        missing = [one for one in records if (one.epoch, one.timestamp_ms) not in there]
        for record in missing:
            values = {key: value for key, value in record.metrics.items() if key != _MARK}
            values[_MARK] = float(record.images_seen)
            when, step = record.timestamp_ms, record.epoch
            known = [(key, value) for key, value in values.items() if value is not None]
            points = [Metric(key, value, when, step) for key, value in known]
            self.experiment.send_metrics(run_id, points)
            there.add((step, when))
        return len(missing)

    def _send_images(self, found: Run, run: RunDir, records: Iterable[Record]) -> int:
        """Send pictures that are missing or were cut short when a server died."""
        run_id, sizes = found.info.run_id, {}
        if run_id not in self._pictures:
            files = self.experiment.client.list_artifacts(run_id, IMAGE_FOLDER)
            sizes = {file.path: file.file_size for file in files}
        known = self._pictures.setdefault(run_id, set())
        sent = 0
        for record in records:
            named = {name: picture_names(run.run_id, record, name) for name in record.images}
            missing = {name: pair for name, pair in named.items() if pair[0] not in known}
            pictures = run.pictures(record) if missing else {}
            for name, (picture, small) in missing.items():
                png = pictures[name]
                # The small copy is sent first, so a whole picture means that both are there.
                if sizes.get(picture) != len(png):
                    copy = thumbnail(png, _SMALL, quality=90, enlarge=True)
                    self.experiment.upload(run_id, {small: copy})
                    self.experiment.upload(run_id, {picture: png})
                    sent += 1
                known.add(picture)
        if known:
            self.experiment.send_tags(found, {"mlflow.loggedImages": "True"})
        return sent

    def _files(self, run: RunDir, *, whole: bool) -> dict[str, bytes]:
        """Read configuration, figures and export."""
        names = [name for name in _FILES if run.exists(name)]
        for folder in self._folders if whole else ():
            names += run.list(folder)
        return {name: run.read_bytes(name) for name in names}


def sync_run(uri: str, run: RunDir, experiment: str | None = None) -> SyncResult:
    """Write a run directory to an MLflow experiment, that which it names by default.

    Raises:
        BadInput: The store cannot be reached (`ssgan.tracking.store.check`).
    """
    check(uri)
    return Recorder(uri, experiment or experiment_of(run)).sync(run)


def experiment_of(run: RunDir) -> str:
    """Return the MLflow experiment of a run: `tracking.experiment`, or the preset's name."""
    tree = yaml.safe_load(run.definition()) or {}
    chosen = (tree.get("tracking") or {}).get("experiment") or tree.get("name")
    return str(chosen or "ssgan")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Write a tree of configuration as dotted names and values, spelled as overrides are."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            flat[f"{prefix}{key}"] = text[:_LONGEST_PARAM]
    return flat


def picture_names(run_id: str, record: Record, name: str) -> tuple[str, str]:
    """Name a picture's PNG and its small WebP as MLflow's interface looks for them in its grids.

    `mlflow.log_image` has a random UUID in the name, so that a resend doubles the picture. This one
    is a function of run, epoch and name. The same key and step in every run line up.
    """
    unique = uuid.uuid5(uuid.UUID(run_id), f"{record.epoch}/{name}")
    key = name.replace("/", "~")
    stem = f"{IMAGE_FOLDER}/{key}+step+{record.epoch}+timestamp+{record.timestamp_ms}+{unique}"
    return f"{stem}.png", f"{stem}+compressed.webp"


def _tags_of(
    run: RunDir, records: Iterable[Record], summary: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return the tags of a run: hashes of data and labels, environment, alarms, stop reason."""
    tags = {"ssgan.run_dir": run.location}
    if run.exists("labels.parquet"):
        budget = LabelBudget.from_parquet(run.read_bytes("labels.parquet"))
        tags |= {"ssgan.data_hash": budget.data_hash, "ssgan.labels_hash": budget.hash}
    alarms = {alarm: None for record in records for alarm in record.alarms}
    if alarms:
        tags["ssgan.alarms"] = "; ".join(alarms)
    if summary and summary.get("stop_reason"):
        tags["ssgan.stop_reason"] = str(summary["stop_reason"])
    if run.exists(_ENVIRONMENT):
        environment = json.loads(run.read_bytes(_ENVIRONMENT))
        if commit := environment.pop("git_commit", None):
            tags["mlflow.source.git.commit"] = str(commit)
        tags |= {f"ssgan.environment.{key}": str(value) for key, value in environment.items()}
    return tags
