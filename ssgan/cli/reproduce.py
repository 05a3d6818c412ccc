"""``ssgan reproduce``: one of the paper's experiments, and its report."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput, TrialsFailed
from ssgan.cli.options import out_option, warn_of_doubles
from ssgan.cli.screen import say
from ssgan.cli.verb import Answer, Verb

if TYPE_CHECKING:
    from ssgan.paper.plans import Size

_NAMES = ["mnist", "svhn", "celeba", "cifar10", "mnist-authors", "mnist-turned"]


@click.command(
    cls=Verb,
    short_help="Rebuild one of the paper's experiments, with a report.",
    json="the summary",
    examples="""\
  ssgan reproduce mnist --budget smoke data.source.root=mnist   the whole report, in minutes
  ssgan reproduce mnist --seeds 3                               the claims, within two hours
  ssgan reproduce cifar10 --budget paper scaling.gpus=0.5       on a cluster with GPUs
  ssgan reproduce mnist --labels 10 --labels 20 --labels 50 --name few-labels
  ssgan reproduce mnist --rebuild                               the report again, without training
  ssgan reproduce svhn --first-seed 2 --seeds 1 --name more     a third seed, once two are there
  ssgan reproduce svhn --rebuild --with more                    one report of all three
""",
)
@click.argument("experiment", type=click.Choice(_NAMES))
@click.argument("overrides", metavar="[FIELD=VALUE]...", nargs=-1)
@click.option(
    "--budget",
    "size",
    type=click.Choice(["smoke", "cpu", "paper"]),
    default="cpu",
    show_default=True,
    help="How much to compute: minutes, hours on two cores, or what the paper took.",
)
@click.option("--seeds", type=int, metavar="N", help="Runs of each label budget.")
@click.option("--first-seed", type=int, metavar="S", help="The first run's seed; 0 by default.")
@click.option(
    "--labels",
    "amounts",
    multiple=True,
    metavar="AMOUNT",
    help="A label budget, 10 or 1%, repeatable; instead of the paper's.",
)
@out_option("Folder, or URI, of the experiments.")
@click.option("--name", help="Name in OUT; paper-DATA-BUDGET by default.")
@click.option("--rebuild", is_flag=True, help="Write the report of the runs that are finished.")
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="NAME",
    help="With --rebuild: a further experiment in OUT, of other seeds, in the same report; "
    "repeatable.",
)
def reproduce(
    experiment: str,
    overrides: tuple[str, ...],
    size: Size,
    seeds: int | None,
    first_seed: int | None,
    amounts: tuple[str, ...],
    out: str,
    name: str | None,
    rebuild: bool,
    others: tuple[str, ...],
) -> Answer:
    """Train a grid over label budgets and seeds, and report the paper's figures and claims.

    Everything goes to one folder in OUT; the report is in its folder `paper`, as one HTML file
    and as Markdown. What is there already is not computed again: the same command resumes after a
    crash or Ctrl-C. Fields of all runs follow by their dotted names.
    """
    if rebuild and (overrides or amounts or seeds is not None or first_seed is not None):
        raise BadInput(
            "--rebuild trains nothing; leave out --seeds, --first-seed, --labels and the fields"
        )
    warn_of_doubles(overrides)
    if others and not rebuild:
        raise BadInput("--with joins finished experiments; it goes with --rebuild")

    from ssgan.cli.search_screen import SearchScreen
    from ssgan.launch.location import check_writable, join
    from ssgan.paper import program
    from ssgan.paper.plans import PLANS
    from ssgan.records.searchdir import SearchDir

    plan = PLANS[experiment]
    name = name or f"paper-{experiment}-{size}"
    if rebuild:
        joined = [SearchDir.open(join(out, other)) for other in (name, *others)]
        report = program.write_report(plan, joined[0], joined[1:])
        return _answer({"report": report, "failed": 0})
    budgets = [int(amount) if amount.isdecimal() else amount for amount in amounts]
    search = plan.search(size, seeds, overrides, budgets or None, first_seed or 0)
    check_writable(out)
    length = search.base.training
    say(
        f"{plan.title}: {search.total} runs of {length.epochs} epochs of {length.steps_per_epoch} "
        f"updates, into {join(out, name)}"
    )
    given: list[tuple[str, object]] = [("--labels", amount) for amount in amounts]
    given = [("--budget", size), ("--seeds", seeds), ("--first-seed", first_seed), *given]
    options = [word for pair in given if pair[1] is not None for word in map(str, pair)]
    command = shlex.join(["ssgan", "reproduce", experiment, *options, *overrides])
    with SearchScreen(search) as screen:
        return _answer(
            program.reproduce(
                *(plan, search, size, out, name, command),
                progress=screen.prepare,
                opened=screen.follow,
            )
        )


def _answer(summary: dict[str, Any]) -> Answer:
    pages = [file for file in summary["report"] if file.endswith((".html", ".md"))]
    failure = TrialsFailed(
        f"{summary['failed']} of {summary.get('trials')} runs failed, and the report is of the "
        "others; the same command starts them again"
    )
    lines = [f"report  {page}" for page in pages]
    return Answer(lines, summary, failure if summary["failed"] else None)
