"""Finished searches over label budgets and seeds, made by hand: numbers follow simple rules."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ssgan.data.labels import Amount, LabelBudget, count_labels
from ssgan.drawing.sheet import png
from ssgan.evaluation.grids import EvaluationGrids, Real
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.export.format import pack_export
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir, TrialRow

AVAILABLE = 1_000  # labeled images of the data set that there never was
IMAGES = 6_400  # an epoch
COLUMNS = 8  # synthetic images in a row of the pictures
NETWORKS = DcganConfig(width=4, hidden=16, q_hidden=8)
SHAPE = (1, 16, 16)
DIGITS = LatentSpace(
    supervised=(Code(name="digit", kind="categorical", classes=tuple("0123456789")),),
    unsupervised=(
        Code(name="style_1", kind="continuous"),
        Code(name="style_2", kind="continuous"),
    ),
    noise=8,
)
FACES = LatentSpace(
    supervised=tuple(
        Code(name=name, kind="categorical", classes=("no", "yes"))
        for name in ("Smiling", "Male", "Attractive")
    ),
    unsupervised=(Code(name="style_1", kind="continuous"),),
    noise=8,
)
TURNED = DIGITS.model_copy(
    update={
        "supervised": (
            *DIGITS.supervised,
            Code(name="angle", kind="continuous", low=-60.0, high=60.0),
        )
    }
)


def make_groups(
    folder: Path,
    amounts: Sequence[Amount] = (0, 20, "10%"),
    seeds: Sequence[int] = (0, 1),
    epochs: int = 4,
    *,
    exports: LatentSpace | None = None,
    overrides: Mapping[str, Any] | None = None,
    name: str = "paper",
) -> SearchDir:
    """Write a finished search, one run an amount and seed, in that order.

    Args:
        folder: Where the search directory goes.
        amounts: Label budgets, of 1,000 labeled images.
        seeds: Of each amount.
        epochs: Of each run, all evaluated.
        exports: The codes of the runs' exports, whose networks are untrained; without, the runs
            have no export, and their pictures are a few gray pixels.
        overrides: Changes of the digits preset.
        name: The search's.
    """
    definition = "base: digits\nspace:\n  data.labels: {kind: grid, values: [0]}\n"
    search = SearchDir.create(folder / name, definition)
    rows = []
    for amount in amounts:
        for seed in seeds:
            values = {"data.labels": amount, "seed": seed}
            row = TrialRow(
                trial=f"{len(rows):05d}",
                stage="search",
                values=values,
                seed=seed,
                status="FINISHED",
                epoch=epochs,
                metric=loss_of(count_labels(amount, AVAILABLE), seed, epochs),
                images_per_second=900.0,
            )
            changes = {"evaluation.columns": COLUMNS, **(overrides or {}), **values}
            make_run(search, row, load_experiment("digits", changes), exports)
            rows.append(row)
    search.write_rows(rows)
    return search


def make_run(
    search: SearchDir, row: TrialRow, experiment: Experiment, exports: LatentSpace | None
) -> RunDir:
    """Write the run directory of a row, with all that a finished run leaves and is read here."""
    run = RunDir.create(search.run(row).location, experiment.to_yaml())
    labels = count_labels(experiment.data.labels, AVAILABLE)
    budget = LabelBudget(
        train=torch.arange(labels),
        held_out=torch.arange(0),
        amount=experiment.data.labels,
        seed=0,
        balanced=True,
        counts={},
        data_hash="0" * 64,
    )
    run.write_bytes("labels.parquet", budget.to_parquet())
    for epoch in range(1, row.epoch + 1):
        record = Record(
            epoch=epoch,
            step=100 * epoch,
            images_seen=IMAGES * epoch,
            timestamp_ms=1_700_000_000_000 + 10_000 * epoch,
            metrics=metrics_of(labels, row.seed, epoch)
            | codes_of(experiment.codes.supervised, labels, row.seed, epoch),
        )
        gray = shade_of(labels, row.seed, epoch)
        picture = _tiny(gray) if exports is None else _class_rows(exports, gray, labels > 0)
        run.commit_record(record, {"samples_ema": picture})
    if exports is not None:
        for file, content in _export(exports, seed=100 * labels + row.seed).items():
            run.write_bytes(f"export/{file}", content)
    run.write_summary({"name": row.trial, "epochs": row.epoch, "images_seen": IMAGES * row.epoch})
    return run


def loss_of(labels: int, seed: int, epoch: int) -> float:
    """Fall from 0.9 toward 0.02, the sooner the more labels."""
    slowness = 6 / (1 + math.log10(1 + labels))
    return 0.02 + 0.01 * seed + 0.88 * math.exp(-epoch / slowness)


def metrics_of(labels: int, seed: int, epoch: int) -> dict[str, float | None]:
    """Make an epoch's metrics, all from its loss; InfoGAN has no bound that needs labels."""
    loss, entropy = loss_of(labels, seed, epoch), math.log(10)
    on_real, on_samples = entropy * (1 - 0.8 * loss), entropy * (1 - loss)
    metrics: dict[str, float | None] = {
        "zero_one_loss": loss + 0.01,
        "zero_one_loss_ema": loss,
        "judge_error": 0.03 + 0.002 * seed,
        "q_ss_accuracy": 1 - 0.9 * loss,
        "mi/digit": on_samples,
        "entropy/digit": entropy,
        "mi_x_xtilde": max(0.0, on_real + on_samples - entropy) if labels else None,
    }
    return metrics | ({"mi_real/digit": on_real} if labels else {})


