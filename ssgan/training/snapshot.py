"""Copies of the networks for evaluation and export, with BatchNorm statistics of their own.

Training is not disturbed, and the statistics belong to the very parameters that are measured: G's
come from fixed latents, D's from fixed real images and G's own in equal parts.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.base.rng import Streams
from ssgan.data.dataset import Dataset
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.ema import Ema, reestimate_batchnorm
from ssgan.networks.generator import Generator

_BATCHES = 8  # batches that statistics are the mean of


@dataclass(frozen=True)
class Snapshot:
    """Networks in eval mode.

    Attributes:
        generators: G after the last update (``raw``) and its moving average (``ema``).
        discriminator: Trunk, D and Q heads.
    """

    generators: dict[str, Generator]
    discriminator: Discriminator


def take_snapshot(
    generator: Generator,
    discriminator: Discriminator,
    ema: Ema,
    dataset: Dataset,
    streams: Streams,
    batch_size: int,
) -> Snapshot:
    """Copy the networks and estimate their BatchNorm statistics.

    Args:
        generator: G in training.
        discriminator: D in training.
        ema: The moving average of G.
        dataset: Gives the fixed real images.
        streams: Give the fixed latents and rows, the same at every call.
        batch_size: Images a batch, as in training.
    """
    device = next(generator.parameters()).device
    raw, averaged, copied_d = deepcopy(generator), deepcopy(generator), deepcopy(discriminator)
    ema.copy_to(averaged)
    for copied in (raw, averaged):
        latents = _latents(dataset, streams, batch_size, device)
        reestimate_batchnorm(copied, copied, latents)
    images = _real_and_fake(raw, dataset, streams, batch_size, device)
    reestimate_batchnorm(copied_d, lambda x: copied_d.q_us(copied_d.trunk(x)), images)
    return Snapshot({"raw": raw, "ema": averaged}, copied_d)


def _latents(
    dataset: Dataset, streams: Streams, batch_size: int, device: torch.device
) -> Iterator[Tensor]:
    for index in range(_BATCHES):
        generator = streams.generator("statistics of G", index, device)
        yield dataset.space.encode(*dataset.space.sample(batch_size, generator))


def _real_and_fake(
    generator: Generator, dataset: Dataset, streams: Streams, batch_size: int, device: torch.device
) -> Iterator[Tensor]:
    images = dataset.train.images
    for index, latents in enumerate(_latents(dataset, streams, batch_size, device)):
        drawn = streams.generator("statistics of D", index)
        rows = torch.randint(len(images), (batch_size,), generator=drawn)
        yield images[rows.to(images.device)].to(device).float().div_(255)
        yield generator(latents)
