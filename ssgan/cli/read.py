"""``ssgan read``: labels for images that nobody labeled."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.options import is_assignment, run_options
from ssgan.cli.screen import progress, say, table, visible, waiting
from ssgan.cli.verb import Answer, Verb, writing

_SHOWN = 5  # unreadable images that are listed
_MEASURED = ("nll", "ece")


@click.command(
    cls=Verb,
    short_help="Label images by what the networks read.",
    json="what was read, and how sure it is",
    examples="""\
  ssgan read runs/photos                          the images that it was trained on, to read.csv
  ssgan read runs/photos more-photos              a folder of others
  ssgan read runs/faces faces.parquet --out faces-read.parquet
  ssgan read runs/photos scans data.source.resize=crop
  ssgan read runs/digits mnist data.source.size=16     a preset's images
""",
)
@run_options
@click.argument("arguments", metavar="[FOLDER|FILE|PRESET] [data.source.FIELD=VALUE]...", nargs=-1)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("read.csv"),
    show_default=True,
    help="The table, FILE.csv or FILE.parquet.",
)
@click.option("--replace", is_flag=True, help="Move a file of that name aside, to FILE.1 or so.")
def read(run: str, checkpoint: str, arguments: tuple[str, ...], out: Path, replace: bool) -> Answer:
    """Read every code of images with Q_ss and Q_us, and write a table: a row an image.

    Each code has its value, a class name or a number in your units, and how sure that is: the
    probability of the class, calibrated on held-out labels where there are enough. A search stands
    for its winner. FILE is a Parquet file or an experiment file. `FILE.csv.json` says how sure the
    confidences themselves are.
    """
    from ssgan.launch.input_images import find_source, is_input, open_source
    from ssgan.launch.loaded_run import load_run
    from ssgan.launch.reading import check_target, write_readings

    given, values = _split(arguments)
    check_target(out, replace)
    loaded = load_run(run, checkpoint)
    experiment, shape = loaded.experiment, loaded.dataset.manifest.shape
    config = find_source(experiment, shape, given, values)
    if is_input(out, config) or is_input(out, experiment.data.source):
        raise BadInput(f"--out {out} would be taken for one of the files that are read")
    with waiting("looking at the images"):
        source = open_source(config, experiment.data.source, shape)
    with progress("reading") as advance, writing(out, "--out"):
        facts = write_readings(loaded, source, out, replace=replace, progress=advance)
    if facts["unreadable"]:
        names = facts["unreadable_names"][:_SHOWN]
        more = facts["unreadable"] - len(names)
        listed = ", ".join(names) + (f" and {more:,} more" if more else "")
        count = f"{facts['unreadable']:,} of {facts['images']:,} images cannot be read"
        say(visible(f"{count}, and their cells are empty: {listed}"), style="yellow")
    return Answer(_screen(out, facts), facts)


def _split(arguments: tuple[str, ...]) -> tuple[str | None, dict[str, Any]]:
    """Tell the images from the overrides of their source."""
    from ssgan.experiment.loading import parse_overrides

    given = arguments[0] if arguments else None
    if given is not None and is_assignment(given) and not Path(given).exists():
        given = None
    overrides = arguments[given is not None :]
    for override in overrides:
        if not is_assignment(override):
            raise BadInput(f"{override!r} is too much: {given} is read already")
    return given, dict(parse_overrides(overrides))


def _screen(out: Path, facts: Mapping[str, Any]) -> list[Any]:
    lines: list[Any] = [
        f"{out}: {facts['images']:,} images of {facts['source']}, read by Q of {facts['run']} "
        f"after {facts['step']:,} updates"
    ]
    rows = table("code", "held-out labels ", "right ", "scale ", "NLL ", "calibration error ")
    for code in facts["codes"]:
        if code["reason"]:
            lines.append(f"{code['name']}: confidences are as they are: {code['reason']}")
            continue
        changes = (f"{code['before'][what]:.3f} → {code['after'][what]:.3f}" for what in _MEASURED)
        known = f"{code['measured']:,}", f"{code['right']:.1%}", f"{code['scale']:.3f}"
        rows.add_row(code["name"], *known, *changes)
    if rows.row_count:
        lines += [
            rows,
            f"calibrated on {facts['labels_from']}, of which Q_ss never learned: half of them fit "
            "the scale, the other half measure",
        ]
    if facts["labels_from"] == "the test split":
        lines.append("(the judge C is trained on the test split; nothing here uses C)")
    lines.append(f"how it was made: {shlex.quote(str(out))}.json")
    return lines