def codes_of(codes: Sequence[str], labels: int, seed: int, epoch: int) -> dict[str, float | None]:
    """Make the metrics of single codes: the losses of attributes, each above the one before."""
    if "angle" in codes:
        return angles_of(labels, seed)
    loss = loss_of(labels, seed, epoch)
    several = enumerate(codes) if len(codes) > 1 else ()
    return {f"zero_one_loss_ema/{code}": loss + 0.1 * k for k, code in several}


def angles_of(labels: int, seed: int) -> dict[str, float | None]:
    """Make the metrics of a continuous code, which InfoGAN turns the wrong way."""
    knows = math.log10(1 + labels) / 4
    return {
        "correlation/angle": knows + 0.01 * seed if labels else -0.1 - 0.01 * seed,
        "rmse/angle": 40 * (1 - knows) + seed,
        "judge_rmse/angle": 3.0,
    }


def shade_of(labels: int, seed: int, epoch: int) -> int:
    """Return the gray, 40 to 199, of all synthetic images of an epoch's picture."""
    return 40 + (7 * labels + 31 * seed + 17 * epoch) % 160


def _export(space: LatentSpace, seed: int) -> dict[str, bytes]:
    """Pack untrained networks whose weights are large enough for codes to show."""
    draw = torch.Generator().manual_seed(seed)
    generator = NETWORKS.build_generator(space, SHAPE, draw)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(15)
    return pack_export(
        generator,
        NETWORKS.build_discriminator(space, SHAPE, draw),
        networks=NETWORKS,
        space=space,
        shape=SHAPE,
        provenance={"seed": seed},
    )


def _tiny(gray: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), (gray, gray, gray)).save(sink, "PNG")
    return sink.getvalue()


class _Flat(nn.Module):
    """A generator of images of one gray."""

    def __init__(self, gray: int) -> None:
        super().__init__()
        self.gray = nn.Parameter(torch.tensor(gray / 255))

    def forward(self, v: Tensor) -> Tensor:
        return self.gray.expand(len(v), *SHAPE)


def _class_rows(space: LatentSpace, gray: int, labeled: bool) -> bytes:
    """Draw the picture that an evaluation leaves; its real images are black."""
    count = COLUMNS * max(code.size for code in space.codes)
    columns = [torch.arange(float(count)) % code.size for code in space.supervised]
    labels = torch.stack(columns, dim=1)
    real = torch.zeros(count, *SHAPE, dtype=torch.uint8)
    return png(
        EvaluationGrids(space, Real(real, labels), COLUMNS, labeled).samples(_Flat(gray), "ema")
    )
