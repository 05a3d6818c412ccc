"""``ssgan figures``: draw the figures of a run again."""

from __future__ import annotations

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, show


@click.command(
    short_help="Draw the figures of a run again.",
    epilog="""\b
Examples:
  ssgan figures runs/digits                        into runs/digits/figures
  ssgan figures runs/digits --checkpoint best
""",
)
@click.argument("run", metavar="RUN")
@click.option("--checkpoint", default="last", show_default=True, help="last, best, or its name.")
def figures(run: str, checkpoint: str) -> None:
    """Draw all figures of a run from a checkpoint: class rows, traversals, loss curve, confusion.

    They go to RUN/figures, over those of the same name.
    """
    log_to_stderr()
    with nothing_on_stdout():
        from ssgan.cli import loaded_run as reopened
        from ssgan.launch.outcome import draw_figures

        opened = reopened.reopen(run, checkpoint)
        found = reopened.evaluate(opened, opened.experiment, ("raw", "ema"))
        try:
            names = draw_figures(opened.run)  # the curves of the record
            for name, content in found.pngs().items():
                opened.run.write_bytes(f"figures/{name}.png", content)
        except OSError as error:
            raise BadInput(f"cannot write to {opened.run.locate('figures')}: {error}") from error
    drawn = {*names, *(f"figures/{name}.png" for name in found.images)}
    for name in sorted(drawn):
        show(opened.run.locate(name))
