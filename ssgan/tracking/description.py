"""What MLflow says of a search on its page: how far it is, its best trial, and tables of trials."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssgan.base.formatting import short_names, spell, spell_all
from ssgan.base.markdown_text import table
from ssgan.evaluation import catalog
from ssgan.records.search_info import SearchInfo
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.tracking.best import winning_configuration

_WORDS = {
    "FINISHED": "finished",
    "STOPPED": "stopped early",
    "FAILED": "failed",
    "RUNNING": "running",
    "PAUSED": "paused",
    "PENDING": "waiting",
}
_LISTED = 10  # trials in a description


def search_tags(
    search: SearchDir, rows: Sequence[TrialRow], info: SearchInfo, summary: Mapping[str, Any]
) -> dict[str, str]:
    """Return the tags of a search's run, one of which is the description, in Markdown.

    The summary is empty where the search is not over.
    """
    counts = Counter[str](row.status for row in rows)
    said = ", ".join(f"{counts[key]} {word}" for key, word in _WORDS.items() if counts[key])
    known = rank_trials((row for row in rows if row.stage == "search" and row.is_scored), info)
    best = next(iter(known), None)
    tags = {
        "ssgan.search_dir": search.location,
        "ssgan.trials": said or "none yet",
        "mlflow.note.content": _describe(rows, info, said, best, summary),
    }
    if summary.get("winner"):
        tags["ssgan.winner"] = str(summary["winner"]).rpartition("/")[2]
    if best is not None:
        tags["ssgan.best_trial"] = best.trial
    return tags


def rank_trials(rows: Iterable[TrialRow], info: SearchInfo) -> list[TrialRow]:
    """Return trials in the order of their values, the best first."""
    return sorted(rows, key=lambda row: (info.rank(row.metric), row.trial))


def pictured_trials(rows: Iterable[TrialRow], info: SearchInfo) -> frozenset[str]:
    """Return the run directories of which all pictures go to MLflow: finals and the best ones."""
    rows = list(rows)
    of_stage_one = rank_trials((row for row in rows if row.stage == "search"), info)
    ranked = sorted(of_stage_one, key=lambda row: not row.is_scored)
    finals = (row.run for row in rows if row.stage == "final")
    return frozenset([*finals, *(row.run for row in ranked[: info.pictures])])


def _describe(
    rows: Sequence[TrialRow],
    info: SearchInfo,
    counts: str,
    best: TrialRow | None,
    summary: Mapping[str, Any],
) -> str:
    """Write the description that MLflow shows on the run's page, in Markdown."""
    lines = [f"**{counts or 'No trial yet'}**"]
    if winner := next((row for row in rows if row.run == summary.get("winner")), None):
        lines.append(_describe_winner(winner, info, summary))
    elif best is not None:
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


def _describe_winner(winner: TrialRow, info: SearchInfo, summary: Mapping[str, Any]) -> str:
    """Say in a paragraph what won, over its seeds, and what became of it."""
    first = winning_configuration(summary)
    parts = [f"\nWinner: {winner.trial} ({spell_all(winner.values)})."]
    if first.get("mean") is not None and first.get("spread") is not None:
        parts.append(
            f"{catalog.title(info.metric)} {first['mean']:.4f} ± {first['spread']:.4f} "
            f"(mean and standard deviation of {first['n']} runs)."
        )
    if winner.metric is not None:
        middle = "the one in the middle" if first.get("n", 1) % 2 else "the worse of the middle two"
        parts.append(f"This run, {middle}, has {winner.metric:.4f}.")
    if summary.get("model"):
        rank = ", the champion" if summary.get("champion") else ""
        parts.append(f"Registered as {summary['model']}, version {summary['model_version']}{rank}.")
    return " ".join(parts)


def _table(rows: Sequence[TrialRow], info: SearchInfo) -> list[str]:
    ranked = rank_trials(rows, info)
    short = short_names([row.values for row in ranked])
    fields = list(dict.fromkeys(name for row in ranked for name in row.values))
    head = ["trial", catalog.title(info.metric), *(short[name] for name in fields), "status"]
    cells_of = []
    for row in ranked[:_LISTED]:
        cells = [spell(row.values[name]) if name in row.values else "" for name in fields]
        cells_of.append([row.trial, f"{row.metric:.4f}", *cells, _WORDS[row.status]])
    lines = [table(head, cells_of)]
    if len(ranked) > _LISTED:
        lines += ["", f"and {len(ranked) - _LISTED} more"]
    return lines
