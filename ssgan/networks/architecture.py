"""What G and D have in common: their configuration, their stages, their initial weights."""

import torch
from pydantic import Field
from torch import nn

from ssgan.base.config import Config
from ssgan.base.errors import BadInput

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""

_LARGEST_BASE = 7  # 28 pixels are 7 times 2 times 2: the authors' MNIST networks


class NetworksConfig(Config):
    """Sizes of G and D. The defaults at 28 pixels are the authors' MNIST networks."""

    width: int = Field(default=64, ge=1)
    """Channels of the finest convolution; each coarser stage has twice as many."""
    hidden: int = Field(default=1024, ge=2)
    """Units of the linear layer between codes and feature maps, and of D's last shared layer."""
    q_hidden: int = Field(default=128, ge=2)
    """Units of the hidden layer of Q_us."""
    leak: float = Field(default=0.01, ge=0, lt=1)
    """Slope of D's LeakyReLU below zero: 0.01 in the authors' MNIST code, 0.2 in DCGAN."""
    centered: bool = False
    """Whether D sees pixels from -1 to 1 instead of 0 to 1. Digits on black need it not;
    photographs are bright nearly everywhere, and their mean would drown the rest."""
    output_gain: float = Field(default=1.0, gt=0)
    """Factor on the first weights of G's last layer. At 1, the authors', G's first images vary
    by 0.02 of the range. BatchNorm in D enlarges so faint a pattern, Q_ss reads it, and G may
    never begin to draw: photographs need 4 (measured on SVHN at lambda2 = 1)."""


class Stages:
    """How an image is halved down to its base, and which channels each stage has."""

    def __init__(self, config: NetworksConfig, shape: Shape) -> None:
        """Plan the stages.

        Raises:
            BadInput: The image is not square, or cannot be halved down to 7 pixels or fewer.
        """
        _, height, width = shape
        if height != width:
            raise BadInput(
                f"images are {width}x{height} pixels and the networks need square ones; "
                "set data.source.size (and a crop or a resize rule)"
            )
        base, depth = height, 0
        while base > _LARGEST_BASE and base % 2 == 0:
            base, depth = base // 2, depth + 1
        if depth == 0 or base > _LARGEST_BASE:
            raise BadInput(
                f"images of {height} pixels cannot be halved evenly down to {_LARGEST_BASE} or "
                "fewer; set data.source.size to 8, 16, 24, 28, 32, 40, 48, 56 or 64"
            )
        self.base = base
        """Side of the coarsest feature map, in pixels."""
        self.channels: list[int] = [config.width * 2**stage for stage in range(depth)]
        """Channels from the finest to the coarsest feature map."""

    @property
    def features(self) -> int:
        """Numbers in the coarsest feature map."""
        return self.channels[-1] * self.base * self.base


def initialize(module: nn.Module, generator: torch.Generator) -> None:
    """Draw weights as the authors do: N(0, 0.02), BatchNorm scales N(1, 0.02), biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02, generator=generator)
            nn.init.zeros_(layer.bias)
