"""What is made of a training's state: a copy to be saved, networks to be measured.

Training is not disturbed. Networks for evaluation and export have BatchNorm statistics of their
own, which belong to the very parameters that are measured: G's come from fixed latents, D's from
fixed real images and G's own in equal parts.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.base.rng import Streams
from ssgan.data.dataset import Dataset
from ssgan.experiment.tree import Experiment
from ssgan.networks.architecture import build_networks, undrawn
from ssgan.networks.batch_norm import replace_batchnorm
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.ema import reestimate_batchnorm
from ssgan.networks.generator import Generator
from ssgan.records.saved_state import State, leaves

_BATCHES = 8  # batches that statistics are the mean of


@dataclass(frozen=True)
class Snapshot:
    """Networks in eval mode."""

    generators: dict[str, Generator]
    """G after the last update (``raw``) and its moving average (``ema``)."""
    discriminator: Discriminator


def copy_state(state: State) -> State:
    """Copy a state (`Training.state`) to the CPU, as it is at this moment."""
    tensors = (value for _, value in leaves(state) if isinstance(value, Tensor))
    copies = {id(tensor): tensor.detach().to("cpu", copy=True) for tensor in tensors}
    return deepcopy(state, copies)  # which looks there for what is copied already


def take_snapshot(
    experiment: Experiment, dataset: Dataset, state: State, device: torch.device
) -> Snapshot:
    """Build the networks of a state (`Training.state`) and estimate their BatchNorm statistics.

    What comes out depends on the arguments alone: the latents, and the rows of the data set, are
    the same at every call.
    """
    streams, batch_size = Streams(experiment.seed), experiment.training.batch_size
    rows = dataset.wanted

    def latents() -> Iterator[Tensor]:
        for index in range(_BATCHES):
            draw = streams.generator("statistics of G", index, device)
            yield dataset.space.encode(*dataset.space.sample(batch_size, draw))

    def real_and_fake() -> Iterator[Tensor]:
        for index, drawn in enumerate(latents()):
            draw = streams.generator("statistics of D", index)
            drawn_rows = torch.randint(len(rows), (batch_size,), generator=draw)
            yield dataset.train.take(rows[drawn_rows]).to(device).float().div_(255)
            yield raw(drawn)

    with undrawn():
        raw, discriminator = build_networks(
            experiment.networks, dataset.space, dataset.manifest.shape
        )
    for network, name in ((raw, "generator"), (discriminator, "discriminator")):
        replace_batchnorm(network.to(device), experiment.networks.batch_norm, workers=1)
        network.load_state_dict(state[name])
    averaged = deepcopy(raw)
    with torch.no_grad():
        for parameter, value in zip(averaged.parameters(), state["average"], strict=True):
            parameter.copy_(value)
    for generator in (raw, averaged):
        reestimate_batchnorm(generator, generator, latents())
    reestimate_batchnorm(
        discriminator, lambda x: discriminator.q_us(discriminator.trunk(x)), real_and_fake()
    )
    return Snapshot({"raw": raw, "ema": averaged}, discriminator)
