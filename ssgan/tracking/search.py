"""A search in MLflow: a parent run with its definition and report, and a child for each trial."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from mlflow.entities import Metric

from ssgan.base.formatting import flat_values, number, short_names, spell, spell_all
from ssgan.evaluation import catalog
from ssgan.records.histories import Histories, History
from ssgan.records.search_info import SearchInfo, read_search_info
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.report.pages import FOLDER, SearchPages
from ssgan.tracking.recorder import RUN_ID, Recorder, flatten
from ssgan.tracking.store import check
from ssgan.tracking.view import search_view_tag, view_path

_SEARCH_ID = "ssgan.search_id"
_FILES, _REPORT = "ssgan.artifacts", "ssgan.report"
_OWN_FILES = ("search.yaml", "trials.json", "summary.json")
_FOLDERS = ("figures",)  # the winner's export becomes a registered model; the others stay at home

_WORDS = {
    "FINISHED": "finished",
    "STOPPED": "stopped early",
    "FAILED": "failed",
    "RUNNING": "running",
    "PAUSED": "paused",
    "PENDING": "waiting",
}
_LISTED = 10  # trials in a description


class SearchSyncResult(NamedTuple):
    """What one sync of a search did."""

    mlflow_run_id: str
    """The search's run in MLflow, the parent of its trials."""
    experiment: str
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

    It remembers what it has read and sent, so that the next sync costs what is new.
    """

    def __init__(self, search: SearchDir, uri: str, experiment_name: str | None = None) -> None:
        """Raise `BadInput` where there can be no MLflow store at that URI."""
        self._search = search
        name = experiment_name or search.info.name
        self._recorder = Recorder(uri, name, folders=_FOLDERS, keeps_view=False)
        self._experiment = self._recorder.experiment
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
        pages: Mapping[str, bytes] | None = None,
    ) -> SearchSyncResult:
        """Bring MLflow up to what the search directory says.

        Args:
            status: MLflow status of the search; by default FINISHED once there is a summary, and
                as it is before that.
            histories: Its trials, where they were read already.
            pages: Pages and charts to show with it, by file name; others that stand in the
                directory's own report go with them. None leaves what is shown as it is.

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
        own = search.info
        found = experiment.open(_SEARCH_ID, own.search_id, own.name, own.created)
        parent = found.info.run_id
        status = status or (found.info.status if search.summary() is None else "FINISHED")
        if status == "RUNNING":
            experiment.set_status(found, status)
        experiment.send_params(found, flatten(yaml.safe_load(search.definition())))
        synced = [
            self._sync_trial(history, parent, mlflow_status(history.row, status))
            for history in histories
        ]
        self._send_best(parent, histories, info)
        experiment.send_tags(found, _search_tags(search, rows, info))
        files = {name: search.read_bytes(name) for name in _OWN_FILES if search.exists(name)}
        experiment.send_files(found, files, _FILES)
        if pages is not None:
            shown = {f"{FOLDER}/{name}": content for name, content in pages.items()}
            others = [name for name in search.list(FOLDER) if name not in shown]
            shown |= {name: search.read_bytes(name) for name in others}
            experiment.send_files(found, shown, _REPORT)
        experiment.show_view(search_view_tag(histories, info))
        ends = (one.timestamp_ms for history in histories for one in history.records)
        experiment.set_status(found, status, ends)
        news = [one for one in synced if one is not None]
        return SearchSyncResult(
            parent,
            experiment.name,
            len(rows),
            len(news),
            sum(epochs for epochs, _ in news),
            sum(images for _, images in news),
            status,
            view_path(experiment.id),
        )

    def _sync_trial(self, history: History, parent: str, status: str) -> tuple[int, int] | None:
        """Sync a trial that has news; return the epochs and pictures that were sent."""
        row = history.row
        state = (parent, row, status)
        if self._done.get(row.run) == state or (row.status == "PENDING" and history.run is None):
            return None
        tags = _trial_tags(row, parent)
        if history.run is None:
            if row.status == "FAILED":
                self._stand_in(row, tags)
            sent = (0, 0)
        else:
            if row.run not in self._done:
                self._withdraw_stand_in(row)
            synced = self._recorder.sync(
                history.run, status=status, tags=tags, records=history.records
            )
            self._experiment.send_metrics(synced.mlflow_run_id, _perturbations(history))
            sent = (synced.sent, synced.images)
        self._done[row.run] = state
        return sent

    def _stand_in(self, row: TrialRow, tags: Mapping[str, str]) -> None:
        """Show a trial that failed before it had a run directory."""
        key = self._stand_in_id(row)
        found = self._experiment.open(RUN_ID, key, row.trial, self._search.info.created)
        self._experiment.send_params(found, flatten(row.values))
        self._experiment.send_tags(found, tags)
        self._experiment.set_status(found, "FAILED")

    def _withdraw_stand_in(self, row: TrialRow) -> None:
        for found in self._experiment.find(RUN_ID, self._stand_in_id(row)):
            self._experiment.client.delete_run(found.info.run_id)

    def _stand_in_id(self, row: TrialRow) -> str:
        return uuid.uuid5(uuid.UUID(self._search.info.search_id), row.run).hex

    def _send_best(self, parent: str, histories: Sequence[History], info: SearchInfo) -> None:
        if parent not in self._told_until:
            told = self._experiment.client.get_metric_history(parent, f"best/{info.metric}")
            self._told_until[parent] = max((point.timestamp for point in told), default=-1)
        points = _best_so_far(histories, info, self._told_until[parent])
        self._experiment.send_metrics(parent, points)
        if points:
            self._told_until[parent] = points[-1].timestamp


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


