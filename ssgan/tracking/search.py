"""A search in MLflow: a parent run with its definition and report, and a child for each trial."""

import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from mlflow.entities import Metric

from ssgan.base.formatting import flat_values, number
from ssgan.records.histories import Histories, History
from ssgan.records.search_info import SearchInfo, read_search_info
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.report.pages import FOLDER, SearchPages
from ssgan.tracking.best import BestSoFar, progress_name, result_points
from ssgan.tracking.description import pictured_trials, search_tags
from ssgan.tracking.mlflow_experiment import MlflowRun, digest_of
from ssgan.tracking.recorder import RUN_ID, Recorder, flatten
from ssgan.tracking.store import check, has_one_writer
from ssgan.tracking.view import MARK, WINNER, search_view_tags, view_path

_SEARCH_ID = "ssgan.search_id"
_FILES, _REPORT = "ssgan.artifacts", "ssgan.report"
_OWN_FILES = ("search.yaml", "trials.json", "summary.json")
_FOLDERS = ("figures",)  # the winner's export becomes a registered model; the others stay at home

_THREADS = 4  # trials that are sent to a server at a time
_CROWD, _EPOCHS = 250, 5  # in a search of more trials, so many epochs of one that does not lead


class SearchSyncResult(NamedTuple):
    """What one sync of a search did."""

    mlflow_run_id: str
    """The search's run in MLflow, the parent of its trials."""
    experiment: str
    trials: int
    """Trials in the table."""
    synced: int
    """How many of them had news that was sent."""
    epochs: int
    """Epochs that this sync sent."""
    images: int
    """Pictures that this sync sent."""
    status: str
    """MLflow's status of the search: RUNNING, FINISHED, FAILED or KILLED."""
    view: str
    """Path behind a server's address that shows the trials side by side."""
    missing: int = 0
    """Trials whose news there was no time for."""


class _State(NamedTuple):
    """A trial as MLflow has it, or is to have it."""

    parent: str
    row: TrialRow
    status: str
    """MLflow's."""
    shows_all: bool
    """Whether pictures of every epoch are there, or those of the last one alone."""
    has_won: bool
    """Whether it is the run that stands for the search."""


