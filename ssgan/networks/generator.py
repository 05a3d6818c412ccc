"""The generator G(z, c): a DCGAN decoder behind two linear layers."""

import torch
from torch import Tensor, nn

from ssgan.method.codes import LatentSpace
from ssgan.networks.architecture import NetworksConfig, Shape, Stages, initialize


class Generator(nn.Module):
    """G(z, c). At 28x28x1, the default sizes and 74 inputs: the authors' 6,652,481 parameters."""

    def __init__(self, config: NetworksConfig, space: LatentSpace, shape: Shape) -> None:
        """Build the layers for a latent space and an image shape (C, H, W).

        Raises:
            BadInput: No stages lead to that shape.
        """
        super().__init__()
        stages = Stages(config, shape)
        coarsest = stages.channels[-1]
        layers: list[nn.Module] = [
            nn.Linear(space.width, config.hidden),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, stages.features),
            nn.BatchNorm1d(stages.features),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (coarsest, stages.base, stages.base)),
        ]
        for wide, narrow in zip(stages.channels[:0:-1], stages.channels[-2::-1], strict=True):
            layers += [
                nn.ConvTranspose2d(wide, narrow, kernel_size=4, stride=2, padding=1),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        last = nn.ConvTranspose2d(config.width, shape[0], kernel_size=4, stride=2, padding=1)
        self.layers = nn.Sequential(*layers, last, nn.Sigmoid())

    def forward(self, latents: Tensor) -> Tensor:
        """Synthesize images.

        Args:
            latents: Encoded codes and noise, float32 (B, space.width).

        Returns:
            x̃: float32 (B, C, H, W) in [0, 1].
        """
        images: Tensor = self.layers(latents)
        return images


def build_generator(
    config: NetworksConfig, space: LatentSpace, shape: Shape, generator: torch.Generator
) -> Generator:
    """Build G with weights drawn from `generator`."""
    network = Generator(config, space, shape)
    initialize(network, generator)
    last = network.layers[-2]
    assert isinstance(last, nn.ConvTranspose2d)
    with torch.no_grad():
        last.weight *= config.output_gain
    return network
