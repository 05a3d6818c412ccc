"""Exponential moving average (EMA) of a network's parameters, and BatchNorm statistics for it.

The average holds parameters only. BatchNorm statistics kept along would belong to other parameters,
so they are estimated again, from fixed inputs, before every evaluation and export.
"""

from collections.abc import Callable, Iterable

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssgan.base.config import Config


class EmaConfig(Config):
    """The moving average of G's parameters."""

    half_life: float = Field(default=50_000, gt=0)
    """Images after which an old value has lost half of its weight."""
    ramp_up: float = Field(default=0.05, gt=0, le=1)
    """The half-life is at most this share of the images seen, so that the start is forgotten."""


class Ema:
    """An exponential moving average (EMA) of a network's parameters; it starts where they are."""

    def __init__(self, network: nn.Module, config: EmaConfig) -> None:
        self._config = config
        self._network = network
        self.parameters = [p.detach().clone() for p in network.parameters()]
        """The averaged values, in the order of ``network.parameters()``."""

    @torch.no_grad()
    def update(self, weight: float | Tensor) -> None:
        """Take the network's parameters into the average with a weight (`weight`, below)."""
        present = [p.detach() for p in self._network.parameters()]
        if isinstance(weight, Tensor):
            for average, value in zip(self.parameters, present, strict=True):
                average.lerp_(value, weight)
        else:
            torch._foreach_lerp_(self.parameters, present, weight)

    def weight(self, images: int, images_seen: int) -> float:
        """Return the weight, in [0, 1], of the parameters after an update in the average."""
        half_life = min(self._config.half_life, self._config.ramp_up * images_seen)
        weight: float = 1 - 0.5 ** (images / max(half_life, 1e-8))
        return weight

    @torch.no_grad()
    def load(self, parameters: Iterable[Tensor]) -> None:
        """Restore the average from saved parameters."""
        for target, value in zip(self.parameters, parameters, strict=True):
            target.copy_(value)


@torch.no_grad()
def reestimate_batchnorm(
    network: nn.Module, forward: Callable[[Tensor], object], inputs: Iterable[Tensor]
) -> None:
    """Set BatchNorm statistics to their cumulative mean over the inputs; end in eval mode.

    The statistics are for the pass `forward`, and the inputs are batches as training sees them.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all batches
    network.train()
    for batch in inputs:
        forward(batch)
    network.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
