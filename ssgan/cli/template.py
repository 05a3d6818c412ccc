"""The experiment file that `ssgan init` writes: every value with the reason for it."""

import json
from dataclasses import dataclass
from functools import partial
from importlib import resources

from jinja2 import Environment

from ssgan.data.sources.inspect import Column, Survey

_FEW, _MANY = 10_000, 100_000  # pictures
_SCANT = 500


@dataclass(frozen=True)
class Extent:
    """How long to train.

    Attributes:
        batch_size: Images an update.
        epochs: Epochs of `steps_per_epoch` updates.
        walks: How often each picture is seen.
        steps_per_epoch: Updates an epoch.
    """

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


def draft(found: Survey) -> str:
    """Write the file's text, from `template.yaml.j2`."""
    # A class or file name with a line break in it must not end a comment.
    environment = Environment(
        finalize=lambda value: " ".join(str(value).splitlines()),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it is YAML; names are written as JSON
    )
    environment.filters["json"] = partial(json.dumps, ensure_ascii=False)
    text = (resources.files("ssgan.cli") / "template.yaml.j2").read_text(encoding="utf-8")
    names = {column.name for column in found.chosen}
    categorical = sum(column.kind == "categorical" for column in found.chosen)
    style = "style"
    while names & {f"{style}_1", f"{style}_2"}:
        style = f"free_{style}"
    return environment.from_string(text).render(
        found=found,
        own=[column for column in found.columns if column.kind is not None],
        declared={column.name: column.kind for column in found.columns if column.declared},
        chosen=[column.name for column in found.chosen],
        continuous=[column.name for column in found.chosen if column.kind == "continuous"],
        combinations=found.complete and categorical > 1,
        style=style,
        extent=extent(found.count),
        scant=_SCANT,
    )


def describe(column: Column) -> str:
    """Say in one line what a column becomes."""
    if column.kind is None:
        return f"{column.name}: left out, {column.found}"
    return f"{column.name}: {column.kind}, {column.found} ({column.known} labeled)"
