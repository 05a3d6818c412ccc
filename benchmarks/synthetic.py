"""Random images with labels on the first ones: a data set for speed, which no content changes."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ssgan.base.rng import Streams
from ssgan.data.memmap import Split
from ssgan.experiment.tree import Experiment
from ssgan.method.codes import Code, LatentSpace, UnsupervisedCode
from ssgan.networks.architecture import Shape
from ssgan.networks.linear import speed_up_linear
from ssgan.training.step import TrainingStep

_IMAGES, _LABELS = 10_000, 132

SPACE = LatentSpace(
    supervised=(Code(name="digit", kind="categorical", classes=tuple("0123456789")),),
    unsupervised=tuple(UnsupervisedCode(name=f"style_{k}").code() for k in (1, 2)),
    noise=62,
)
"""Codes and noise of the paper's MNIST."""

SMALL = (
    "networks.width=8",
    "networks.hidden=32",
    "networks.q_hidden=16",
    "training.batch_size=16",
    "label_sampling.batch_size=16",
)
"""Overrides that make networks and batches small, to see that a benchmark runs."""


def build_step(
    experiment: Experiment,
    shape: Shape,
    kind: Callable[..., Any],
    dtype: torch.dtype = torch.float32,
) -> Any:
    """Build a step of some kind around an experiment's networks for images of a shape."""
    streams, networks = Streams(0), experiment.networks
    return kind(
        networks.build_generator(SPACE, shape, streams.generator("G")).to(dtype),
        networks.build_discriminator(SPACE, shape, streams.generator("D")).to(dtype),
        SPACE,
        experiment.optimizer,
    )


def build_shipped_step(
    experiment: Experiment, shape: Shape, dtype: torch.dtype = torch.float32, **options: Any
) -> TrainingStep:
    """Build a `TrainingStep` with some options as `ssgan.training.state` does."""
    step: TrainingStep = build_step(experiment, shape, partial(TrainingStep, **options), dtype)
    for network in (step.generator, step.discriminator):
        speed_up_linear(network)
    return step


def synthetic_split(shape: Sequence[int]) -> tuple[Split, Tensor]:
    """Draw images and labels.

    Args:
        shape: Of one image, (C, H, W).

    Returns:
        A split of 10,000 images, and its labels, float32 (10000, 1), NaN but for the first 132.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (_IMAGES, *shape), generator=generator, dtype=torch.uint8)
    y = torch.full((_IMAGES, 1), math.nan)
    y[:_LABELS, 0] = torch.arange(_LABELS) % 10
    return Split(images, y), y


def synthetic_dataset(shape: Sequence[int]) -> Any:
    """Return all that `ssgan.training.state.Training` reads of a `Dataset`, without a store."""
    split, y = synthetic_split(shape)
    return SimpleNamespace(
        train=split,
        y=y,
        weights=None,
        foreign=None,
        given=y,
        space=SPACE,
        is_infogan=False,
        manifest=SimpleNamespace(shape=tuple(shape)),
    )
