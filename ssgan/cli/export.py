"""``ssgan export``: the generator of a run as a folder that needs neither Ray nor MLflow."""

from __future__ import annotations

import shlex
from typing import Literal

import click

from ssgan.cli.options import copy_option, run_options
from ssgan.cli.screen import program
from ssgan.cli.verb import Answer, Verb, writing


@click.command(
    cls=Verb,
    short_help="Write a generator with named codes.",
    examples="""\
  ssgan export runs/digits                                  into runs/digits/export
  ssgan export runs/digits --checkpoint best --out digits-generator
  ssgan export runs/digits --copy raw --out raw-weights
""",
)
@run_options
@copy_option("G's moving average or its raw weights.", default="ema")
@click.option("--out", help="The folder, or its URI; RUN/export by default.")
def export(run: str, checkpoint: str, copy_of: Literal["ema", "raw"], out: str | None) -> Answer:
    """Write a generator with named codes: safetensors and one JSON.

    `NamedGenerator.load(FOLDER).sample(digit=7, n=16)` needs torch alone, on a CPU.
    """
    from ssgan.export.format import save_export
    from ssgan.launch.loaded_run import load_run
    from ssgan.launch.outcome import export, write_export
    from ssgan.records.searchdir import hold_record

    loaded = load_run(run, checkpoint)
    files = export(loaded, copy_of)
    where = out if out is not None else loaded.run.locate("export")
    with writing(where, "--out"):
        if out is not None:
            save_export(out, files)
        else:
            with hold_record(loaded.run):
                write_export(loaded.run, files)
    copy = "moving average (EMA)" if copy_of == "ema" else "raw weights"
    hint = f"after {loaded.step:,} updates; try: {program('ssgan')} sample {shlex.quote(where)}"
    return Answer([f"{where}: G {copy}", hint])
