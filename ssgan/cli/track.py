"""``ssgan track``: MLflow, filled from run and search directories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, say, show, show_json

if TYPE_CHECKING:
    from ssgan.records.rundir import RunDir
    from ssgan.records.searchdir import SearchDir


class _Synced(NamedTuple):
    """A directory that is in MLflow now."""

    facts: dict[str, Any]
    """What `--json` tells of it."""
    line: str
    """What the screen tells of it."""


@click.group(short_help="Fill MLflow from run and search directories.")
def track() -> None:
    """Fill MLflow from run and search directories, which hold everything it shows."""


@track.command(
    epilog="""\b
Examples:
  ssgan track sync runs/digits                                 catch up after MLflow was down
  ssgan track sync runs/lambdas                                a search with all its trials
  ssgan track sync runs/* --uri http://mlflow:5000             fill another server
  ssgan track sync runs/* --uri sqlite:////data/mlflow.db --experiment all
"""
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--uri", help="MLflow tracking URI; the one each run was recorded in by default.")
@click.option(
    "--experiment",
    help="MLflow experiment for all of them; by default that of a run's preset or a search's name.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def sync(runs: tuple[str, ...], uri: str | None, experiment: str | None, as_json: bool) -> None:
    """Write run directories and search directories to MLflow.

    Runs that were never recorded go to MLFLOW_TRACKING_URI, or beside themselves.

    What is there already is not written twice, so this can be repeated at will. Among the
    arguments (runs/*) what is neither run nor search is passed over when others are.
    """
    log_to_stderr()
    with nothing_on_stdout():
        from ssgan.cli.run_location import uri_of
        from ssgan.cli.train_summary import show_tracking

        opened, searches = _open(runs)
        places: dict[str, list[_Synced]] = {}
        for run in opened:
            place = uri or uri_of(run)
            places.setdefault(place, []).append(_sync_run(run, place, experiment))
        for search in searches:
            place = uri or uri_of(search)
            places.setdefault(place, []).append(_sync_search(search, place, experiment))
    synced = [one for members in places.values() for one in members]
    if as_json:
        facts = [one.facts for one in synced]
        written = {"runs": [one for one in facts if "run_dir" in one]}
        found = [one for one in facts if "search_dir" in one]
        show_json({**written, "searches": found} if found else written)
        return
    for one in synced:
        show(one.line)
    for place in places:
        show(f"look at them: {show_tracking(place)}")


def _sync_run(run: RunDir, place: str, experiment: str | None) -> _Synced:
    from ssgan.tracking import sync_all

    (report,) = sync_all(place, [run], experiment)
    say(f"{run.location}: {report.sent} epochs and {report.images} pictures sent")
    return _Synced(
        {"run_dir": run.location, "tracking_uri": place, **report._asdict()},
        f"{run.info.name}: {report.epochs} epochs in MLflow experiment {report.experiment}, "
        f"{report.status}",
    )


def _sync_search(search: SearchDir, place: str, experiment: str | None) -> _Synced:
    from ssgan.tracking import sync_search

    report = sync_search(place, search, experiment)
    say(
        f"{search.location}: {report.epochs} epochs and {report.images} pictures of "
        f"{report.synced} trials sent"
    )
    return _Synced(
        {"search_dir": search.location, "tracking_uri": place, **report._asdict()},
        f"{search.info.name}: {report.trials} trials in MLflow experiment {report.experiment}, "
        f"{report.status}",
    )


def _open(locations: tuple[str, ...]) -> tuple[list[RunDir], list[SearchDir]]:
    from ssgan.records.rundir import RunDir
    from ssgan.records.searchdir import SearchDir

    runs: list[RunDir] = []
    searches: list[SearchDir] = []
    others = []
    for location in locations:
        folder = RunDir(location)
        if folder.local_path is not None and not folder.local_path.exists():
            raise BadInput(f"there is no {folder.location}; give run or search directories")
        if folder.exists("run.json"):
            runs.append(RunDir.open(location))
        elif folder.exists("search.json"):
            searches.append(SearchDir.open(location))
        else:
            others.append(location)
    if not runs and not searches:
        raise BadInput(f"none of these is a run or search directory: {', '.join(locations)}")
    if others:
        say(f"passed over, since they are no runs: {', '.join(others)}", style="dim")
    return runs, searches
