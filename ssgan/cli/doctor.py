"""``ssgan doctor``: what this machine has, what is missing, and what helps."""

from __future__ import annotations

import sys

import click

from ssgan.cli.options import out_option
from ssgan.cli.screen import nothing_on_stdout, show, show_json, table, waiting


@click.command(
    short_help="Examine this machine.",
    epilog="""\b
Examples:
  ssgan doctor                              this machine, its disk, its GPUs, Ray
  ssgan doctor --workers 4 --out /data/runs
  ssgan doctor --uri http://mlflow:5000     does the tracking server answer?
  RAY_ADDRESS=auto ssgan doctor             the cluster that this machine belongs to
  ssgan doctor --no-ray --json              quick, for scripts
""",
)
@out_option("Where runs will go, a folder or a URI.")
@click.option("--workers", type=click.IntRange(min=1), default=1, help="Workers that shall train.")
@click.option(
    *("--uri", "uri"),
    envvar="MLFLOW_TRACKING_URI",
    show_envvar=True,
    help="MLflow tracking URI to reach as well.",
)
@click.option("--ray/--no-ray", "with_ray", default=True, help="Start or join Ray (10 s or more).")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def doctor(out: str, workers: int, uri: str | None, with_ray: bool, as_json: bool) -> None:
    """Examine this machine and what it can reach; exit with 1 when something is wrong.

    With RAY_ADDRESS set, every node of that cluster is examined too: its versions, whether it
    shares the folder of runs, whether workers on different nodes will find each other.
    """
    from ssgan.base.storage import default_cache
    from ssgan.cluster import examine

    with nothing_on_stdout(), waiting("examining this machine"):
        checks = list(
            examine(
                out,
                default_cache(),
                workers=workers,
                tracking=None if uri is None else lambda: _reach_tracking(uri),
                with_ray=with_ray,
            )
        )
    if as_json:
        show_json({"checks": [vars(check) for check in checks]})
    else:
        rows = table("", "check", "found", "what to do")
        for check in checks:
            remedy = "" if check.ok else check.remedy
            rows.add_row("ok" if check.ok else "WRONG", check.name, check.detail, remedy)
        show(rows)
    if not all(check.ok for check in checks):
        sys.exit(1)


def _reach_tracking(uri: str) -> str:
    from ssgan.tracking import check

    check(uri)
    return f"{uri} answers"
