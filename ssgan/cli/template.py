"""The experiment file that `ssgan init` writes: every value with the reason for it."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

from ssgan.data.sources.inspect import Column, Survey

_STEPS = 100  # updates an epoch
_FEW, _MANY = 10_000, 100_000  # pictures

_SCANT = 500


@dataclass(frozen=True)
class Extent:
    """How long to train.

    Attributes:
        batch_size: Images an update.
        epochs: Epochs of `_STEPS` updates.
        walks: How often each picture is seen.
    """

    batch_size: int
    epochs: int
    walks: float


def extent(count: int) -> Extent:
    """Propose how long to train on so many pictures.

    A few thousand updates are what G needs whatever the number of pictures (the paper's MNIST
    takes 5,000); small sets get small batches, so that they are not learned by heart meanwhile.
    """
    batch_size = 32 if count < 1000 else 64 if count < _FEW else 128
    epochs = 30 if count < _FEW else 50 if count < _MANY else 100
    return Extent(batch_size, epochs, batch_size * epochs * _STEPS / count)


def draft(found: Survey) -> str:
    """Write the file's text."""
    parts = (_head, _data, _codes, _networks, _sampling, _training)
    lines = (line for part in parts for line in part(found))
    # A class or file name with a line break in it must not end a comment.
    return "\n".join(" ".join(line.splitlines()) for line in lines) + "\n"


def _head(found: Survey) -> Iterator[str]:
    yield f"# Experiment on the pictures in {found.root.name}, drafted by `ssgan init`."
    yield "# Every value can be changed here or on the command line, by its dotted name:"
    yield "#   ssgan train FILE.yaml training.epochs=10"
    yield "#"
    yield f"# {found.count:,} pictures can be read."
    if found.broken:
        shown = ", ".join(found.broken[:5]) + (" ..." if len(found.broken) > 5 else "")
        yield f"# {len(found.broken)} cannot, and are left out: {shown}"


def _data(found: Survey) -> Iterator[str]:
    yield "data:"
    yield "  source:"
    yield "    kind: folder"
    yield f"    root: {_text(str(found.root.absolute()))}"
    for reason in found.framing.reason.split("; "):
        yield f"    # {reason}"
    yield f"    size: {found.framing.size}"
    if found.framing.resize is not None:
        yield f"    resize: {found.framing.resize}  # or crop, pad, squash"
    why = "all pictures are gray" if found.gray else "1 would make them gray"
    yield f"    channels: {1 if found.gray else 3}  # {why}"
    yield from _labels(found)
    if found.chosen:
        yield '  labels: "100%"  # of the labeled pictures; less shows how few would do'
        yield "  # Without a test set of its own, a fifth of them measures Q_ss (data.held_out)."
    else:
        yield "  # No labels: this is InfoGAN, which finds codes by itself."


def _labels(found: Survey) -> Iterator[str]:
    if found.csv is not None and any(column.kind for column in found.columns):
        yield f"    csv: {_text(str(found.csv.absolute()))}"
        own = [column for column in found.columns if column.kind is not None]
        yield f"    labels: {_list([column.name for column in own])}"
        for column in found.columns:
            state = "" if column.kind else "left out: "
            yield f"    #   {column.name}: {state}{column.found} ({column.known} labeled)"
        declared = {column.name: str(column.kind) for column in own if column.declared}
        if declared:
            yield "    # Whole numbers without a gap: classes, it seems; or make them continuous."
            yield f"    kinds: {json.dumps(declared, ensure_ascii=False)}"
    if found.folders is not None:
        yield f"    folders: {_text(found.folders.name)}  # the folders' names as classes:"
        yield f"    #   {found.folders.found}"


def _codes(found: Survey) -> Iterator[str]:
    yield "codes:"
    yield f"  supervised: {_list([column.name for column in found.chosen])}"
    if found.chosen:
        yield "  # Codes that nobody labeled; what they mean shows in the figures."
        style = _free("style", {column.name for column in found.chosen})
        yield f"  unsupervised: [{{name: {style}_1}}, {{name: {style}_2}}]"
    else:
        yield "  # One of ten classes and two values; what they mean shows in the figures."
        yield "  unsupervised: [{name: kind, size: 10}, {name: style_1}, {name: style_2}]"
    yield "  noise: 62"
    if found.complete and sum(column.kind == "categorical" for column in found.chosen) > 1:
        yield "  prior: empirical  # ask for combinations as often as they occur among the labels"


def _networks(found: Survey) -> Iterator[str]:
    yield "networks: {width: 32, hidden: 512, q_hidden: 128}  # twice as much on a GPU"
    weights = "lambda1: 0.8, lambda2: 2.0" if found.chosen else "lambda1: 0.8"
    yield f"objective: {{{weights}}}  # weights of the unsupervised and the labeled codes"
    if not found.gray:
        yield "# Noise on what D sees keeps it from winning early; gone after half of training."
        half = math.ceil(extent(found.count).epochs / 2)
        yield (
            "instance_noise: "
            f"{{kind: linear, start: 0.1, floor: 0.0, duration: {half}, unit: epochs}}"
        )
    yield "optimizer: {discriminator_lr: 2.0e-4, generator_lr: 1.0e-3, beta1: 0.5}"


def _sampling(found: Survey) -> Iterator[str]:
    if not found.chosen:
        return
    yield "label_sampling:"
    yield "  unit: separate  # Q_ss has labeled batches of its own, D sees all pictures"
    yield f"  batch_size: {min(64, extent(found.count).batch_size)}"
    yield (
        "  probability: {kind: linear, start: 1.0, floor: 0.0, duration: 10, unit: epochs}"
        "  # annealed"
    )
    yield "  floor: 0.3"
    continuous = [column.name for column in found.chosen if column.kind == "continuous"]
    if continuous:
        yield f"  # No augment: it would turn and shift what {_named(continuous)} may measure."
    else:
        yield "  # Light changes of labeled pictures; flip: true where mirrored ones are as good."
        yield "  augment: {rotation: 8, scale: 0.1, shift: 0.05, shear: 0.1}"


def _training(found: Survey) -> Iterator[str]:
    length = extent(found.count)
    updates = length.epochs * _STEPS
    yield f"# {updates:,} updates; each picture is seen about {length.walks:,.0f} times."
    if found.count < _SCANT:
        yield f"# Below {_SCANT} pictures expect copies of them rather than new ones."
    yield "training:"
    yield f"  epochs: {length.epochs}"
    yield f"  steps_per_epoch: {_STEPS}"
    yield f"  batch_size: {length.batch_size}"


def describe(column: Column) -> str:
    """Say in one line what a column becomes."""
    if column.kind is None:
        return f"{column.name}: left out, {column.found}"
    return f"{column.name}: {column.kind}, {column.found} ({column.known} labeled)"


def _free(stem: str, taken: set[str]) -> str:
    """Return a stem whose numbered names are no label columns."""
    while taken & {f"{stem}_1", f"{stem}_2"}:
        stem = f"free_{stem}"
    return stem


def _named(names: list[str]) -> str:
    return " or ".join(names)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: list[str]) -> str:
    return json.dumps(values, ensure_ascii=False)
