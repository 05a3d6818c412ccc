"""The recorder: writes what a run directory says to MLflow, as often as one likes.

Everything it sends is a function of the run directory: metrics keep the record's step and
timestamp (MLflow stores equal points once), pictures are named by UUIDs of run, epoch and name (a
resend overwrites). So a sync that broke off anywhere is mended by the next one.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mlflow.entities import Metric

from ssgan.drawing.sheet import thumbnail
from ssgan.export.card_text import is_card
from ssgan.export.strips import FOLDER
from ssgan.records.data_info import DATA, LABELS, read_budget, read_data_info
from ssgan.records.rundir import Record, RunDir
from ssgan.tracking.card import model_card
from ssgan.tracking.inputs import dataset_inputs
from ssgan.tracking.mlflow_experiment import MlflowExperiment, MlflowRun, digest_of
from ssgan.tracking.store import check
from ssgan.tracking.view import MARK, WINNER, view_path, view_tags

RUN_ID = "ssgan.run_id"
"""Tag by which a run directory's MLflow run is found."""
NOTE = "mlflow.note.content"
"""Tag that holds a run's description."""
_ARTIFACTS = "ssgan.artifacts"
_MARK = "images_seen"  # a metric of every record, so its history tells which records are there
IMAGE_FOLDER = "images"
"""Folder of a run's artifacts in which MLflow's interface looks for pictures."""
_LONGEST_PARAM = 6000  # MLflow's limit
_ALARMS, _STOPPED, _NONE = "ssgan.alarms", "ssgan.stop_reason", "none"
_BEGUN = 0.2  # share of the epochs before which alarms say no more than that training is young
_FOLDER_BYTES = 2**25  # of pictures that are sent at a time, about
_READERS = 16  # epochs whose pictures are read at a time; an object store answers after a while
_ENVIRONMENT = "environment.json"
_FILES = ("experiment.yaml", LABELS, DATA, _ENVIRONMENT, "summary.json")
_FOLDERS = ("figures", "export")
_STRIPS = f"export/{FOLDER}"


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


@dataclass
class _Sent:
    """What is known to be in MLflow of one run."""

    run: MlflowRun
    records: set[tuple[int, int]] = field(default_factory=set)
    """Epochs and timestamps of the records whose points are there."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of the pictures that were there before this process."""
    pictures: set[str] = field(default_factory=set)
    """Pictures known to be whole there."""
    more: set[Metric] = field(default_factory=set)
    """Points besides those of records that this process sent."""
    epochs: int = 0
    """Epochs that the run is to have; 0 where it does not say."""
    is_described: bool = False
    """Whether what stands beside the records was sent since the first of them."""


