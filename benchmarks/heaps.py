"""Heaps of real images whose labels are known: even and uneven, clean and mixed."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssgan.data.memmap import Split
from ssgan.data.store import prepare
from ssgan.experiment.loading import load_experiment


def open_split(preset: str, root: Path, split: str = "train") -> Split:
    """Open a split of a preset's data set, *train* or *test*, as `source_fields`.

    Raises:
        BadInput: It is not there.
    """
    fields = source_fields(preset, root)
    return prepare(load_experiment(preset, fields).data.source).split(split)


def source_fields(preset: str, root: Path) -> list[str]:
    """Say by FIELD=VALUE where a preset's images are, so that nothing is downloaded.

    Args:
        preset: Name of the preset.
        root: Folder of MNIST's or Fashion-MNIST's files, or of those tables of SVHN and CIFAR-10
            that docs/results/photographs.md names.
    """
    table = ["data.source.kind=parquet", f"data.source.name={preset}"]
    return {
        "digits": [],
        "svhn": [
            *(*table, f"data.source.train={root / 'svhn/test_first10000.parquet'}"),
            *("data.source.names={label: digit}", "data.source.train_rows=[0,6000]"),
            "data.source.test_rows=[6000,10000]",
        ],
        "cifar10": [
            *(*table, f"data.source.train={root / 'cifar10/train.parquet'}"),
            f"data.source.test={root / 'cifar10/test.parquet'}",
            "data.source.names={label: category}",
        ],
    }.get(preset, [f"data.source.root={root}", "data.source.download=false"])


def pick_uneven(
    labels: NDArray[np.int64], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Draw rows of classes whose sizes go from one to a tenth, in random order of the classes.

    Args:
        labels: Class of each image, (N,).
        count: Rows to draw, but for rounding.
        random: Draws the sizes' order, then the rows.

    Returns:
        The rows, class by class.
    """
    classes = int(labels.max()) + 1
    weights = random.permutation(10 ** -np.linspace(0, 1, classes))
    sizes = (count * weights / weights.sum()).round().astype(int)
    members = (random.permutation(np.flatnonzero(labels == index)) for index in range(classes))
    return np.concatenate([rows[:size] for rows, size in zip(members, sizes, strict=True)])


def mix(
    images: Tensor, others: Split | None, count: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mix images with some of others, drawn at random.

    Args:
        images: uint8 (N, C, H, W).
        others: Where the others are drawn from; None where `count` is 0.
        count: How many.
        random: Draws them, then the order of all.

    Returns:
        The images, uint8 (N + count, C, H, W), and what each was before, int64 (N + count,): its
        row among the images, or N and more for one of the others.
    """
    if others is not None:
        rows = torch.from_numpy(random.permutation(len(others))[:count])
        images = torch.cat([images, others.take(rows)])
    order = torch.from_numpy(random.permutation(len(images)))
    return images[order], order
