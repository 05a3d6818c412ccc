"""``ssgan track``: MLflow, filled from run and search directories."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import say
from ssgan.cli.verb import Answer, Verb

if TYPE_CHECKING:
    from ssgan.records.rundir import RunDir
    from ssgan.records.searchdir import SearchDir


@click.group(short_help="Fill MLflow from run and search directories.")
def track() -> None:
    """Fill MLflow from run and search directories, which hold everything it shows."""


@track.command(
    cls=Verb,
    json="what was written",
    examples="""\
  ssgan track sync runs/digits                                 catch up after MLflow was down
  ssgan track sync runs/lambdas                                a search with all its trials
  ssgan track sync runs/* --uri http://mlflow:5000             fill a server
  ssgan track sync runs/* --uri sqlite:////data/mlflow.db --experiment all
""",
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--uri", help="MLflow tracking URI; by default the file each run was recorded in.")
@click.option(
    "--experiment",
    help="MLflow experiment for all of them; by default that of a run's preset or a search's name.",
)
def sync(runs: tuple[str, ...], uri: str | None, experiment: str | None) -> Answer:
    """Write run directories and search directories to MLflow.

    By default they go to MLFLOW_TRACKING_URI, or to the file that they were recorded in, or to
    mlflow.db beside them. A server that a directory names, which may be somebody else's, is sent
    nothing unless it is given as --uri.

    What is there already is not written twice, so this can be repeated at will. Among the
    arguments (runs/*) what is neither run nor search is passed over when others are.
    """
    from ssgan.cli.train_screen import show_tracking

    facts: dict[str, list[dict[str, Any]]] = {"runs": [], "searches": []}
    lines: list[str] = []
    for record in _open(runs):
        place = uri or _uri_of(record)
        report, line = _sync(record, place, experiment)
        several = "runs" if record.what == "run" else "searches"
        names = {f"{record.what}_dir": record.location, "tracking_uri": place}
        facts[several].append({**names, **report})
        lines.append(line)
    told = [one for some in facts.values() for one in some]
    places = dict.fromkeys(one["tracking_uri"] for one in told)
    for place in places:
        views = [one["view"] for one in told if one["tracking_uri"] == place]
        lines += (" ".join(row) for row in show_tracking("look at them:", place, views))
    return Answer(lines, {name: some for name, some in facts.items() if some or name == "runs"})


def _sync(
    record: RunDir | SearchDir, place: str, experiment: str | None
) -> tuple[dict[str, Any], str]:
    """Return what `--json` tells of the directory, and the line for people."""
    from ssgan.records.rundir import RunDir
    from ssgan.tracking.recorder import SyncResult, sync_run
    from ssgan.tracking.search import SearchSyncResult, sync_search

    report: SyncResult | SearchSyncResult
    if isinstance(record, RunDir):
        report = sync_run(place, record, experiment)
        size, sent = f"{report.epochs} epochs", f"{report.sent} epochs"
        of = ""
    else:
        report = sync_search(place, record, experiment)
        size, sent = f"{report.trials} trials", f"{report.epochs} epochs"
        of = f" of {report.synced} trials"
    say(f"{record.location}: {sent} and {report.images} pictures{of} sent")
    return report._asdict(), (
        f"{record.info.name}: {size} in MLflow experiment {report.experiment}, {report.status}"
    )


def _open(locations: tuple[str, ...]) -> list[RunDir | SearchDir]:
    from ssgan.records.rundir import RunDir
    from ssgan.records.searchdir import SearchDir

    found: dict[type[RunDir | SearchDir], list[str]] = {RunDir: [], SearchDir: []}
    others: list[str] = []
    for location in locations:
        folder = RunDir(location)
        if folder.local_path is not None and not folder.local_path.exists():
            raise BadInput(f"there is no {folder.location}; give run or search directories")
        kinds = [kind for kind in found if folder.exists(kind.identity_file)]
        (found[kinds[0]] if kinds else others).append(location)
    opened = [kind.open(location) for kind, some in found.items() for location in some]
    if not opened:
        raise BadInput(f"none of these is a run or search directory: {', '.join(locations)}")
    if others:
        say(f"passed over, since they are not runs: {', '.join(others)}", style="dim")
    return opened


def _uri_of(record: RunDir | SearchDir) -> str:
    """Return the MLflow tracking URI of a run or search for which none is given."""
    from ssgan.base.storage import split
    from ssgan.tracking.store import default_uri, has_one_writer, store_beside, store_of

    out = split(record.location)[0]
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return default_uri(out)
    tree = record.definition_tree()
    experiment = tree.get("base", tree)
    tracking = experiment.get("tracking") if isinstance(experiment, dict) else None
    chosen = tracking.get("uri") if isinstance(tracking, dict) else None
    recorded = chosen or (record.summary() or {}).get("tracking_uri")
    beside = store_beside(out)
    is_elsewhere = recorded is not None and not has_one_writer(str(recorded))
    if beside is not None and (chosen is None or is_elsewhere):
        if recorded not in (None, beside):
            say(f"{record.location} was recorded in {recorded}; {beside} beside it is used")
        return beside
    if is_elsewhere:
        raise BadInput(
            f"{record.location} says that it was recorded in {recorded}; nothing is sent to an "
            "address that a directory names, so if it is yours, add --uri "
            f"{shlex.quote(str(recorded))}"
        )
    if recorded is None and record.local_path is None:
        raise BadInput(
            f"{record.location} names no tracking store; give it with --uri or MLFLOW_TRACKING_URI"
        )
    return store_of(recorded, out)
