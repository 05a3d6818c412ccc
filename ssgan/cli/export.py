"""``ssgan export``: the generator of a run as a folder, as a page with sliders, or as ONNX."""

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
  ssgan export runs/digits --html digits.html               sliders, in a browser, as one file
  ssgan export runs/digits --onnx digits.onnx               for other runtimes, as one file
""",
)
@run_options
@copy_option("G's moving average or its raw weights.", default="ema")
@click.option("--out", help="The folder, or its URI; RUN/export by default.")
@click.option("--html", metavar="FILE", help="A page with sliders; no folder then without --out.")
@click.option("--onnx", metavar="FILE", help="An ONNX file; no folder then without --out.")
def export(
    run: str,
    checkpoint: str,
    copy_of: Literal["ema", "raw"],
    out: str | None,
    html: str | None,
    onnx: str | None,
) -> Answer:
    """Write a generator with named codes: safetensors, one JSON, and a model card with pictures.

    `NamedGenerator.load(FOLDER).sample(digit=7, n=16)` needs torch alone, on a CPU.

    A page with sliders opens from disk in any browser, without a network. Its weights have 8 bits;
    how near its pictures are to the exact ones is said here and on the page.

    An ONNX file has G alone: an input for each code, one for the noise, and images. It is compared
    with torch before it is written, and needs the extra `onnx`.
    """
    _check_file("--html", html)
    _check_file("--onnx", onnx)
    if onnx is not None:
        from ssgan.export.onnx_file import check_onnx_extra

        check_onnx_extra("ssgan export --onnx")
    from ssgan.base.storage import Folder
    from ssgan.base.threads import use_threads
    from ssgan.export.format import save_export
    from ssgan.launch.loaded_run import load_run
    from ssgan.launch.outcome import EXPORT, export, keep_readme, open_export, write_export
    from ssgan.records.searchdir import hold_record

    loaded = load_run(run, checkpoint)
    with use_threads(loaded.plan(loaded.experiment).threads):
        files = export(loaded, copy_of)
    copy = "moving average (EMA)" if copy_of == "ema" else "raw weights"
    after = f"after {loaded.step:,} updates"
    generator = open_export(loaded, files, copy_of)
    lines = []
    if html is not None:
        from ssgan.export.card import read_card
        from ssgan.export.card_text import to_html
        from ssgan.export.sliders import make_page

        card = read_card(loaded.run, generator.manifest)
        told = "" if card is None else to_html(card, files, title=False)
        page, fidelity = make_page(generator, run, told)
        _write("--html", html, page)
        lines.append(f"{html}: a page of {len(page) / 1e6:.1f} MB, G {copy}, {after}. {fidelity}")
    if onnx is not None:
        _write("--onnx", onnx, generator.to_onnx())
        lines.append(f"{onnx}: G {copy}, {after}, as ONNX; 1,000 latents checked against torch")
    if out is not None or (html is None and onnx is None):
        where = out if out is not None else loaded.run.locate(EXPORT)
        with writing(where, "--out"):
            if out is not None:
                save_export(out, keep_readme(Folder(out), files))
            else:
                with hold_record(loaded.run):
                    write_export(loaded.run, files)
        hint = f"{after}; try: {program('ssgan')} sample {shlex.quote(where)}"
        lines += [f"{where}: G {copy}", hint]
    return Answer(lines)


def _check_file(option: str, file: str | None) -> None:
    """Refuse what cannot be written, before the run is loaded."""
    if file is None:
        return
    from ssgan.base.storage import split

    ending = f".{option.removeprefix('--')}"
    if not split(file)[1].endswith(ending):
        raise BadInput(f"{option} {file} must end in {ending}")
    if Path(file).is_dir():
        raise BadInput(f"{option} {file} is a folder; name a file")


def _write(option: str, file: str, content: bytes) -> None:
    from ssgan.base.storage import Folder, split

    parent, name = split(file)
    with writing(file, option):
        Folder(parent).write_bytes(name, content)