class SearchRecorder:
    """Writes one search directory to the MLflow experiment of its name.

    It remembers what it has read and sent, so that the next sync costs what is new. A server is
    sent several trials at a time.
    """

    def __init__(self, search: SearchDir, uri: str, experiment_name: str | None = None) -> None:
        """Raise `BadInput` where there can be no MLflow store at that URI."""
        self._search = search
        name = experiment_name or search.info.name
        self._recorder = Recorder(uri, name, folders=_FOLDERS, keeps_view=False)
        self._experiment = self._recorder.experiment
        self._threads = 1 if has_one_writer(uri) else _THREADS
        self._histories = Histories()
        self._parent: MlflowRun | None = None
        self._done: dict[str, _State] = {}
        self._stand_ins: dict[str, list[MlflowRun]] = {}
        self._marked: set[str | None] = set()

    def read(self, rows: Sequence[TrialRow] | None = None) -> list[History]:
        """Read the search's trials as they are now, or as a table says that was read before."""
        return self._histories.read(self._search, rows)

    def sync(
        self,
        *,
        status: str | None = None,
        histories: Sequence[History] | None = None,
        pages: Mapping[str, bytes] | None = None,
        has_time: Callable[[], bool] = lambda: True,
    ) -> SearchSyncResult:
        """Bring MLflow up to what the search directory says.

        Args:
            status: MLflow status of the search; by default FINISHED once there is a summary and no
                trial is under way, and as it is before that.
            histories: Its trials, where they were read already.
            pages: Pages and charts to show with it, by file name; others that stand in the
                directory's own report go with them, and so do the search's files and the ready
                view. None leaves what is shown as it is, unless the search has ended.
            has_time: Asked before each trial. Where it says no, the others wait for the next sync.

        Raises:
            MlflowException: MLflow does not answer; what was sent stands, the next sync sends
                the rest.
            BadInput: The experiment was deleted in MLflow.
        """
        search, experiment = self._search, self._experiment
        info = read_search_info(search)
        histories = self.read() if histories is None else histories
        rows = [history.row for history in histories]
        experiment.refresh()
        is_first = self._parent is None
        try:
            parent = self._parent = self._parent or self._open(info)
            summary = search.summary()
            is_over = summary is not None and all(row.is_over for row in rows)
            status = status or ("FINISHED" if is_over else parent.status)
            if status == "RUNNING":
                experiment.set_status(parent, status)
            winner = None if summary is None else summary.get("winner")
            news = self._find_news(histories, parent, status, info, winner)
            counts = self._sync_trials(news, has_time)
            definition = search.definition_tree() if is_first else {}
            experiment.send(
                parent,
                params=flatten(definition),
                tags=search_tags(search, rows, info, summary or {}),
                metrics=[
                    *self._best.points(histories, [one for one, _ in news]),
                    *(result_points(histories, info, summary) if summary else ()),
                ],
            )
            run = next((history.run for history in histories if history.records), None)
            if run is not None and not parent.has_inputs:
                self._recorder.send_inputs(parent, run)
            if pages is not None or is_first or status != "RUNNING":
                self._show(parent, pages)
                experiment.show_views(search_view_tags(histories, info))
            ends = (one.timestamp_ms for history in histories for one in history.records)
            experiment.set_status(parent, status, ends)
        except Exception:
            self._parent = None  # somebody may have deleted it: look it up again
            raise
        return SearchSyncResult(
            parent.id,
            experiment.name,
            len(rows),
            len(counts),
            sum(epochs for epochs, _ in counts),
            sum(images for _, images in counts),
            status,
            view_path(experiment.id),
            len(news) - len(counts),
        )

    def _open(self, info: SearchInfo) -> MlflowRun:
        """Find the search in MLflow, or make it, and see what is there of it."""
        own = self._search.info
        parent = self._experiment.open(_SEARCH_ID, own.search_id, own.name, own.created)
        told = self._experiment.client.get_metric_history(parent.id, progress_name(info))
        self._best = BestSoFar(info, told)
        child = {"mlflow.parentRunId": parent.id}
        self._stand_ins = {}
        for found in self._experiment.find(child | {"ssgan.status": "FAILED"}):
            self._stand_ins.setdefault(found.tags.get(RUN_ID, ""), []).append(found)
        marked = self._experiment.find(child | {MARK: WINNER})
        self._marked = {found.tags.get("ssgan.trial") for found in marked}
        return parent

    def _mark(self, row: TrialRow, has_won: bool) -> dict[str, str]:
        """Return the tags that tell the winner from the others, also by its name.

        In MLflow's charts the name is all that is seen of a run. One that is the winner no more,
        since the search went on, is not called so any more.
        """
        if has_won:
            self._marked.add(row.trial)
            return {MARK: WINNER, "mlflow.runName": f"{row.trial} ({WINNER})"}
        return {MARK: "", "mlflow.runName": row.trial} if row.trial in self._marked else {}

    def _show(self, parent: MlflowRun, pages: Mapping[str, bytes] | None) -> None:
        """Send the search's own files, and its report where it was drawn."""
        search = self._search
        groups = {
            _FILES: {name: search.read_bytes(name) for name in _OWN_FILES if search.exists(name)}
        }
        if pages is not None:
            shown = {f"{FOLDER}/{name}": content for name, content in pages.items()}
            others = [name for name in search.list(FOLDER) if name not in shown]
            groups[_REPORT] = shown | {name: search.read_bytes(name) for name in others}
        digests = {mark: digest_of(files) for mark, files in groups.items() if files}
        news = {mark: one for mark, one in digests.items() if parent.tags.get(mark) != one}
        self._experiment.upload(parent, {n: c for mark in news for n, c in groups[mark].items()})
        self._experiment.send(parent, tags=news)

    def _find_news(
        self,
        histories: Sequence[History],
        parent: MlflowRun,
        status: str,
        info: SearchInfo,
        winner: str | None,
    ) -> list[tuple[History, _State]]:
        """Return the trials that are not in MLflow as they are now."""
        pictured = pictured_trials((one.row for one in histories), info)
        news = []
        for history in histories:
            row = history.row
            shows_all = row.run in pictured
            in_mlflow = mlflow_status(row, status)
            state = _State(parent.id, row, in_mlflow, shows_all, row.run == winner)
            waits = row.status == "PENDING" and history.run is None
            if not waits and self._is_news(state, self._done.get(row.run), len(histories)):
                news.append((history, state))
        return news

    @staticmethod
    def _is_news(state: _State, done: _State | None, trials: int) -> bool:
        """Whether a trial is to be sent now: in a large search several epochs at a time."""
        # Pictures of one that no longer leads stay.
        if done is None or state in (done, done._replace(shows_all=False)):
            return done is None
        if trials <= _CROWD or state.shows_all or done[2:] != state[2:]:
            return True
        new = state.row.epoch - done.row.epoch
        return done.row.status != state.row.status or not 0 < new < _EPOCHS

    def _sync_trials(
        self, news: Sequence[tuple[History, _State]], has_time: Callable[[], bool]
    ) -> list[tuple[int, int]]:
        """Sync trials while there is time; return the epochs and pictures sent of each."""
        failed = threading.Event()

        def sync(one: tuple[History, _State]) -> tuple[int, int] | None:
            if failed.is_set() or not has_time():
                return None
            try:
                return self._sync_trial(*one)
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(self._threads, "mlflow") as pool:
            return [sent for sent in pool.map(sync, news) if sent is not None]

    def _sync_trial(self, history: History, state: _State) -> tuple[int, int]:
        """Sync a trial; return the epochs and pictures that were sent."""
        parent, row, status, shows_all, has_won = state
        tags = _trial_tags(row, parent) | self._mark(row, has_won)
        sent = (0, 0)
        if history.run is not None:
            self._withdraw_stand_in(row)
            ends = row.is_over or status != "RUNNING"
            pictured = [record.epoch for record in history.records if record.images]
            last = pictured[-1] if pictured and ends else None
            synced = self._recorder.sync(
                history.run,
                status=status,
                tags=tags,
                records=history.records,
                pictured=lambda record: shows_all or record.epoch == last,
                more=_perturbations(history),
                is_current=True,
            )
            sent = (synced.sent, synced.images)
        elif row.status == "FAILED":
            self._stand_in(row, tags)
        self._done[row.run] = state
        return sent

    def _stand_in(self, row: TrialRow, tags: Mapping[str, str]) -> None:
        """Show a trial that failed before it had a run directory."""
        key = self._stand_in_id(row)
        found = self._experiment.open(RUN_ID, key, row.trial, self._search.info.created)
        self._experiment.send(found, params=flatten(row.values), tags=tags)
        self._experiment.set_status(found, "FAILED")
        self._stand_ins[key] = [found]

    def _withdraw_stand_in(self, row: TrialRow) -> None:
        """Delete what stood for a trial before it had a run directory."""
        for found in self._stand_ins.pop(self._stand_in_id(row), ()):
            self._experiment.client.delete_run(found.id)

    def _stand_in_id(self, row: TrialRow) -> str:
        return uuid.uuid5(uuid.UUID(self._search.info.search_id), row.run).hex


