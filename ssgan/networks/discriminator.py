"""The discriminator D and the auxiliary Q_ss and Q_us, which share all layers but the last ones.

Section 4: "The networks for the parametric distributions Q_us and Q_ss share all the layers with
D except the last layers."
"""

from torch import Tensor, nn

from ssgan.method.codes import LatentSpace


class Discriminator(nn.Module):
    """Trunk, D, Q_ss and Q_us."""

    def __init__(
        self,
        trunk: nn.Module,
        width: int,
        space: LatentSpace,
        *,
        q_hidden: int = 128,
        leak: float = 0.01,
        centered: bool = False,
    ) -> None:
        """Put the heads on a trunk.

        Args:
            trunk: The shared layers, from images float32 (B, C, H, W) to (B, width).
            width: Features that the trunk ends with.
            space: The codes that the Qs are for.
            q_hidden: Units of the hidden layer of Q_us.
            leak: Slope of its LeakyReLU below zero.
            centered: Whether the trunk sees pixels from -1 to 1 instead of 0 to 1.
        """
        super().__init__()
        self.centered = centered
        """Whether the trunk sees pixels from -1 to 1 instead of 0 to 1."""
        self._trunk = trunk
        self._d = nn.Linear(width, 1)
        width_ss, width_us = space.q_width(space.supervised), space.q_width(space.unsupervised)
        self._q_ss = nn.Linear(width, width_ss) if width_ss else _Nothing()
        self._q_us = (
            nn.Sequential(
                nn.Linear(width, q_hidden),
                nn.BatchNorm1d(q_hidden),
                nn.LeakyReLU(leak, inplace=True),
                nn.Linear(q_hidden, width_us),
            )
            if width_us
            else _Nothing()
        )

    def trunk(self, x: Tensor) -> Tensor:
        """Compute the shared features h of images x, float32 (B, C, H, W) in [0, 1]."""
        h: Tensor = self._trunk(x * 2 - 1 if self.centered else x)
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

    def sections(self) -> dict[str, nn.Module]:
        """Return trunk, D head, Q_ss and Q_us by name."""
        return {"trunk": self._trunk, "d": self._d, "q_ss": self._q_ss, "q_us": self._q_us}

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of trunk, D head, Q_ss and Q_us by name."""
        return {name: list(section.parameters()) for name, section in self.sections().items()}


class _Nothing(nn.Module):
    """The head of no codes: (B, width) to (B, 0)."""

    def forward(self, h: Tensor) -> Tensor:
        return h[:, :0]
