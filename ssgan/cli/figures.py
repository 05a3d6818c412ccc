"""``ssgan figures``: draw the figures of a run again."""

from __future__ import annotations

import click

from ssgan.base.errors import BadInput
from ssgan.cli.options import run_options
from ssgan.cli.verb import Answer, Verb


@click.command(
    cls=Verb,
    short_help="Draw the figures of a run again.",
    examples="""\
  ssgan figures runs/digits                        into runs/digits/figures
  ssgan figures runs/digits --checkpoint best
""",
)
@run_options
def figures(run: str, checkpoint: str) -> Answer:
    """Draw all figures of a run from a checkpoint: class rows, traversals, loss curve, confusion.

    They go to RUN/figures, over those of the same name.
    """
    from ssgan.cli.evaluate import score
    from ssgan.launch.loaded_run import load_run
    from ssgan.launch.outcome import draw_figures
    from ssgan.records.searchdir import hold_record

    loaded = load_run(run, checkpoint)
    drawn = score(loaded, loaded.experiment, ("raw", "ema"))[0].pngs()
    try:
        with hold_record(loaded.run):
            names = draw_figures(loaded.run, drawn)
    except OSError as error:
        raise BadInput(f"cannot write to {loaded.run.locate('figures')}: {error}") from error
    return Answer([loaded.run.locate(name) for name in sorted(names)])
