"""``ssgan track``: MLflow, filled from run directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, say, show, show_json
from ssgan.errors import BadInput

if TYPE_CHECKING:
    from ssgan.rundir import RunDir


@click.group(short_help="Fill MLflow from run directories.")
def track() -> None:
    """Fill MLflow from run directories, which hold everything it shows."""


@track.command(
    epilog="""\b
Examples:
  ssgan track sync runs/digits                                 catch up after MLflow was down
  ssgan track sync runs/* --uri http://mlflow:5000             fill another server
  ssgan track sync runs/* --uri sqlite:////data/mlflow.db --experiment all
"""
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--uri", help="MLflow tracking URI; the one each run was recorded in by default.")
@click.option("--experiment", help="MLflow experiment for all of them; their presets' by default.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def sync(runs: tuple[str, ...], uri: str | None, experiment: str | None, as_json: bool) -> None:
    """Write run directories to MLflow.

    Runs that were never recorded go to MLFLOW_TRACKING_URI, or beside themselves.

    What is there already is not written twice, so this can be repeated at will. Among the
    arguments (runs/*) what is no run is passed over when others are runs.
    """
    log_to_stderr()
    with nothing_on_stdout():
        from ssgan.cli.outcome import show_tracking
        from ssgan.cli.places import uri_of
        from ssgan.tracking import SyncReport, sync_all

        opened = _open(runs)
        by_uri: dict[str, list[RunDir]] = {}
        for run in opened:
            by_uri.setdefault(uri or uri_of(run), []).append(run)
        reports: list[tuple[RunDir, str, SyncReport]] = []
        for place, members in by_uri.items():
            for run in members:
                (report,) = sync_all(place, [run], experiment)
                reports.append((run, place, report))
                say(f"{run.location}: {report.sent} epochs and {report.images} pictures sent")
    if as_json:
        written = [
            {"run_dir": run.location, "tracking_uri": place, **report._asdict()}
            for run, place, report in reports
        ]
        show_json({"runs": written})
        return
    for run, _, report in reports:
        show(
            f"{run.info.name}: {report.epochs} epochs in MLflow experiment {report.experiment}, "
            f"{report.status}"
        )
    for place in by_uri:
        show(f"look at them: {show_tracking(place)}")


def _open(locations: tuple[str, ...]) -> list[RunDir]:
    from ssgan.rundir import RunDir

    opened, others = [], []
    for location in locations:
        folder = RunDir(location)
        if folder.local_path is not None and not folder.local_path.exists():
            raise BadInput(f"there is no {folder.location}; give run directories")
        if folder.exists("run.json"):
            opened.append(RunDir.open(location))
        else:
            others.append(location)
    if not opened:
        raise BadInput(f"none of these is a run directory: {', '.join(locations)}")
    if others:
        say(f"passed over, since they are no runs: {', '.join(others)}", style="dim")
    return opened
