"""One MLflow experiment as we keep it: its runs are found by tags of ours, not by MLflow's ids.

Whatever is written here may be written again: equal points, params, tags and files stay one.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Experiment, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from ssgan.tracking.store import artifact_location, connect, probe, refuse_deleted, validate

_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # the interface's layout
_MOST, _MOST_PARAMS, _LONGEST_TAG = 1000, 100, 5000  # MLflow's limits; as many tags as params


@dataclass
class MlflowRun:
    """One run as MLflow has it, by what it answered and by what was sent to it since."""

    id: str
    params: dict[str, str]
    tags: dict[str, str]
    status: str
    """RUNNING, FINISHED, FAILED or KILLED."""
    has_inputs: bool
    """Whether it names its data sets."""

    @classmethod
    def of(cls, run: Run) -> "MlflowRun":
        """Take what MLflow answered."""
        inputs = run.inputs.dataset_inputs if run.inputs is not None else ()
        params, tags = dict(run.data.params), dict(run.data.tags)
        return cls(run.info.run_id, params, tags, run.info.status, bool(inputs))


class MlflowExperiment:
    """The runs of one MLflow experiment; nothing is contacted before `refresh`."""

    def __init__(self, uri: str, name: str) -> None:
        """Raise `BadInput` where there can be no MLflow store at that URI."""
        validate(uri)
        self.uri = uri
        self.name = name
        self._found: Experiment | None = None

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client for the store."""
        return connect(self.uri)

    def refresh(self) -> None:
        """Look the experiment up, which is made where it is missing; to be called before others.

        Raises:
            Unreachable: An SQLite file is locked or cannot be used.
            Deleted: It was deleted in MLflow.
        """
        client = self.client
        probe(self.uri)
        found = client.get_experiment_by_name(self.name)
        if found is None:
            try:
                self.client.create_experiment(
                    self.name, artifact_location(self.uri), _MODEL_TRAINING
                )
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self.client.get_experiment_by_name(self.name)
        assert found is not None
        refuse_deleted(found)
        self._found = found

    @property
    def id(self) -> str:
        """MLflow's id of the experiment."""
        assert self._found is not None, "refresh comes first"
        return str(self._found.experiment_id)

    def open(self, key: str, value: str, name: str, created: str) -> MlflowRun:
        """Return the run with a tag of that value, or a new one, created then (ISO 8601)."""
        runs = self.find({key: value})
        if not runs:
            start = int(datetime.fromisoformat(created).timestamp() * 1000)
            tags = {key: value, "mlflow.source.name": "ssgan"}
            self.client.create_run(self.id, start, tags, name)
            runs = self.find({key: value})
        # A request that timed out may have been served all the same, and so be sent twice; every
        # recorder then settles for the same one.
        for doubled in runs[1:]:
            self.client.delete_run(doubled.id)
        return runs[0]

    def find(self, tags: Mapping[str, str]) -> list[MlflowRun]:
        """Return the runs with such tags; of doubled ones that which counts is the first."""
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        found: list[Run] = []
        token = ""
        while True:
            page = self.client.search_runs([self.id], wanted, page_token=token or None)
            found += page
            token = page.token
            if not token:
                break
        return sorted(map(MlflowRun.of, found), key=lambda one: (-len(one.params), one.id))

    def send(
        self,
        run: MlflowRun,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Sequence[Metric] = (),
    ) -> None:
        """Send what is new, in one request unless it is more than MLflow takes at a time.

        Params are immutable in MLflow, so a changed one becomes a tag. Tags are cut to the length
        that it takes. Points go in order; those of one request are stored whole or not at all.
        """
        params, cut = params or {}, {k: v[:_LONGEST_TAG] for k, v in (tags or {}).items()}
        cut |= {
            f"ssgan.changed.{key}": value[:_LONGEST_TAG]
            for key, value in params.items()
            if run.params.get(key, value) != value
        }
        new_params = [(key, value) for key, value in params.items() if key not in run.params]
        new_tags = [(key, value) for key, value in cut.items() if run.tags.get(key) != value]
        points = list(metrics)
        while new_params or new_tags or points:
            some_params, new_params = new_params[:_MOST_PARAMS], new_params[_MOST_PARAMS:]
            some_tags, new_tags = new_tags[:_MOST_PARAMS], new_tags[_MOST_PARAMS:]
            room = _MOST - len(some_params) - len(some_tags)
            some, points = points[:room], points[room:]
            self.client.log_batch(
                run.id,
                metrics=some,
                params=[Param(key, value) for key, value in some_params],
                tags=[RunTag(key, value) for key, value in some_tags],
            )
            run.params.update(some_params)
            run.tags.update(some_tags)

    def send_inputs(self, run: MlflowRun, inputs: Sequence[DatasetInput]) -> None:
        """Name the data sets of a run."""
        self.client.log_inputs(run.id, list(inputs))
        run.has_inputs = True

    def upload(self, run: MlflowRun, contents: Mapping[str, bytes]) -> None:
        """Write artifacts, as one folder, over those of the same name."""
        if not contents:
            return
        with tempfile.TemporaryDirectory() as temporary:
            for name, content in contents.items():
                file = Path(temporary, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            self.client.log_artifacts(run.id, temporary)

    def set_status(self, run: MlflowRun, status: str, ends: Iterable[int] = ()) -> None:
        """Set a run's status: RUNNING, or one of its end, which is the last of some timestamps."""
        if status == run.status:
            return
        if status == "RUNNING":
            self.client.update_run(run.id, status)
        else:
            self.client.set_terminated(run.id, status, max(ends, default=None))
        run.status = status

    def show_views(self, views: Mapping[str, str]) -> None:
        """Keep the interface's ready views, which are tags, up to date."""
        assert self._found is not None, "refresh comes first"
        for tag, view in views.items():
            if self._found.tags.get(tag) != view:
                self.client.set_experiment_tag(self.id, tag, view)


def digest_of(contents: Mapping[str, bytes]) -> str:
    """Return a hash of files with their names, to tell whether the same ones were sent last."""
    digests = [f"{sha256(content).hexdigest()} {name}" for name, content in contents.items()]
    return sha256("\n".join(digests).encode()).hexdigest()
