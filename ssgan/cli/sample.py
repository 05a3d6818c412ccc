"""``ssgan sample``: pictures from an exported generator, asked for by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import progress
from ssgan.cli.verb import Answer, Verb, importing, writing

if TYPE_CHECKING:
    from ssgan.export.generator import NamedGenerator
    from ssgan.export.grid import Grid

_N = 16  # `ssgan.export.grid.N`, without torch
_CLASSES = 12  # that are counted on the screen
_PICTURES = (".png", ".npy")
_DATA_SETS = ("", ".parquet", ".tar")


@click.command(
    cls=Verb,
    short_help="Make images with codes of your choice.",
    json="what was written",
    is_light=True,
    examples="""\
  ssgan sample runs/digits                            what the generator can do, at random
  ssgan sample runs/digits digit=7 -n 16 --seed 3     sixteen sevens
  ssgan sample runs/digits digit=all -n 8             one row a digit, the same noise in a column
  ssgan sample runs/digits digit=0,3,8 style_1=-2..2  three rows, one code swept along each
  ssgan sample runs/faces Smiling=yes --out faces.npy uint8 array (n, H, W, C) for NumPy
  ssgan sample runs/digits digit=all -n 60000 --out synthetic    a data set: image files by class
  ssgan sample runs/digits --share 0=0.9,1=0.1 -n 60000 --out zeros.parquet
""",
)
@click.argument("source", metavar="RUN|EXPORT")
@click.argument("codes", metavar="[CODE=VALUE]...", nargs=-1)
@click.option(
    *("-n", "n"),
    type=click.IntRange(min=1),
    help=f"Of a picture: images a row; {_N} by default. Of a data set: images in total.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all that is drawn.")
@click.option(
    "--out",
    "outs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="FILE.png for a picture, FILE.npy for an array; repeatable. samples.png by default. A "
    "data set: FOLDER for image files by class with labels.csv, FILE.parquet, or NAME.tar for "
    "WebDataset shards NAME-000000.tar ...",
)
@click.option(
    "--share",
    metavar="SHARES",
    help="How many images of a data set each class gets: estimated (as the run estimated), "
    "uniform, or CLASS=P,CLASS=P.",
)
@click.option(
    "--agreeing",
    is_flag=True,
    help="Leave images out of a data set of which Q_ss reads another class than asked for.",
)
@click.option(
    "--device", default="cpu", show_default=True, help="What computes: cpu, cuda, cuda:1."
)
def sample(
    source: str,
    codes: tuple[str, ...],
    n: int | None,
    seed: int,
    outs: tuple[Path, ...],
    share: str | None,
    agreeing: bool,
    device: str,
) -> Answer:
    """Make images with codes of your choice.

    A class goes by its name, a continuous code by its value in your units. VALUE may also be a
    list (1,2,3), a range (-2..2) or `all` (each class): the first such code makes the rows of the
    picture, a second one its columns. Codes that are not named are drawn at random.

    A data set has n images in total, to which the values of such codes come in turn. Its folders
    are the classes of the first code named that has classes, or else of the first one. Cut off, it
    goes on where it was when the command is repeated.
    """
    outs = outs or (Path("samples.png"),)
    for out in outs:
        if out.suffix not in (*_PICTURES, *_DATA_SETS):
            raise BadInput(
                f"--out {out} must end in .png (a picture), .npy (an array), .parquet or .tar (a "
                "data set), or have no ending (a data set as a folder)"
            )
        if not out.absolute().parent.is_dir():
            raise BadInput(
                f"--out {out}: there is no folder {out.absolute().parent}; make it first"
            )
    is_data_set = any(out.suffix in _DATA_SETS for out in outs)
    if is_data_set and (len(outs) > 1 or n is None):
        lacking = "-n, how many images in total" if n is None else "a command of its own"
        raise BadInput(f"--out {' --out '.join(map(str, outs))}: a data set needs {lacking}")
    if not is_data_set and (share is not None or agreeing):
        option = "--agreeing" if share is None else "--share"
        raise BadInput(f"{option} has no effect on a picture; name a data set by --out FOLDER")
    with importing():
        from ssgan.drawing.grids import generator_name
        from ssgan.export.generator import NamedGenerator
        from ssgan.export.grid import make_grid, read_values

    generator = NamedGenerator.load(source).to(device)
    assigned = dict(_split(codes))
    if is_data_set and n is not None:
        values = read_values(generator, assigned)
        options = {"seed": seed, "codes": values, "share": share, "agreeing": agreeing}
        return _write_data_set(generator, outs[0], n, {**options, "device": device})
    grid = make_grid(generator, assigned, n, seed)
    for out in outs:
        _write(grid, out)
    files = [str(out) for out in outs]
    count = len(grid.images)
    copy = generator_name(generator.manifest.copy_of)
    lines = [
        f"{count} image{'s' * (count != 1)} drawn by {copy}: {', '.join(files)}",
        f"codes: {'; '.join(code.in_words() for code in generator.codes)}",
    ]
    facts = {"files": files, "rows": len(grid.rows), "columns": grid.columns, "seed": seed}
    return Answer(lines, facts)


def _write_data_set(
    generator: NamedGenerator, out: Path, n: int, options: dict[str, Any]
) -> Answer:
    from ssgan.export.labeled_images import write_labeled_images

    with progress("writing") as advance:
        facts = write_labeled_images(generator, out, n, **options, progress=advance)
    files = facts["files"]
    named = files[0] if len(files) == 1 else f"{files[0]} to {Path(files[-1]).name}"
    lines = [f"{facts['images']:,} images with every code: {named}"]
    if options["agreeing"]:
        left_out = facts["left_out"]
        lines.append(
            f"left out, since Q_ss reads another class: {left_out:,} of {n:,} ({left_out / n:.1%})"
        )
    counts = [f"{name} {count:,}" for name, count in [*facts["classes"].items()][:_CLASSES]]
    more = f" and {rest} more" if (rest := len(facts["classes"]) - _CLASSES) > 0 else ""
    return Answer(
        [*lines, f"classes: {', '.join(counts)}{more}"], {**facts, "seed": options["seed"]}
    )


def _split(assignments: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name or not text:
            raise BadInput(f"{assignment!r} names no value; write code=value, as digit=7")
        if name in dict(pairs):
            raise BadInput(f"{name} is set twice; for several values write {name}=A,B")
        pairs.append((name, text))
    return pairs


def _write(grid: Grid, out: Path) -> None:
    import numpy as np

    from ssgan.drawing.sheet import png

    with writing(out, "--out"):
        if out.suffix == ".npy":
            np.save(out, grid.images)
        else:
            out.write_bytes(png(grid.draw()))
