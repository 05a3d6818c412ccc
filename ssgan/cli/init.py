"""``ssgan init``: from a folder of the user's pictures to an experiment file."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import duration, program, waiting
from ssgan.cli.verb import Answer, Verb, writing

if TYPE_CHECKING:
    from ssgan.data.sources.base import Source
    from ssgan.data.sources.inspect import Inspection
    from ssgan.experiment.tree import Experiment
    from ssgan.labeling.column import Column

_FEW, _MANY = 10_000, 100_000  # pictures
_FORM = re.compile(r"\.(parquet|zip|tar)$", re.IGNORECASE)  # of a file that is given
_SMALLER = 32  # pixels, to compare with
_HEAP = 100  # pictures, of which some are like others


@click.command(
    cls=Verb,
    short_help="Look at your pictures, write an experiment file.",
    examples="""\
  ssgan init my-photos                     writes my-photos.yaml
  ssgan init my-photos --csv labels.csv    a row a file, an empty cell where a label is unknown
  ssgan init photos.zip                    a zip or tar archive, or a folder of them, as they are
  ssgan init faces.parquet                 or a folder of Parquet files, one set of them a split
  ssgan init my-photos --out trial.yaml --force
""",
)
@click.argument("folder", metavar="FOLDER|ARCHIVE|FILE.parquet", type=click.Path(path_type=Path))
@click.option(
    "--csv",
    type=click.Path(path_type=Path),
    help="CSV of labels, metadata.jsonl or dataset.json; by default the one in FOLDER, below it, "
    "or beside it. That in an archive is photos.zip/labels.csv.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The file; FOLDER.yaml by default.")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME|NAME=LOW..HIGH",
    help="Without labels: what `ssgan label` will ask about, a class or a number; `class` by "
    "default.",
)
@click.option("--infogan", is_flag=True, help="Without labels: find codes without any answer.")
def init(
    folder: Path,
    csv: Path | None,
    out: Path | None,
    force: bool,
    labels: tuple[str, ...],
    infogan: bool,
) -> Answer:
    """Look at your pictures and labels, and write a commented experiment file.

    Text columns of the CSV and the names of sub-folders become classes, numbers become values;
    folders called train, valid, test and the like are splits. Archives (zip, tar) are read as they
    are, as if they were folders. Parquet has its labels in columns of its own. Paths in the file
    are relative to it.

    Without labels the file is for answers, which `ssgan label` asks for; with --infogan it is for
    InfoGAN, which finds codes by itself.
    """
    name = folder.resolve().name
    out = out or Path(f"{_FORM.sub('', name) if folder.is_file() else name}.yaml")
    if out.suffix not in (".yaml", ".yml"):
        raise BadInput(f"--out {out} must end in .yaml")
    if out.exists() and not force:
        raise BadInput(f"{out} is there already; choose another --out, or overwrite it by --force")
    from ssgan.data.sources.inspect import inspect_path

    with waiting(f"looking at the pictures in {folder}"):
        found = inspect_path(folder, csv)
        asked = _find_questions(found, out, labels, infogan)
        text = write_template(found, out.parent, asked=asked)
    with writing(out, "--out"):
        out.write_text(text, encoding="utf-8")
    with waiting("checking the file"):
        experiment, source = _check(out, asked)
    with waiting("measuring how fast it trains"):
        costs = measure_costs(experiment, source)
        out.write_text(write_template(found, out.parent, costs, asked), encoding="utf-8")
    return Answer(_report(found, out, costs, asked))


class Questions(NamedTuple):
    """What `ssgan label` will ask about pictures without labels, and where answers will be."""

    command: str
    """Arguments of ``ssgan`` that let it ask."""
    csv: Path
    columns: tuple[Column, ...]


def _find_questions(
    found: Inspection, out: Path, labels: Sequence[str], infogan: bool
) -> Questions | None:
    """Return what will be asked; None where there are labels, or nothing shall be asked.

    Raises:
        BadInput: An option has no effect.
    """
    from ssgan.labeling.column import DEFAULT_COLUMN, parse_label

    if labels and infogan:
        raise BadInput("--label has no effect with --infogan; leave one of them out")
    for option, given in (("--label", labels), ("--infogan", infogan)):
        if given and found.chosen:
            named = ", ".join(column.name for column in found.chosen)
            raise BadInput(
                f"{option} has no effect: there are labels, {named}; edit codes.supervised in "
                f"{out} instead, or point --csv at another file"
            )
    if labels and found.table is not None:
        raise BadInput(
            f"--label has no effect: answers go to a CSV, which pictures in {found.root} do not "
            "have; unpack them into a folder first"
        )
    if found.chosen or infogan or found.table is not None:
        return None
    csv = found.csv
    if csv is None or csv.suffix != ".csv" or "*" in str(csv):
        csv = out.with_suffix(".csv")
        csv = csv.with_stem(f"{csv.stem}-labels") if csv.exists() else csv
    columns = tuple(map(parse_label, labels or [DEFAULT_COLUMN]))
    told = labels if any("=" in text for text in labels) else ()  # ranges stand in no file
    ranges = [part for text in told for part in ("--label", text)]
    return Questions(shlex.join(["label", str(out), *ranges]), csv, columns)


@dataclass(frozen=True)
class Extent:
    """How long to train, and how often each picture is seen then."""

    batch_size: int
    epochs: int
    walks: float
    steps_per_epoch: int = 100


def extent(count: int) -> Extent:
    """Propose how long to train on so many pictures.

    A few thousand updates are what G needs whatever the number of pictures (the paper's MNIST
    takes 5,000); small sets get small batches, so that they are not learned by heart meanwhile.
    """
    batch_size = 32 if count < 1000 else 64 if count < _FEW else 128
    epochs = 30 if count < _FEW else 50 if count < _MANY else 100
    return Extent(batch_size, epochs, batch_size * epochs * Extent.steps_per_epoch / count)


def write_template(
    found: Inspection, place: Path, costs: Sequence[str] = (), asked: Questions | None = None
) -> str:
    """Write the text of a file in the folder `place`; each value has its reason next to it.

    `costs` are what sizes of the images cost, a line each; `asked` is what will be asked about.
    """
    from jinja2 import Environment

    from ssgan.method.codes import NONE_OF_THESE

    # A class or file name with a line break in it must not end a comment.
    environment = Environment(
        finalize=lambda value: " ".join(str(value).splitlines()),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it is YAML; names are written as JSON
    )
    environment.filters["json"] = partial(json.dumps, ensure_ascii=False)

    def beside(path: Path) -> str:
        """Write a path relative to the file; that of CSVs anywhere below the pictures stays."""
        return str(path) if path.parts[0] == "**" else os.path.relpath(path, place)

    environment.filters["beside"] = beside
    text = (resources.files("ssgan.cli") / "template.yaml.j2").read_text(encoding="utf-8")
    kinds = {column.name: column.kind for column in found.chosen}
    if asked is not None:
        kinds = {column.name: column.kind for column in asked.columns}
    style = "style"
    while kinds.keys() & {f"{style}_1", f"{style}_2"}:
        style = f"free_{style}"
    return environment.from_string(text).render(
        found=found,
        asked=asked,
        kinds=kinds,
        none_of_these=NONE_OF_THESE,
        own=[column for column in found.columns if column.kind is not None],
        declared={column.name: column.kind for column in found.columns if column.declared},
        spread={column.name: column.spread for column in found.columns if column.spread},
        chosen=list(kinds),
        continuous=[name for name, kind in kinds.items() if kind == "continuous"],
        spreads=asked is not None and "categorical" in kinds.values() and found.count >= _HEAP,
        combinations=found.complete and list(kinds.values()).count("categorical") > 1,
        style=style,
        costs=costs,
        extent=extent(found.count - found.held_out),
    )


def measure_costs(experiment: Experiment, source: Source, seconds: float = 1.0) -> list[str]:
    """Say how long training takes on this machine, also with smaller images, a line each."""
    from ssgan.base.threads import use_threads
    from ssgan.launch.preparation import plan_here
    from ssgan.training.speed import measure_speed

    plan = plan_here(experiment.scaling)
    device = plan.device_here
    where = "the GPU" if device.type == "cuda" else f"{plan.threads} threads"
    total = experiment.training.epochs * experiment.images_per_epoch
    channels, size, _ = source.shape
    costs = []
    for pixels in sorted({min(size, _SMALLER), size}, reverse=True):
        shape = (channels, pixels, pixels)
        with use_threads(plan.threads):
            speed = measure_speed(experiment, source.columns, shape, device, seconds)
        costs.append(
            f"{pixels} pixels: {speed:,.0f} images/s measured here ({where}), "
            f"{duration(total / speed)} for all updates"
        )
    return costs


def _check(file: Path, asked: Questions | None) -> tuple[Experiment, Source]:
    """Read the file as training will, so that a problem shows now.

    What will be asked about has no classes yet; others stand in for them.
    """
    from ssgan.data.sources.folder import FolderSource
    from ssgan.experiment.loading import load_experiment
    from ssgan.labeling.heap import without_labels
    from ssgan.method.codes import LatentSpace

    experiment = load_experiment(file)
    source: Source
    if asked is None:
        source = experiment.data.source.open()
    else:
        assert isinstance(experiment.data.source, FolderSource)
        stand_ins = tuple(column.stand_in() for column in asked.columns)
        source = replace(without_labels(experiment.data.source).open(), columns=stand_ins)
    experiment.networks.check(source.shape)
    columns = {column.name: column for column in source.columns}
    LatentSpace(
        supervised=tuple(columns[name] for name in experiment.codes.supervised),
        unsupervised=tuple(code.code() for code in experiment.codes.unsupervised),
        noise=experiment.codes.noise,
    )
    return experiment, source


def _report(
    found: Inspection, out: Path, costs: Sequence[str], asked: Questions | None
) -> list[str]:
    colors = "gray" if found.gray else "color"
    lines = [f"{found.count:,} {colors} pictures in {found.root}: {found.framing.reason}"]
    if found.broken:
        lines.append(f"broken and left out: {len(found.broken)} (listed in {out})")
    lines += found.notes
    labels = [*found.columns, *([] if found.folders is None else [found.folders])]
    for column in labels:
        found_in = f"{column.found} ({column.known} labeled)" if column.kind else column.found
        lines.append(f"label {column.name}: {column.kind or 'left out'}, {found_in}")
        lines += [f"  {note}" for note in column.notes]
    if asked is not None:
        named = ", ".join(column.name for column in asked.columns)
        lines.append(f"no labels: {named} will be asked about; --infogan does without")
    elif not found.chosen:
        lines.append("no labels: the file trains InfoGAN, which finds codes by itself")
    lines += costs
    ssgan, file = program("ssgan"), shlex.quote(str(out))
    look = f"  {ssgan} data show {file} --sheet contact.png   # look at what it makes of them"
    if asked is not None:
        look = f"  {ssgan} {asked.command}   # twenty answers are a start"
    return [*lines, f"wrote {out}; next:", look, f"  {ssgan} train {file}"]
