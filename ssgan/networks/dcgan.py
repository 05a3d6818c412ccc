"""DCGAN (Radford et al., 2015, arXiv:1511.06434) as the authors' MNIST code has it."""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from ssgan.base.errors import BadInput
from ssgan.method.codes import LatentSpace
from ssgan.networks.architecture import NetworksConfig, Shape, initialize
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator

_LARGEST_BASE = 7  # 28 pixels are 7 times 2 times 2: the authors' MNIST networks


class DcganConfig(NetworksConfig):
    """DCGAN: convolutions that halve the image in D, and double it in G.

    At 28 pixels, 74 inputs and the default sizes they are the authors' MNIST networks, of
    6,652,481 (G) and 6,701,133 (D and Qs) parameters.
    """

    kind: Literal["dcgan"] = "dcgan"
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

    def check(self, shape: Shape) -> None:
        """Refuse images that are not square, or cannot be halved down to 7 pixels or fewer.

        Raises:
            BadInput: With the sizes that can.
        """
        Stages(self, shape)

    def build_generator(
        self, space: LatentSpace, shape: Shape, generator: torch.Generator
    ) -> Generator:
        """Build G: two linear layers, then transposed convolutions that double the image."""
        stages = Stages(self, shape)
        layers: list[nn.Module] = [
            nn.Linear(space.width, self.hidden),
            nn.BatchNorm1d(self.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(self.hidden, stages.features),
            nn.BatchNorm1d(stages.features),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (stages.channels[-1], stages.base, stages.base)),
        ]
        for wide, narrow in zip(stages.channels[:0:-1], stages.channels[-2::-1], strict=True):
            layers += [
                nn.ConvTranspose2d(wide, narrow, kernel_size=4, stride=2, padding=1),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        last = nn.ConvTranspose2d(self.width, shape[0], kernel_size=4, stride=2, padding=1)
        network = Generator(*layers, last, nn.Sigmoid())
        initialize(network, generator)
        with torch.no_grad():
            last.weight *= self.output_gain
        return network

    def build_discriminator(
        self, space: LatentSpace, shape: Shape, generator: torch.Generator
    ) -> Discriminator:
        """Build D: convolutions that halve the image, then a linear layer."""
        stages = Stages(self, shape)
        layers: list[nn.Module] = [
            nn.Conv2d(shape[0], self.width, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(self.leak, inplace=True),
        ]
        for narrow, wide in zip(stages.channels[:-1], stages.channels[1:], strict=True):
            layers += [
                nn.Conv2d(narrow, wide, kernel_size=4, stride=2, padding=1),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(self.leak, inplace=True),
            ]
        layers += [
            nn.Flatten(),
            nn.Linear(stages.features, self.hidden),
            nn.BatchNorm1d(self.hidden),
            nn.LeakyReLU(self.leak, inplace=True),
        ]
        network = Discriminator(
            nn.Sequential(*layers),
            self.hidden,
            space,
            q_hidden=self.q_hidden,
            leak=self.leak,
            centered=self.centered,
        )
        initialize(network, generator)
        return network


class Stages:
    """How an image is halved down to its base, and which channels each stage has."""

    def __init__(self, config: DcganConfig, shape: Shape) -> None:
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