def sync_search(uri: str, search: SearchDir, experiment: str | None = None) -> SearchSyncResult:
    """Write a search with all its trials and its report to MLflow, once.

    The experiment is named as the search by default. The directory is left as it is.

    Raises:
        BadInput: The store cannot be reached (`ssgan.tracking.store.check`).
    """
    check(uri)
    recorder = SearchRecorder(search, uri, experiment)
    histories = recorder.read()
    return recorder.sync(histories=histories, pages=SearchPages().draw(search, histories))


def mlflow_status(row: TrialRow, search_status: str) -> str:
    """Return a trial's status in MLflow's words.

    A trial that the scheduler stopped did what was asked of it: it is FINISHED there, and its
    tags say STOPPED and why. One that was still under way when its search ended ends with it.
    """
    if row.status in ("FINISHED", "STOPPED"):
        return "FINISHED"
    if row.status == "FAILED":
        return "FAILED"
    return "RUNNING" if search_status == "RUNNING" else "KILLED"


def _trial_tags(row: TrialRow, parent: str) -> dict[str, str]:
    tags = {
        "mlflow.parentRunId": parent,
        "ssgan.trial": row.trial,
        "ssgan.stage": row.stage,
        "ssgan.seed": str(row.seed),
        "ssgan.status": row.status,
    }
    reason = row.reason or ("by the scheduler" if row.status == "STOPPED" else None)
    if reason:
        tags["ssgan.stop_reason"] = reason
    if row.lineage:
        tags["ssgan.lineage"] = json.dumps(
            [exploit.model_dump(mode="json") for exploit in row.lineage], ensure_ascii=False
        )
        tags["ssgan.donors"] = ", ".join(one.source_trial for one in row.lineage)
    return tags


def _perturbations(history: History) -> list[Metric]:
    """Return what population-based training made of a trial's settings, as metrics.

    Params cannot change in MLflow. Each setting has a point at the first epoch that was trained
    with it.
    """
    row = history.row
    if not row.lineage:
        return []
    changes = [(0, row.values), *((exploit.epoch, exploit.values) for exploit in row.lineage)]
    metrics = []
    for number_of, (epoch, values) in enumerate(changes):
        end = changes[number_of + 1][0] if number_of + 1 < len(changes) else row.epoch
        first = next((one for one in history.records if epoch < one.epoch <= end), None)
        if first is None:
            continue
        for name, value in flat_values(values).items():
            if (shown := number(value)) is not None:
                metrics.append(Metric(name, shown, first.timestamp_ms, first.epoch))
    return metrics
