"""Copies of what a training holds: its state to be saved, its networks to be measured.

Training is not disturbed. Networks for evaluation and export have BatchNorm statistics of their
own, which belong to the very parameters that are measured: G's come from fixed latents, D's from
fixed real images and G's own in equal parts.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ssgan.data.dataset import Dataset
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.ema import reestimate_batchnorm
from ssgan.networks.generator import Generator
from ssgan.records.saved_state import leaves
from ssgan.training.state import Training

_BATCHES = 8  # batches that statistics are the mean of


@dataclass(frozen=True)
class Snapshot:
    """Networks in eval mode."""

    generators: dict[str, Generator]
    """G after the last update (``raw``) and its moving average (``ema``)."""
    discriminator: Discriminator


def copy_state(state: dict[str, Any]) -> dict[str, Any]:
    """Copy a state (`Training.state`) to the CPU, as it is at this moment."""
    tensors = (value for _, value in leaves(state) if isinstance(value, Tensor))
    copies = {id(tensor): tensor.detach().to("cpu", copy=True) for tensor in tensors}
    return deepcopy(state, copies)  # which looks there for what is copied already


def take_snapshot(training: Training, dataset: Dataset) -> Snapshot:
    """Copy a training's networks and estimate their BatchNorm statistics.

    Its random streams give the same latents, and rows of the data set, at every call.
    """
    step = training.step
    raw, averaged = training.copy_alone(step.generator), training.copy_alone(step.generator)
    training.ema.copy_to(averaged)
    for copied in (raw, averaged):
        reestimate_batchnorm(copied, copied, _latents(training, dataset))
    discriminator = training.copy_alone(step.discriminator)
    images = _real_and_fake(raw, training, dataset)
    reestimate_batchnorm(
        discriminator, lambda x: discriminator.q_us(discriminator.trunk(x)), images
    )
    return Snapshot({"raw": raw, "ema": averaged}, discriminator)


def _latents(training: Training, dataset: Dataset) -> Iterator[Tensor]:
    for index in range(_BATCHES):
        generator = training.streams.generator("statistics of G", index, training.device)
        yield dataset.space.encode(*dataset.space.sample(training.batch_size, generator))


def _real_and_fake(generator: Generator, training: Training, dataset: Dataset) -> Iterator[Tensor]:
    for index, latents in enumerate(_latents(training, dataset)):
        drawn = training.streams.generator("statistics of D", index)
        rows = torch.randint(len(dataset.train), (training.batch_size,), generator=drawn)
        yield dataset.train.take(rows).to(training.device).float().div_(255)
        yield generator(latents)
