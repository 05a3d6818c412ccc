"""``ssgan export``: the generator of a run as a folder that needs neither Ray nor MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, program, show

if TYPE_CHECKING:
    from ssgan.cli.loaded_run import LoadedRun


@click.command(
    short_help="Write a generator with named codes.",
    epilog="""\b
Examples:
  ssgan export runs/digits                                  into runs/digits/export
  ssgan export runs/digits --checkpoint best --out digits-generator
  ssgan export runs/digits --copy raw --out raw-weights
""",
)
@click.argument("run", metavar="RUN")
@click.option("--checkpoint", default="last", show_default=True, help="last, best, or its name.")
@click.option(
    "--copy",
    "copy_of",
    type=click.Choice(["ema", "raw"]),
    default="ema",
    show_default=True,
    help="G's moving average or its raw weights.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The folder; RUN/export by default.")
def export(run: str, checkpoint: str, copy_of: str, out: Path | None) -> None:
    """Write a generator with named codes: safetensors and one JSON.

    `NamedGenerator.load(FOLDER).sample(digit=7, n=16)` needs torch alone, on a CPU.
    """
    log_to_stderr()
    with nothing_on_stdout():
        from ssgan.cli.loaded_run import reopen

        opened = reopen(run, checkpoint)
        files = _pack(opened, copy_of)
        where = str(out) if out is not None else opened.run.locate("export")
        try:
            _write(opened, files, out)
        except OSError as error:
            raise BadInput(f"cannot write the export to {where}: {error}; use --out") from error
    show(f"{where}: G {'moving average (EMA)' if copy_of == 'ema' else 'raw weights'}")
    show(f"after {opened.reached.step:,} updates; try: {program('ssgan')} sample {where}")


def _pack(opened: LoadedRun, copy_of: str) -> dict[str, bytes]:
    from ssgan.export.format import pack_export

    run, dataset = opened.run, opened.dataset
    return pack_export(
        opened.reached.snapshot.generators[copy_of],
        opened.reached.snapshot.discriminator,
        networks=opened.experiment.networks,
        space=dataset.space,
        shape=dataset.manifest.shape,
        copy_of="ema" if copy_of == "ema" else "raw",
        provenance={
            "run_id": run.run_id,
            "run": run.info.name,
            "experiment": opened.experiment.name,
            "step": opened.reached.step,
            "seed": opened.experiment.seed,
            "data": dataset.manifest.name,
            "data_hash": dataset.manifest.hash,
            "labels": len(dataset.budget),
            "labels_hash": dataset.budget.hash,
        },
    )


def _write(opened: LoadedRun, files: dict[str, bytes], out: Path | None) -> None:
    from ssgan.export.format import save_export

    if out is not None:
        save_export(out, files)
        return
    for name, content in files.items():
        opened.run.write_bytes(f"export/{name}", content)
