"""One MLflow experiment as we keep it: its runs are found by tags of ours, not by MLflow's ids.

Whatever is written here may be written again: equal points, params, tags and files stay one.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from ssgan.base.errors import BadInput
from ssgan.tracking.store import artifact_location, connect, validate
from ssgan.tracking.view import VIEW_TAG

_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # the interface's layout
_MOST_PARAMS, _MOST_METRICS, _LONGEST_TAG = 100, 1000, 5000


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
            BadInput: It was deleted in MLflow.
        """
        found = self.client.get_experiment_by_name(self.name)
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
        if found.lifecycle_stage != "active":
            raise BadInput(
                f"the MLflow experiment {self.name!r} was deleted; restore it, or name "
                "another one with tracking.experiment"
            )
        self._found = found

    @property
    def id(self) -> str:
        """MLflow's id of the experiment."""
        assert self._found is not None, "refresh comes first"
        return str(self._found.experiment_id)

    def open(self, key: str, value: str, name: str, created: str) -> Run:
        """Return the run with a tag of that value, or a new one, created then (ISO 8601)."""
        runs = self.find(key, value)
        if not runs:
            start = int(datetime.fromisoformat(created).timestamp() * 1000)
            tags = {key: value, "mlflow.source.name": "ssgan"}
            self.client.create_run(self.id, start, tags, name)
            runs = self.find(key, value)
        # A request that timed out may have been served all the same, and so be sent twice; every
        # recorder then settles for the same one.
        for doubled in runs[1:]:
            self.client.delete_run(doubled.info.run_id)
        return runs[0]

    def find(self, key: str, value: str) -> list[Run]:
        """Return the runs that are tagged so; the one that counts is the first."""
        found = self.client.search_runs([self.id], filter_string=f"tags.`{key}` = '{value}'")
        return sorted(found, key=lambda one: (-len(one.data.params), one.info.run_id))

    def send_params(self, found: Run, wanted: Mapping[str, str]) -> None:
        """Send params; they are immutable in MLflow, so a changed one becomes a tag."""
        there = found.data.params
        missing = [Param(key, value) for key, value in wanted.items() if key not in there]
        for start in range(0, len(missing), _MOST_PARAMS):
            self.client.log_batch(found.info.run_id, params=missing[start : start + _MOST_PARAMS])
        changed = {
            f"ssgan.changed.{key}": value
            for key, value in wanted.items()
            if there.get(key, value) != value
        }
        self.send_tags(found, changed)

    def send_tags(self, found: Run, tags: Mapping[str, str]) -> None:
        """Send tags, cut to the length that MLflow takes."""
        new = [
            RunTag(key, value[:_LONGEST_TAG])
            for key, value in tags.items()
            if found.data.tags.get(key) != value[:_LONGEST_TAG]
        ]
        if new:
            self.client.log_batch(found.info.run_id, tags=new)

    def send_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Send points in order. A batch is stored whole or not at all."""
        for start in range(0, len(metrics), _MOST_METRICS):
            self.client.log_batch(run_id, metrics=metrics[start : start + _MOST_METRICS])

    def send_files(self, found: Run, contents: Mapping[str, bytes], mark: str) -> None:
        """Send files, unless the tag `mark` has their hash: then the same ones were sent last."""
        digests = [f"{sha256(content).hexdigest()} {name}" for name, content in contents.items()]
        digest = sha256("\n".join(digests).encode()).hexdigest()
        if contents and found.data.tags.get(mark) != digest:
            self.upload(found.info.run_id, contents)
            self.client.set_tag(found.info.run_id, mark, digest)

    def upload(self, run_id: str, contents: Mapping[str, bytes]) -> None:
        """Write artifacts, over those of the same name."""
        with tempfile.TemporaryDirectory() as temporary:
            for name, content in contents.items():
                file = Path(temporary, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            self.client.log_artifacts(run_id, temporary)

    def set_status(self, found: Run, status: str, ends: Iterable[int] = ()) -> None:
        """Set a run's status: RUNNING, or one of its end, which is the last of some timestamps."""
        if status == found.info.status:
            return
        if status == "RUNNING":
            self.client.update_run(found.info.run_id, status)
        else:
            self.client.set_terminated(found.info.run_id, status, max(ends, default=None))

    def show_view(self, view: str | None) -> None:
        """Keep the interface's ready view up to date."""
        assert self._found is not None, "refresh comes first"
        if view is not None and self._found.tags.get(VIEW_TAG) != view:
            self.client.set_experiment_tag(self.id, VIEW_TAG, view)
