"""A search in MLflow: a parent run with its definition and report, and a child for each trial."""

import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import yaml
from mlflow.entities import Experiment

from ssgan.records.histories import Histories, History
from ssgan.records.search_info import SearchInfo, read_search_info
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.report.pages import FOLDER, SearchPages
from ssgan.tracking.facts import flatten
from ssgan.tracking.recorder import RUN_ID, Recorder
from ssgan.tracking.search_facts import (
    best_metric,
    best_so_far,
    mlflow_status,
    perturbations,
    search_tags,
    trial_tags,
)
from ssgan.tracking.store import check
from ssgan.tracking.view import search_view_tag, view_path

_SEARCH_ID = "ssgan.search_id"
_FILES, _REPORT = "ssgan.artifacts", "ssgan.report"
_OWN_FILES = ("search.yaml", "trials.json", "summary.json")
_FOLDERS = ("figures",)  # the winner's export becomes a registered model; the others stay at home


class SearchReport(NamedTuple):
    """What one sync of a search did."""

    mlflow_run_id: str
    """The search's run in MLflow, the parent of its trials."""
    experiment: str
    """Name of the MLflow experiment."""
    trials: int
    """Trials in the table."""
    synced: int
    """How many of them had news."""
    epochs: int
    """Epochs that this sync sent."""
    images: int
    """Pictures that this sync sent."""
    status: str
    """MLflow's status of the search: RUNNING, FINISHED, FAILED or KILLED."""
    view: str
    """Path behind a server's address that shows the trials side by side."""


