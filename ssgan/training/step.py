"""One training step of ss-InfoGAN: D and Q, then G (section 3.2; the table below).

| term                      | G | trunk | D head | Q_ss | Q_us |
| ------------------------- | - | ----- | ------ | ---- | ---- |
| adversarial, D step       |   | x     | x      |      |      |
| L¹ (real, labeled)       |   | x     |        | x    |      |
| L_I, D step               |   | x     |        |      | x    |
| adversarial, L², L_I, G   | x |       |        |      |      |

The step is exact and lean: G runs forward once and both halves use it; D's parameters are frozen
in G's half, where only the gradient by D's input is wanted; Adam is fused.

With differentiable augmentation (Zhao et al., 2020) the trunk sees no image as it is: x, labeled
images, x̃ in D's half and x̃ in G's half each go through random affine maps of their own first. A
pixel becomes its nearest origin, since blending would hide from D the grain that G may draw.

G and D's trunk may compute in bfloat16. Images, heads, losses, parameters and optimizers stay in
float32.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam

from ssgan.data.augment import warp
from ssgan.method.codes import LatentSpace
from ssgan.method.objective import (
    ObjectiveConfig,
    loss_fake,
    loss_L1_IS,
    loss_L2_IS,
    loss_L_I,
    loss_real,
)
from ssgan.method.optimizer import OptimizerConfig
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator
from ssgan.networks.precision import Precision, compute

TERMS = ("d_real", "d_fake", "L_I", "L1_IS", "g_adv", "L_I_g", "L2_IS")
"""Names of the terms of the objective, in the order of `StepOutput.losses`."""


class AffineMaps(NamedTuple):
    """How the trunk sees images: through maps, float32 (B, 2, 3), or as they are where None.

    They come from `ssgan.data.augment.affine_maps`.
    """

    real: Tensor | None = None
    """Maps of x."""
    labeled: Tensor | None = None
    """Maps of Q_ss's own images."""
    fake: Tensor | None = None
    """Maps of x̃ in D's half of the step."""
    fake_g: Tensor | None = None
    """Maps of x̃ in G's half."""


class StepInput(NamedTuple):
    """What one rank needs for one step; B is its share of the global batch."""

    x: Tensor
    """Real images, float32 (B, C, H, W) in [0, 1]."""
    y: Tensor
    """Their labels, float32 (B, K_ss); NaN where not known."""
    labeled: tuple[Tensor, Tensor] | None
    """Q_ss's own images and labels, or None."""
    c: Tensor
    """Codes of the images to synthesize, float32 (B, K)."""
    z: Tensor
    """Their noise, float32 (B, noise)."""
    noise_real: Tensor | None = None
    """Instance noise on x, scaled, or None."""
    noise_fake: Tensor | None = None
    """Instance noise on x̃, scaled, or None."""
    maps: AffineMaps = AffineMaps()
    """Maps of the images that the trunk sees, before their noise."""


class _DiscriminatorLosses(nn.Module):
    """All of D's losses in one forward, so that DDP sees every parameter used exactly once.

    With an empty label budget this is InfoGAN: Q_ss learns from x̃ and its codes.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        space: LatentSpace,
        precision: Precision,
        infogan: bool,
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._space = space
        self._precision = precision
        self._infogan = infogan

    def forward(self, inputs: StepInput, fake: Tensor) -> Tensor:
        """Compute d_real, d_fake, L_I and L1_IS, float32 (4,); fake is x̃ without its graph."""
        space, network = self._space, self.discriminator
        c_ss, c_us = inputs.c.split([len(space.supervised), len(space.unsupervised)], dim=1)
        maps = inputs.maps
        x, fake = _seen(inputs.x, maps.real), _seen(fake, maps.fake)
        x = x if inputs.noise_real is None else x + inputs.noise_real
        fake = fake if inputs.noise_fake is None else fake + inputs.noise_fake
        h, h_fake = self._trunk(x), self._trunk(fake)
        if self._infogan:
            l1_is = loss_L2_IS(space.supervised, space.posterior, network.q_ss(h_fake), c_ss)
        elif inputs.labeled is None:
            l1_is = loss_L1_IS(space.supervised, space.posterior, network.q_ss(h), inputs.y)
        else:
            x_labeled, y = inputs.labeled
            q = network.q_ss(self._trunk(_seen(x_labeled, maps.labeled)))
            l1_is = loss_L1_IS(space.supervised, space.posterior, q, y)
        l_i = loss_L_I(space.unsupervised, space.posterior, network.q_us(h_fake), c_us)
        return torch.stack([loss_real(network.d(h)), loss_fake(network.d(h_fake)), l_i, l1_is])

    def _trunk(self, x: Tensor) -> Tensor:
        return compute(self.discriminator.trunk, x, self._precision)


Wrap = Callable[[nn.Module], nn.Module]
"""Makes a module's gradients the mean over ranks (DDP), or returns it as it is."""


