"""What a family of G and D is: a configuration that builds both; and their initial weights."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ssgan.base.config import OpenUnion
from ssgan.base.rng import Streams
from ssgan.method.codes import LatentSpace
from ssgan.networks.batch_norm import BatchNormConfig
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


class NetworksConfig(OpenUnion):
    """Architecture of G and D; `kind` says of which family they are."""

    default_kind = "dcgan"
    batch_norm: BatchNormConfig = BatchNormConfig()
    """How the layers of BatchNorm are normalized, in whatever family."""

    @abstractmethod
    def check(self, shape: Shape) -> None:
        """Refuse images that these networks cannot make, before any work starts.

        Raises:
            BadInput: With the sizes that they can.
        """

    @abstractmethod
    def build_generator(
        self, space: LatentSpace, shape: Shape, generator: torch.Generator
    ) -> Generator:
        """Build G for a latent space and images of a shape, with weights drawn from `generator`.

        Raises:
            BadInput: As `check`.
        """

    @abstractmethod
    def build_discriminator(
        self, space: LatentSpace, shape: Shape, generator: torch.Generator
    ) -> Discriminator:
        """Build D and the Qs likewise.

        Raises:
            BadInput: As `check`.
        """


def build_networks(
    config: NetworksConfig, space: LatentSpace, shape: Shape, streams: Streams | None = None
) -> tuple[Generator, Discriminator]:
    """Build G and D on the CPU, with the weights that a run with these streams begins with.

    Without streams the weights mean nothing; they are to be replaced.

    Raises:
        BadInput: As `NetworksConfig.check`.
    """
    g, d = (
        torch.Generator() if streams is None else streams.generator(f"weights of {name}")
        for name in "GD"
    )
    return config.build_generator(space, shape, g), config.build_discriminator(space, shape, d)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Build networks on torch's meta device, where tensors have shapes and take no memory."""
    with torch.device("meta"), undrawn():  # torch takes a second to learn to draw nothing
        yield


@contextmanager
def undrawn() -> Iterator[None]:
    """Build networks whose parameters are read next: they hold whatever memory held before."""
    with _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of parameters, and of tensors that hold no numbers."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__name__", "") in _DRAWING:
            drawn = args[0] if args else given["tensor"]
            if isinstance(drawn, nn.Parameter) or drawn.is_meta:
                return drawn
        return func(*args, **given)


_DRAWING = ("normal_", "uniform_", "zero_", "fill_", "kaiming_normal_", "kaiming_uniform_")


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