class SearchRecorder:
    """Writes one search directory to the MLflow experiment of its name.

    It remembers what it has read and sent, so that a search that goes on costs what is new of it.
    """

    def __init__(self, search: SearchDir, uri: str, experiment_name: str | None = None) -> None:
        """Name the search and the store; nothing is contacted before `sync`.

        Raises:
            BadInput: There can be no MLflow store at that URI.
        """
        self._search = search
        name = experiment_name or search.info.name
        self._recorder = Recorder(uri, name, folders=_FOLDERS, keeps_view=False)
        self._ledger = self._recorder.ledger
        self._histories = Histories()
        self._done: dict[str, tuple[str, TrialRow, str]] = {}
        self._told_until: dict[str, int] = {}

    def read(self, rows: Sequence[TrialRow] | None = None) -> list[History]:
        """Read the search's trials as they are now, or as a table says that was read before."""
        return self._histories.read(self._search, rows)

    def sync(
        self,
        *,
        status: str | None = None,
        histories: Sequence[History] | None = None,
        report: Mapping[str, bytes] | None = None,
    ) -> SearchReport:
        """Bring MLflow up to what the search directory says.

        Args:
            status: MLflow status of the search; by default FINISHED once there is a summary, and
                as it is before that.
            histories: Its trials, where they were read already.
            report: Pages and charts to show with it, by file name; others that stand in the
                directory's own report go with them. None leaves what is shown as it is.

        Raises:
            MlflowException: MLflow does not answer; what was sent stands, the next sync sends
                the rest.
            BadInput: The experiment was deleted in MLflow.
        """
        search, ledger = self._search, self._ledger
        info = read_search_info(search)
        histories = self.read() if histories is None else histories
        rows = [history.row for history in histories]
        experiment = ledger.experiment()
        own = search.info
        found = ledger.open(experiment, _SEARCH_ID, own.search_id, own.name, own.created)
        parent = found.info.run_id
        is_over = search.summary() is not None
        status = status or ("FINISHED" if is_over else found.info.status)
        if status == "RUNNING":
            ledger.set_status(found, status)
        ledger.send_params(found, flatten(yaml.safe_load(search.search_yaml())))
        synced = [
            self._sync_trial(experiment, history, parent, mlflow_status(history.row, status))
            for history in histories
        ]
        self._send_best(parent, histories, info)
        ledger.send_tags(found, search_tags(search, rows, info))
        ledger.send_files(found, self._own_files(), _FILES)
        if report is not None:
            ledger.send_files(found, self._pages(report), _REPORT)
        ledger.show_view(experiment, search_view_tag(histories, info))
        ends = (one.timestamp_ms for history in histories for one in history.records)
        ledger.set_status(found, status, ends)
        news = [one for one in synced if one is not None]
        return SearchReport(
            parent,
            self._recorder.experiment_name,
            len(rows),
            len(news),
            sum(epochs for epochs, _ in news),
            sum(images for _, images in news),
            status,
            view_path(experiment.experiment_id),
        )

    def _sync_trial(
        self, experiment: Experiment, history: History, parent: str, status: str
    ) -> tuple[int, int] | None:
        """Sync a trial that has news; return the epochs and pictures that were sent."""
        row = history.row
        state = (parent, row, status)
        if self._done.get(row.run) == state or (row.status == "PENDING" and history.run is None):
            return None
        tags = trial_tags(row, parent)
        if history.run is None:
            if row.status == "FAILED":
                self._stand_in(experiment, row, tags)
            sent = (0, 0)
        else:
            if row.run not in self._done:
                self._withdraw_stand_in(experiment, row)
            report = self._recorder.sync(
                history.run, status=status, tags=tags, records=history.records
            )
            self._ledger.send_metrics(report.mlflow_run_id, perturbations(history))
            sent = (report.sent, report.images)
        self._done[row.run] = state
        return sent

    def _stand_in(self, experiment: Experiment, row: TrialRow, tags: Mapping[str, str]) -> None:
        """Show a trial that failed before it had a run directory."""
        key = self._stand_in_id(row)
        found = self._ledger.open(experiment, RUN_ID, key, row.trial, self._search.info.created)
        self._ledger.send_params(found, flatten(row.values))
        self._ledger.send_tags(found, tags)
        self._ledger.set_status(found, "FAILED")

    def _withdraw_stand_in(self, experiment: Experiment, row: TrialRow) -> None:
        for found in self._ledger.find(experiment, RUN_ID, self._stand_in_id(row)):
            self._ledger.client.delete_run(found.info.run_id)

    def _stand_in_id(self, row: TrialRow) -> str:
        return uuid.uuid5(uuid.UUID(self._search.info.search_id), row.run).hex

    def _send_best(self, parent: str, histories: Sequence[History], info: SearchInfo) -> None:
        if parent not in self._told_until:
            told = self._ledger.client.get_metric_history(parent, best_metric(info))
            self._told_until[parent] = max((point.timestamp for point in told), default=-1)
        points = best_so_far(histories, info, self._told_until[parent])
        self._ledger.send_metrics(parent, points)
        if points:
            self._told_until[parent] = points[-1].timestamp

    def _own_files(self) -> dict[str, bytes]:
        search = self._search
        return {name: search.read_bytes(name) for name in _OWN_FILES if search.exists(name)}

    def _pages(self, drawn: Mapping[str, bytes]) -> dict[str, bytes]:
        """Join what was drawn with what others put into the search's report."""
        pages = {f"{FOLDER}/{name}": content for name, content in drawn.items()}
        others = [name for name in self._search.list(FOLDER) if name not in pages]
        return pages | {name: self._search.read_bytes(name) for name in others}


def sync_search(uri: str, search: SearchDir, experiment: str | None = None) -> SearchReport:
    """Write a search with all its trials and its report to MLflow, once.

    Args:
        uri: MLflow tracking URI.
        search: The search directory, which is left as it is.
        experiment: MLflow experiment; named as the search by default.

    Raises:
        BadInput: The store cannot be reached (`ssgan.tracking.store.check`).
    """
    check(uri)
    recorder = SearchRecorder(search, uri, experiment)
    histories = recorder.read()
    return recorder.sync(histories=histories, report=SearchPages().draw(search, histories))
