"""``ssgan export``: the generator of a run as a folder, without Ray and MLflow, or as ONNX."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import click

from ssgan.base.errors import BadInput
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
  ssgan export runs/digits --onnx digits.onnx               for other runtimes, as one file
""",
)
@run_options
@copy_option("G's moving average or its raw weights.", default="ema")
@click.option("--out", help="The folder, or its URI; RUN/export by default.")
@click.option("--onnx", metavar="FILE", help="An ONNX file, instead of the folder if no --out is.")
def export(
    run: str,
    checkpoint: str,
    copy_of: Literal["ema", "raw"],
    out: str | None,
    onnx: str | None,
) -> Answer:
    """Write a generator with named codes: safetensors and one JSON.

    `NamedGenerator.load(FOLDER).sample(digit=7, n=16)` needs torch alone, on a CPU.

    An ONNX file has G alone: an input for each code, one for the noise, and images. It is compared
    with torch before it is written, and needs the extra `onnx`.
    """
    if onnx is not None:
        _check_onnx(onnx)
    from ssgan.export.format import MANIFEST, parse_manifest, save_export
    from ssgan.launch.loaded_run import load_run
    from ssgan.launch.outcome import export, write_export
    from ssgan.records.searchdir import hold_record

    loaded = load_run(run, checkpoint)
    files = export(loaded, copy_of)
    copy = "moving average (EMA)" if copy_of == "ema" else "raw weights"
    after = f"after {loaded.step:,} updates"
    lines = []
    if onnx is not None:
        from ssgan.base.storage import Folder, split
        from ssgan.export.onnx_file import pack_onnx

        manifest = parse_manifest(files[MANIFEST], MANIFEST)
        packed = pack_onnx(manifest, loaded.snapshot.generators[copy_of])
        parent, name = split(onnx)
        with writing(onnx, "--onnx"):
            Folder(parent).write_bytes(name, packed)
        lines.append(f"{onnx}: G {copy}, {after}, as ONNX; 1,000 latents checked against torch")
    if onnx is None or out is not None:
        where = out if out is not None else loaded.run.locate("export")
        with writing(where, "--out"):
            if out is not None:
                save_export(out, files)
            else:
                with hold_record(loaded.run):
                    write_export(loaded.run, files)
        hint = f"{after}; try: {program('ssgan')} sample {shlex.quote(where)}"
        lines += [f"{where}: G {copy}", hint]
    return Answer(lines)


def _check_onnx(file: str) -> None:
    """Refuse what cannot be written, before the run is loaded."""
    from ssgan.base.storage import split
    from ssgan.export.onnx_file import check_onnx_extra

    if not split(file)[1].endswith(".onnx"):
        raise BadInput(f"--onnx {file} must end in .onnx")
    if Path(file).is_dir():
        raise BadInput(f"--onnx {file} is a folder; name a file")
    check_onnx_extra("ssgan export --onnx")