class TrainingStep:
    """G, D and their optimizers, and how one step changes them.

    Attributes:
        generator: G, bare.
        discriminator: Trunk, D, Q_ss and Q_us, bare.
        g_optimizer: Adam of G.
        d_optimizer: Adam of D and the Qs.
        objective: λ1 and λ2; may be replaced between steps.
        rates: The learning rates; may be replaced between steps.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        space: LatentSpace,
        objective: ObjectiveConfig,
        optimizer: OptimizerConfig,
        *,
        precision: Precision = "float32",
        infogan: bool = False,
        wrap: Wrap = lambda module: module,
        reduce_max: Callable[[Tensor], object] = lambda flag: None,
    ) -> None:
        """Set the step up.

        Args:
            generator: G on its device.
            discriminator: D on its device.
            space: Codes and noise.
            objective: λ1 and λ2.
            optimizer: Adam's settings.
            precision: What G and D's trunk compute in.
            infogan: Whether there are no labels at all.
            wrap: DDP, or nothing.
            reduce_max: Takes the maximum of a flag over ranks, in place.
        """
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objective
        self.rates = optimizer.rates(0, 1)
        self._space = space
        self._precision = precision
        self._wrapped_g = wrap(generator)
        self._d_losses = wrap(_DiscriminatorLosses(discriminator, space, precision, infogan))
        self._reduce_max = reduce_max
        betas = (optimizer.beta1, optimizer.beta2)
        d_lr, g_lr = self.rates
        self.d_optimizer = Adam(discriminator.parameters(), d_lr, betas, fused=True)
        self.g_optimizer = Adam(generator.parameters(), g_lr, betas, fused=True)

    def __call__(self, inputs: StepInput, lambda2_share: float = 1.0) -> Tensor:
        """Take one step: D and Q, then G.

        Args:
            inputs: What this rank draws for it.
            lambda2_share: Share of λ2 that counts, the same on all ranks.

        An optimizer whose loss is not finite on any rank leaves its parameters as they are; the
        caller finds the term in the losses.

        Returns:
            The terms of this rank, float32 (7,) in the order of `TERMS`, unweighted.
        """
        self.generator.train()
        self.discriminator.train()
        v = self._space.encode(inputs.c, inputs.z)
        fake = compute(self._wrapped_g, v, self._precision)  # x̃, graph kept

        d_terms = self._d_losses(inputs, fake.detach())
        d_real, d_fake, l_i, l1_is = d_terms
        lambda1, lambda2 = self.objective.lambda1, self.objective.lambda2 * lambda2_share
        d_loss = d_real + d_fake + lambda1 * l_i + lambda2 * l1_is
        self._update(self.d_optimizer, d_loss, self.rates.discriminator)

        self.discriminator.requires_grad_(False)
        g_terms = self._generator_losses(inputs, fake)
        g_adv, l_i, l2_is = g_terms
        g_loss = g_adv + lambda1 * l_i + lambda2 * l2_is
        self._update(self.g_optimizer, g_loss, self.rates.generator)
        self.discriminator.requires_grad_(True)
        return torch.cat([d_terms, g_terms]).detach()

    def _generator_losses(self, inputs: StepInput, fake: Tensor) -> Tensor:
        """Compute g_adv, L_I and L2_IS of x̃, float32 (3,), through the bare, frozen D."""
        space, network = self._space, self.discriminator
        c_ss, c_us = inputs.c.split([len(space.supervised), len(space.unsupervised)], dim=1)
        h = compute(network.trunk, _seen(fake, inputs.maps.fake_g), self._precision)
        l_i = loss_L_I(space.unsupervised, space.posterior, network.q_us(h), c_us)
        l2_is = loss_L2_IS(space.supervised, space.posterior, network.q_ss(h), c_ss)
        return torch.stack([loss_real(network.d(h)), l_i, l2_is])

    def _update(self, optimizer: Adam, loss: Tensor, lr: float) -> None:
        """Descend, unless the loss is not finite on some rank."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        not_finite = (~torch.isfinite(loss.detach())).float()
        self._reduce_max(not_finite)
        optimizer.found_inf = not_finite  # type: ignore[attr-defined]  # 1: fused Adam skips
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()


def _seen(images: Tensor, maps: Tensor | None) -> Tensor:
    return images if maps is None else warp(images, maps, "nearest")
