"""The discriminator D and the auxiliary Q_ss and Q_us, which share all layers but the last ones.

Section 4: "The networks for the parametric distributions Q_us and Q_ss share all the layers with
D except the last layers."
"""

import torch
from torch import Tensor, nn

from ssgan.method.codes import LatentSpace
from ssgan.networks.architecture import NetworksConfig, Shape, Stages, initialize


class Discriminator(nn.Module):
    """Trunk, D, Q_ss and Q_us. The authors' MNIST networks have 6,701,133 parameters."""

    def __init__(self, config: NetworksConfig, space: LatentSpace, shape: Shape) -> None:
        """Build the layers for a latent space and an image shape (C, H, W).

        Raises:
            BadInput: No stages lead from that shape.
        """
        super().__init__()
        stages = Stages(config, shape)
        layers: list[nn.Module] = [
            nn.Conv2d(shape[0], config.width, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(config.leak, inplace=True),
        ]
        for narrow, wide in zip(stages.channels[:-1], stages.channels[1:], strict=True):
            layers += [
                nn.Conv2d(narrow, wide, kernel_size=4, stride=2, padding=1),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(config.leak, inplace=True),
            ]
        layers += [
            nn.Flatten(),
            nn.Linear(stages.features, config.hidden),
            nn.BatchNorm1d(config.hidden),
            nn.LeakyReLU(config.leak, inplace=True),
        ]
        self._centered = config.centered
        self._trunk = nn.Sequential(*layers)
        self._d = nn.Linear(config.hidden, 1)
        width_ss, width_us = space.q_width(space.supervised), space.q_width(space.unsupervised)
        self._q_ss = nn.Linear(config.hidden, width_ss) if width_ss else _Nothing()
        self._q_us = (
            nn.Sequential(
                nn.Linear(config.hidden, config.q_hidden),
                nn.BatchNorm1d(config.q_hidden),
                nn.LeakyReLU(config.leak, inplace=True),
                nn.Linear(config.q_hidden, width_us),
            )
            if width_us
            else _Nothing()
        )

    def trunk(self, x: Tensor) -> Tensor:
        """Compute the shared features h of images x, float32 (B, C, H, W) in [0, 1]."""
        h: Tensor = self._trunk(x * 2 - 1 if self._centered else x)
        return h

    def d(self, h: Tensor) -> Tensor:
        """Compute the logit of D(x), the probability that x is real: float32 (B,)."""
        logit: Tensor = self._d(h)
        return logit[:, 0]

    def q_ss(self, h: Tensor) -> Tensor:
        """Compute the parameters of Q_ss(c_ss | x), code by code: float32 (B, width)."""
        q: Tensor = self._q_ss(h)
        return q

    def q_us(self, h: Tensor) -> Tensor:
        """Compute the parameters of Q_us(c_us | x), code by code: float32 (B, width)."""
        q: Tensor = self._q_us(h)
        return q

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of trunk, D head, Q_ss and Q_us by name."""
        modules = {"trunk": self._trunk, "d": self._d, "q_ss": self._q_ss, "q_us": self._q_us}
        return {name: list(module.parameters()) for name, module in modules.items()}


class _Nothing(nn.Module):
    """The head of no codes: (B, hidden) to (B, 0)."""

    def forward(self, h: Tensor) -> Tensor:
        return h[:, :0]


def build_discriminator(
    config: NetworksConfig, space: LatentSpace, shape: Shape, generator: torch.Generator
) -> Discriminator:
    """Build D and the Qs with weights drawn from `generator`."""
    network = Discriminator(config, space, shape)
    initialize(network, generator)
    return network
