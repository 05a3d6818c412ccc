"""``ssgan doctor``: what this machine has, what is missing, and what helps."""

from __future__ import annotations

from functools import partial

import click

from ssgan.cli.options import out_option
from ssgan.cli.screen import table, waiting
from ssgan.cli.verb import Answer, Verb


@click.command(
    cls=Verb,
    short_help="Examine this machine.",
    json="the checks",
    examples="""\
  ssgan doctor                              this machine, its disk, its GPUs, Ray
  ssgan doctor --workers 4 --out /data/runs
  ssgan doctor --uri http://mlflow:5000     does the tracking server answer?
  RAY_ADDRESS=auto ssgan doctor             the cluster that this machine belongs to
  ssgan doctor --no-ray --json              quick, for scripts
""",
)
@out_option("Where runs will go, a folder or a URI.")
@click.option("--workers", type=click.IntRange(min=1), default=1, help="Workers that will train.")
@click.option(
    *("--uri", "uri"),
    envvar="MLFLOW_TRACKING_URI",
    show_envvar=True,
    help="MLflow tracking URI to reach as well.",
)
@click.option("--ray/--no-ray", "with_ray", default=True, help="Start or join Ray (10 s or more).")
def doctor(out: str, workers: int, uri: str | None, with_ray: bool) -> Answer:
    """Examine this machine and what it can reach; exit with 1 when something is wrong.

    With RAY_ADDRESS set, every node of that cluster is examined too: its versions, whether it
    shares the folder of runs, whether workers on different nodes will find each other.
    """
    from ssgan.base.storage import default_cache
    from ssgan.cluster.examination import examine

    tracking = None if uri is None else partial(_reach_tracking, uri)
    with waiting("examining this machine"):
        checks = [*examine(out, default_cache(), workers, tracking, with_ray)]
    rows = table("", "check", "found", "what to do")
    for check in checks:
        remedy = "" if check.ok else check.remedy
        rows.add_row("ok" if check.ok else "WRONG", check.name, check.detail, remedy)
    is_well = all(check.ok for check in checks)
    facts = {"checks": [vars(check) for check in checks]}
    return Answer([rows], facts, None if is_well else SystemExit(1))


def _reach_tracking(uri: str) -> str:
    from ssgan.tracking.store import check

    check(uri)
    return f"{uri} answers"