class Recorder:
    """Writes run directories to one MLflow experiment.

    It remembers what it has sent, so that the next sync costs what is new: for an epoch, one batch
    of metrics and one folder of pictures. Several threads may sync different runs.
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
        self._sent: dict[str, _Sent] = {}

    def sync(
        self,
        run: RunDir,
        *,
        status: str | None = None,
        tags: Mapping[str, str] | None = None,
        records: Sequence[Record] | None = None,
        pictured: Callable[[Record], bool] = lambda record: True,
        more: Sequence[Metric] = (),
        is_current: bool = False,
    ) -> SyncResult:
        """Bring MLflow up to what the run directory says.

        Args:
            run: The run directory.
            status: By default FINISHED once there is a summary of all records, and as it is before
                that. While it is RUNNING, what stands beside the records is read with the first of
                them alone.
            tags: Further tags; where one of them is new, all of the directory is read again.
            records: All records of the directory, where they were read already.
            pictured: Says of which records the pictures go along.
            more: Further points.
            is_current: Whether the experiment was looked up a moment ago.

        Raises:
            MlflowException: MLflow does not answer; what was sent stands, the next sync sends
                the rest.
            BadInput: The experiment was deleted in MLflow.
        """
        records = run.records() if records is None else records
        if not is_current:
            self.experiment.refresh()
        try:
            return self._bring(run, status, dict(tags or {}), records, pictured, more)
        except Exception:
            self._sent.pop(run.run_id, None)  # somebody may have deleted it: look it up again
            raise

    def _bring(
        self,
        run: RunDir,
        status: str | None,
        tags: dict[str, str],
        records: Sequence[Record],
        pictured: Callable[[Record], bool],
        more: Sequence[Metric],
    ) -> SyncResult:
        experiment = self.experiment
        sent = self._sent.get(run.run_id)
        is_new = sent is None
        if sent is None:
            sent = self._sent[run.run_id] = self._look_up(run)
        found = sent.run
        is_told = any(found.tags.get(key) != value for key, value in tags.items())
        describes = is_new or is_told or status != "RUNNING" or not sent.is_described
        summary, params, files = None, {}, {}
        if describes:
            summary = run.summary()
            params = flatten(run.definition_tree())
            planned = params.get("training.epochs", "")
            sent.epochs = int(planned) if planned.isdecimal() else 0
            folders = self._folders if summary is not None else ()
            if folders and tags.get(MARK) == WINNER:
                folders = (*folders, _STRIPS)  # which its card shows
            files = self._files(run, folders)
            # A tag cannot be taken back along with others; of a run that was resumed it says none.
            ended = {_STOPPED: _NONE} if summary and _STOPPED in found.tags else {}
            tags = ended | _tags_of(run, summary) | tags
            tags = self._with_card(tags, found, run)
        tags |= _alarm_tags(records, sent.epochs, found.tags)
        missing = [one for one in records if (one.epoch, one.timestamp_ms) not in sent.records]
        shown = [one for one in records if one.images and pictured(one)]
        if shown:
            tags["mlflow.loggedImages"] = "True"
        points = [point for record in missing for point in _points_of(record)]
        points += (point for point in more if point not in sent.more)
        experiment.send(found, params=params, tags=tags, metrics=points)
        if describes:
            self.send_inputs(found, run)
        sent.records.update((one.epoch, one.timestamp_ms) for one in missing)
        sent.more.update(more)
        digest = digest_of(files) if files else found.tags.get(_ARTIFACTS)
        if digest == found.tags.get(_ARTIFACTS):
            files = {}
        images = 0
        for pictures, names in self._pictures(sent, run, shown):
            experiment.upload(found, pictures | files)
            sent.pictures |= names
            images += len(pictures) // 2
            files = {}
        experiment.upload(found, files)
        if digest is not None:
            experiment.send(found, tags={_ARTIFACTS: digest})
        sent.is_described = sent.is_described or (describes and bool(records))
        if self._keeps_view:
            experiment.show_views(view_tags(records))
        # A run that was resumed and killed has the summary of its first end.
        done = records[-1].epoch if records else 0
        is_over = summary is not None and summary.get("epochs", done) == done
        status = status or ("FINISHED" if is_over else found.status)
        experiment.set_status(found, status, (record.timestamp_ms for record in records))
        view = view_path(experiment.id)
        return SyncResult(
            found.id, experiment.name, len(records), len(missing), images, status, view
        )

    @staticmethod
    def _with_card(tags: dict[str, str], found: MlflowRun, run: RunDir) -> dict[str, str]:
        """Add the card of what a run has exported; a description of the user's own stays.

        Of a search's trials, whose tags name it, the winner has one.
        """
        known = found.tags | tags
        if not is_card(found.tags.get(NOTE)):
            return tags
        if "mlflow.parentRunId" in known and known.get(MARK) != WINNER:
            return tags
        card = model_card(run, found.id)
        return tags if card is None else tags | {NOTE: card}

    def send_inputs(self, found: MlflowRun, run: RunDir) -> None:
        """Name the data of a run directory as those of a run in MLflow, unless it has some."""
        info = None if found.has_inputs else read_data_info(run)
        if info is not None:
            data = run.definition_tree().get("data")
            source = data.get("source") if isinstance(data, Mapping) else None
            known = source if isinstance(source, Mapping) else {}
            self.experiment.send_inputs(found, dataset_inputs(info, known))

    def _look_up(self, run: RunDir) -> _Sent:
        """Find a run in MLflow, or make it, and see what is there of it."""
        experiment = self.experiment
        found = experiment.open(RUN_ID, run.run_id, run.info.name, run.info.created)
        if not found.params:  # it was made just now
            return _Sent(found)
        history = experiment.client.get_metric_history(found.id, _MARK)
        files = experiment.client.list_artifacts(found.id, IMAGE_FOLDER)
        return _Sent(
            found,
            {(point.step, point.timestamp) for point in history},
            {file.path: file.file_size or 0 for file in files},
        )

    def _pictures(
        self, sent: _Sent, run: RunDir, records: Iterable[Record]
    ) -> Iterator[tuple[dict[str, bytes], set[str]]]:
        """Read pictures that are missing in MLflow, or were cut short when a server died.

        Yields:
            Files to send at a time, each picture with its small copy, and the names of all
            pictures that are whole once these are there.
        """
        sizes = sent.sizes
        files: dict[str, bytes] = {}
        names: set[str] = set()
        missing = []
        for record in records:
            named = {name: picture_names(run.run_id, record, name) for name in record.images}
            pairs = {name: pair for name, pair in named.items() if pair[0] not in sent.pictures}
            if pairs:
                missing.append((record, pairs))
        with ThreadPoolExecutor(_READERS, "pictures") as pool:
            for first in range(0, len(missing), _READERS):
                some = missing[first : first + _READERS]
                read = pool.map(run.pictures, (record for record, _ in some))
                for (_, pairs), (pictures, thumbnails) in zip(some, read, strict=True):
                    for name, (picture, small) in pairs.items():
                        png = pictures[name]
                        if sizes.get(picture) != len(png) or not sizes.get(small):
                            files[small] = thumbnails.get(name) or thumbnail(png)
                            files[picture] = png
                        names.add(picture)
                    if sum(map(len, files.values())) > _FOLDER_BYTES:
                        yield files, names
                        files, names = {}, set()
        if names:
            yield files, names

    @staticmethod
    def _files(run: RunDir, folders: Iterable[str]) -> dict[str, bytes]:
        """Read configuration, figures and export."""
        names = [name for name in _FILES if run.exists(name)]
        for folder in folders:
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
    tree = run.definition_tree()
    tracking = tree.get("tracking")
    chosen = tracking.get("experiment") if isinstance(tracking, dict) else None
    chosen = chosen or tree.get("name")
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


def _points_of(record: Record) -> list[Metric]:
    """Return the points of an epoch, its mark last: where they must be split, in the final part."""
    values = {key: value for key, value in record.metrics.items() if key != _MARK}
    values[_MARK] = float(record.images_seen)
    known = [(key, value) for key, value in values.items() if value is not None]
    return [Metric(key, value, record.timestamp_ms, record.epoch) for key, value in known]


def _alarm_tags(records: Sequence[Record], epochs: int, known: Mapping[str, str]) -> dict[str, str]:
    """Return the tag of what the last evaluation warns about; those before may be mended.

    While training has hardly begun, codes change little in every run. A tag cannot be taken back
    along with others, so one that holds no more says that there are none.
    """
    last = next((record for record in reversed(records) if record.is_evaluated), None)
    has_begun = last is not None and last.epoch >= _BEGUN * epochs
    told = "; ".join(last.alarms) if last is not None and has_begun else ""
    return {_ALARMS: told or _NONE} if told or _ALARMS in known else {}


def _tags_of(run: RunDir, summary: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the tags of a run: hashes of data and labels, environment, stop reason."""
    tags = {"ssgan.run_dir": run.location}
    if (budget := read_budget(run)) is not None:
        tags |= {"ssgan.data_hash": budget.data_hash, "ssgan.labels_hash": budget.hash}
        tags |= {
            f"ssgan.spread_{name}_hash": value for name, value in (budget.spread or {}).items()
        }
    if summary and summary.get("stop_reason"):
        tags[_STOPPED] = str(summary["stop_reason"])
    if run.exists(_ENVIRONMENT):
        environment = dict(run.read_json(_ENVIRONMENT))
        if commit := str(environment.pop("git_commit", None) or ""):
            tags["mlflow.source.git.commit"] = commit.rstrip("+")
            tags["mlflow.source.git.dirty"] = str(commit.endswith("+")).lower()
        tags |= {f"ssgan.environment.{key}": str(value) for key, value in environment.items()}
    return tags