def _search_tags(search: SearchDir, rows: Sequence[TrialRow], info: SearchInfo) -> dict[str, str]:
    counts = Counter[str](row.status for row in rows)
    said = ", ".join(f"{counts[key]} {word}" for key, word in _WORDS.items() if counts[key])
    known = _ranked((row for row in rows if row.stage == "search" and row.is_scored), info)
    best = next(iter(known), None)
    tags = {
        "ssgan.search_dir": search.location,
        "ssgan.trials": said or "none yet",
        "mlflow.note.content": _describe(rows, info, said, best),
    }
    if best is not None:
        tags["ssgan.best_trial"] = best.trial
    return tags


def _ranked(rows: Iterable[TrialRow], info: SearchInfo) -> list[TrialRow]:
    return sorted(rows, key=lambda row: (info.rank(row.metric), row.trial))


def _best_so_far(histories: Iterable[History], info: SearchInfo, after: int) -> list[Metric]:
    """Return how the best value of stage one improved, after a time in milliseconds.

    The step counts the epochs of all trials until then. Trials report from several machines, so
    that an epoch may come late; what was told before stands.
    """
    reported = sorted(
        (record.timestamp_ms, history.row.trial, value)
        for history in histories
        if history.row.stage == "search"
        for record, value in history.curve(info.metric)
    )
    points = []
    best: float | None = None
    for step, (timestamp, _, value) in enumerate(reported, start=1):
        if best is None or info.is_better(value, best):
            best = value
            if timestamp > after:
                points.append(Metric(f"best/{info.metric}", value, timestamp, step))
    return points


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


def _describe(
    rows: Sequence[TrialRow], info: SearchInfo, counts: str, best: TrialRow | None
) -> str:
    """Write the description that MLflow shows on the run's page, in Markdown."""
    lines = [f"**{counts or 'No trial yet'}**"]
    if best is not None:
        lines.append(
            f"Best of the search: {best.trial} with {catalog.title(info.metric)} "
            f"{best.metric:.4f} ({spell_all(best.values)})"
        )
    for stage, title in (("final", "Finals, scored by another judge"), ("search", "Search")):
        of_stage = [row for row in rows if row.stage == stage and row.metric is not None]
        if of_stage:
            lines += ["", f"### {title}", "", *_table(of_stage, info)]
    lines += ["", "The artifacts in `report/` show all trials: `contact-sheet.html`, and charts."]
    return "\n".join(lines)


def _table(rows: Sequence[TrialRow], info: SearchInfo) -> list[str]:
    ranked = _ranked(rows, info)
    short = short_names([row.values for row in ranked])
    fields = list(dict.fromkeys(name for row in ranked for name in row.values))
    head = ["trial", catalog.title(info.metric), *(short[name] for name in fields), "status"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in ranked[:_LISTED]:
        cells = [row.trial, f"{row.metric:.4f}", *(_cell(row.values, name) for name in fields)]
        lines.append(f"| {' | '.join([*cells, _WORDS[row.status]])} |")
    if len(ranked) > _LISTED:
        lines += ["", f"and {len(ranked) - _LISTED} more"]
    return lines


def _cell(values: Mapping[str, Any], name: str) -> str:
    return spell(values[name]).replace("|", "\\|") if name in values else ""
