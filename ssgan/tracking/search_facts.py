"""What MLflow is told of a search and its trials beside their records."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlflow.entities import Metric

from ssgan.base.formatting import flat_values, number, short_names, spell, spell_all
from ssgan.evaluation import catalog
from ssgan.records.histories import History
from ssgan.records.search_info import SearchInfo
from ssgan.records.searchdir import SearchDir, TrialRow

_WORDS = {
    "FINISHED": "finished",
    "STOPPED": "stopped early",
    "FAILED": "failed",
    "RUNNING": "running",
    "PAUSED": "paused",
    "PENDING": "waiting",
}
_LISTED = 10  # trials in a description


def mlflow_status(row: TrialRow, search_status: str) -> str:
    """Return a trial's status in MLflow's words.

    A trial that the scheduler stopped did what was asked of it: it is FINISHED there, and its
    tags say STOPPED and why. One that was still under way when its search ended ends with it.

    Args:
        row: The trial.
        search_status: MLflow's status of the search.
    """
    if row.status in ("FINISHED", "STOPPED"):
        return "FINISHED"
    if row.status == "FAILED":
        return "FAILED"
    return "RUNNING" if search_status == "RUNNING" else "KILLED"


def trial_tags(row: TrialRow, parent: str) -> dict[str, str]:
    """Return the tags of a trial.

    Args:
        row: The trial.
        parent: The search's run in MLflow.
    """
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
        tags["ssgan.donors"] = ", ".join(exploit.donor for exploit in row.lineage)
    return tags


def search_tags(search: SearchDir, rows: Sequence[TrialRow], info: SearchInfo) -> dict[str, str]:
    """Return the tags of a search: where it is, how its trials fare, a description."""
    best = best_row(rows, info)
    tags = {
        "ssgan.search_dir": search.location,
        "ssgan.trials": count_words(rows) or "none yet",
        "mlflow.note.content": _describe(rows, info),
    }
    if best is not None:
        tags["ssgan.best_trial"] = best.trial
    return tags


def count_words(rows: Iterable[TrialRow]) -> str:
    """Count trials by status: ``16 finished, 3 stopped early``."""
    counts: Counter[str] = Counter(row.status for row in rows)
    return ", ".join(f"{counts[key]} {word}" for key, word in _WORDS.items() if counts[key])


def best_row(rows: Iterable[TrialRow], info: SearchInfo) -> TrialRow | None:
    """Return the trial of stage one with the best value of those that did not fail."""
    known = [row for row in rows if row.stage == "search" and row.is_scored]
    return min(known, key=lambda row: (info.rank(row.metric), row.trial), default=None)


def best_so_far(histories: Iterable[History], info: SearchInfo, after: int) -> list[Metric]:
    """Return how the best value of stage one improved over all its trials' epochs.

    The step counts the epochs of all trials until then. Trials report from several machines, so
    that an epoch may come late; what was told before stands.

    Args:
        histories: The trials.
        info: The search.
        after: Only points later than this, milliseconds since 1970 UTC.
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
                points.append(Metric(best_metric(info), value, timestamp, step))
    return points


def best_metric(info: SearchInfo) -> str:
    """Return the name of the search's own metric."""
    return f"best/{info.metric}"


def perturbations(history: History) -> list[Metric]:
    """Return what population based training made of a trial's settings, as metrics.

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


def _describe(rows: Sequence[TrialRow], info: SearchInfo) -> str:
    """Write the description that MLflow shows on the run's page, in Markdown."""
    lines = [f"**{count_words(rows) or 'No trial yet'}**"]
    best = best_row(rows, info)
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
    ranked = sorted(rows, key=lambda row: (info.rank(row.metric), row.trial))
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
