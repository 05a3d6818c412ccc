"""``ssgan search``: many trainings at once, the bad ones stopped early, the best one registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ssgan.base.errors import BadInput, TrialsFailed
from ssgan.cli.options import out_option
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, say, show, show_json

if TYPE_CHECKING:
    from ssgan.tuning.search import Search


@click.command(
    short_help="Search over settings with many trainings at once.",
    epilog="""\b
Examples:
  ssgan search                                     the weights of the objective, on MNIST
  ssgan search --search annealing mnist training.epochs=20
  ssgan search --search my-search.yaml search.trials=32 scaling.gpus=0.25
  ssgan search --resume lambdas-mnist              go on after a crash or Ctrl-C
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
@out_option("Folder, or URI, of the searches.")
@click.option(
    "--name", help="Name of the search in there; by default a free one like SEARCH-PRESET."
)
@click.option("--resume", metavar="NAME", help="Go on with the search of this name in OUT.")
@click.option("--replace", is_flag=True, help="Move a search of that name aside, to NAME.1 or so.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, nothing else.")
def search(
    arguments: tuple[str, ...],
    source: str,
    out: str,
    name: str | None,
    resume: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Search over settings: stage one chooses, stage two runs the best again with fresh seeds.

    Everything goes to OUT/NAME: the table of trials, a run directory for each, pages and charts,
    and summary.json with the figures of the winner. Fields of the experiment are set for all
    trials by their dotted names, fields of the search as search.FIELD=VALUE.
    """
    log_to_stderr()
    if resume is not None and (name is not None or replace):
        raise BadInput("--resume goes on with a search; leave out --name and --replace")
    with nothing_on_stdout():
        from ssgan.cli.run_location import choose_name, join, move_aside, refuse_unwritable
        from ssgan.cli.search_screen import SearchScreen
        from ssgan.cli.search_summary import last_screen
        from ssgan.records.searchdir import SearchDir
        from ssgan.tuning.program import run_search

        definition = _search(arguments, source, None if resume is None else join(out, resume))
        refuse_unwritable(out)
        usual = f"{definition.name}-{definition.base.name}"
        if resume is not None:
            place = resume
        elif replace:
            place = name or usual
            move_aside(out, place)
        else:
            place = choose_name(out, name, usual, SearchDir)
        length = definition.base.training
        say(
            f"{definition.name}: {definition.total} trials of {definition.base.name}, at most "
            f"{length.epochs} epochs of {length.steps_per_epoch} updates of {length.batch_size} "
            f"images each, into {join(out, place)}"
        )
        with SearchScreen(definition) as screen:
            result = run_search(
                definition,
                out,
                place,
                resume=resume is not None,
                progress=screen.prepare,
                opened=screen.follow,
            )
    if as_json:
        show_json(result.summary)
    else:
        show(last_screen(result.directory, result.summary))
    if result.summary["failed"]:
        raise TrialsFailed(
            f"{result.summary['failed']} of {result.summary['trials']} trials failed, as the table "
            f"says; `ssgan search --resume {place}` starts them again"
        )


def _search(arguments: tuple[str, ...], source: str, resume: str | None) -> Search:
    """Build the search that the arguments name, or read the one that is resumed."""
    from ssgan.records.searchdir import SearchDir
    from ssgan.tuning import Search, load_search

    if resume is not None:
        started = Search.from_yaml(SearchDir.open(resume).search_yaml())
        if not arguments:
            return started
    named = bool(arguments) and "=" not in arguments[0]
    return load_search(
        source, arguments[0] if named else None, arguments[1:] if named else arguments
    )
