"""``ssgan reproduce``: one of the paper's experiments, and its report."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput, TrialsFailed
from ssgan.cli.options import out_option
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, say, show, show_json

if TYPE_CHECKING:
    from ssgan.paper.plans import Size

_NAMES = ["mnist", "svhn", "celeba", "cifar10", "mnist-authors", "mnist-turned"]


@click.command(
    short_help="Rebuild one of the paper's experiments, with a report.",
    epilog="""\b
Examples:
  ssgan reproduce mnist --budget smoke data.source.root=mnist   the whole report, in minutes
  ssgan reproduce mnist --seeds 3                               the claims, within two hours
  ssgan reproduce cifar10 --budget paper scaling.gpus=0.5       on a cluster with GPUs
  ssgan reproduce mnist --labels 10 --labels 20 --labels 50 --name few-labels
  ssgan reproduce mnist --rebuild                               the report again, without training
  ssgan reproduce svhn --first-seed 2 --seeds 1 --name more     a third seed, once two are there
  ssgan reproduce svhn --rebuild --with more                    one report of all three
""",
)
@click.argument("name", type=click.Choice(_NAMES))
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
@click.option(
    "--first-seed", type=int, metavar="S", help="Seed of the first of them; 0 by default."
)
@click.option(
    "--labels",
    "amounts",
    multiple=True,
    metavar="AMOUNT",
    help="A label budget, 10 or 1%, repeatable; instead of the paper's.",
)
@click.option("--name", "place", help="Name in OUT; paper-DATA-BUDGET by default.")
@out_option("Folder, or URI, of the experiments.")
@click.option("--rebuild", is_flag=True, help="Write the report of the runs that are finished.")
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="NAME",
    help="With --rebuild: a further experiment in OUT, of other seeds, in the same report; "
    "repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, nothing else.")
def reproduce(
    name: str,
    overrides: tuple[str, ...],
    size: Size,
    seeds: int | None,
    first_seed: int | None,
    amounts: tuple[str, ...],
    place: str | None,
    out: str,
    rebuild: bool,
    others: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train a grid over label budgets and seeds, and report the paper's figures and claims.

    Everything goes to one folder in OUT; the report is in its folder `paper`, as one HTML file
    and as Markdown. What is there already is not computed again: the same command goes on after a
    crash or Ctrl-C. Fields of all runs follow by their dotted names.
    """
    log_to_stderr()
    if rebuild and (overrides or amounts or seeds is not None or first_seed is not None):
        raise BadInput(
            "--rebuild trains nothing; leave out --seeds, --first-seed, --labels and the fields"
        )
    if others and not rebuild:
        raise BadInput("--with joins finished experiments; it goes with --rebuild")
    with nothing_on_stdout():
        from ssgan.cli.run_location import join
        from ssgan.paper.plans import PLANS
        from ssgan.paper.program import write_report
        from ssgan.records.searchdir import SearchDir

        plan = PLANS[name]
        place = place or f"paper-{name}-{size}"
        if rebuild:
            summary: dict[str, Any] = {
                "report": write_report(
                    plan,
                    SearchDir.open(join(out, place)),
                    [SearchDir.open(join(out, other)) for other in others],
                ),
                "failed": 0,
            }
        else:
            summary = _run(name, size, seeds, first_seed, amounts, overrides, out, place)
    if as_json:
        show_json(summary)
    else:
        pages = [file for file in summary["report"] if file.endswith((".html", ".md"))]
        show("\n".join(f"report  {page}" for page in pages))
    if summary["failed"]:
        raise TrialsFailed(
            f"{summary['failed']} of {summary['trials']} runs failed, and the report is of the "
            "others; the same command starts them again"
        )


def _run(
    name: str,
    size: Size,
    seeds: int | None,
    first_seed: int | None,
    amounts: tuple[str, ...],
    overrides: tuple[str, ...],
    out: str,
    place: str,
) -> dict[str, Any]:
    from ssgan.cli.run_location import join, refuse_unwritable
    from ssgan.cli.search_screen import SearchScreen
    from ssgan.paper.plans import PLANS
    from ssgan.paper.program import reproduce as run

    plan = PLANS[name]
    counts = [int(amount) if amount.isdecimal() else amount for amount in amounts]
    search = plan.search(size, seeds, overrides, counts or None, first_seed or 0)
    refuse_unwritable(out)
    length = search.base.training
    say(
        f"{plan.title}: {search.total} runs of {length.epochs} epochs of {length.steps_per_epoch} "
        f"updates, into {join(out, place)}"
    )
    given = ["ssgan", "reproduce", name, "--budget", size]
    given += [] if seeds is None else ["--seeds", str(seeds)]
    given += [] if first_seed is None else ["--first-seed", str(first_seed)]
    given += [word for amount in amounts for word in ("--labels", amount)]
    command = shlex.join([*given, *overrides])
    with SearchScreen(search) as screen:
        return run(
            plan,
            search,
            size,
            out,
            place,
            command,
            progress=screen.prepare,
            opened=screen.follow,
        )
