"""``ssgan search``: many trainings at once, the bad ones stopped early, the best one registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ssgan.base.errors import TrialsFailed
from ssgan.cli.options import is_assignment, place_options, warn_of_doubles
from ssgan.cli.screen import say
from ssgan.cli.verb import Answer, Verb

if TYPE_CHECKING:
    from ssgan.tuning.search import Search


@click.command(
    cls=Verb,
    short_help="Search over settings with many trainings at once.",
    json="the summary",
    examples="""\
  ssgan search                                     the weights of the objective, on MNIST
  ssgan search --search annealing mnist training.epochs=20
  ssgan search --search my-search.yaml search.trials=32 scaling.gpus=0.25
  ssgan search --resume lambdas-mnist              resume after a crash or Ctrl-C
  ssgan search --resume lambdas-mnist search.trials=32 training.epochs=40    ... with more of them
\b
On a cluster: ray submit cluster.yaml tune/run.py -- --search lambdas mnist""",
)
@click.argument("arguments", metavar="[PRESET|FILE.yaml] [FIELD=VALUE]...", nargs=-1)
@click.option(
    "--search",
    "source",
    default="lambdas",
    show_default=True,
    metavar="NAME|FILE.yaml",
    help="What to search: a search that ships, or a file of your own.",
)
@place_options(
    *("search", "searches"),
    name="Name of the search in there; by default a free one like SEARCH-PRESET.",
    resume=("NAME", "Resume the search of this name in OUT."),
)
def search(
    arguments: tuple[str, ...],
    source: str,
    out: str,
    name: str | None,
    resume: str | None,
    replace: bool,
) -> Answer:
    """Search over settings: stage one chooses, stage two runs the best again with fresh seeds.

    Everything goes to OUT/NAME: the table of trials, a run directory for each, pages and charts,
    and summary.json with the figures of the winner. Fields of the experiment are set for all
    trials by their dotted names, fields of the search as search.FIELD=VALUE.
    """
    from ssgan.cli.search_screen import SearchScreen, search_summary
    from ssgan.launch.location import check_writable, join, settle_name
    from ssgan.records.searchdir import SearchDir
    from ssgan.tuning.program import run_search

    definition = _search(arguments, source, None if resume is None else join(out, resume))
    check_writable(out)
    usual = f"{definition.name}-{definition.base.name}"
    place = resume or settle_name(out, name, usual, kind=SearchDir, replace=replace)
    length = definition.base.training
    say(
        f"{definition.name}: {definition.total} trials of {definition.base.name}, at most "
        f"{length.epochs} epochs of {length.steps_per_epoch} updates of {length.batch_size} "
        f"images each, into {join(out, place)}"
    )
    with SearchScreen(definition) as screen:
        result = run_search(
            *(definition, out, place),
            resume=resume is not None,
            replace=replace,
            progress=screen.prepare,
            opened=screen.follow,
        )
    summary = result.summary
    failure = TrialsFailed(
        f"{summary['failed']} of {summary['trials']} trials failed, as the table says; "
        f"`ssgan search --resume {place}` starts them again"
    )
    shown = search_summary(result.directory, summary, result.view)
    return Answer([shown], summary, failure if summary["failed"] else None)


def _search(arguments: tuple[str, ...], source: str, resume: str | None) -> Search:
    from ssgan.records.searchdir import SearchDir
    from ssgan.tuning import Search, load_search
    from ssgan.tuning.loading import change_search

    warn_of_doubles(arguments)
    named = bool(arguments) and not is_assignment(arguments[0])
    if resume is not None:
        started = SearchDir.open(resume).read_definition(Search)
        if not named:
            return change_search(started, arguments) if arguments else started
    return load_search(
        source, arguments[0] if named else None, arguments[1:] if named else arguments
    )
