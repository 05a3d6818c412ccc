"""The training step in plain PyTorch: the baseline that the shipped step is measured against.

Same networks, same objective, same draws. D collects gradients in G's half that nobody uses; Adam
is PyTorch's default.
"""

from typing import Any

import torch
from torch.optim import Adam

from ssgan.method.codes import LatentSpace
from ssgan.method.objective import loss_fake, loss_L1_IS, loss_L2_IS, loss_L_I, loss_real
from ssgan.method.optimizer import OptimizerConfig, Weights
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator
from ssgan.training.step import DiscriminatorTerms, GeneratorTerms, StepInput, Terms


class PlainLoop:
    """Networks and PyTorch's default Adam for each of them; a subclass makes the updates."""

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        space: LatentSpace,
        optimizer: OptimizerConfig,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.space = space
        betas = (optimizer.beta1, optimizer.beta2)
        self.d_optimizer = Adam(discriminator.parameters(), optimizer.discriminator_lr, betas)
        self.g_optimizer = Adam(generator.parameters(), optimizer.generator_lr, betas)


class PlainStep(PlainLoop):
    """One update of D and Q, then G, in plain PyTorch; learning rates do not change.

    G goes forward once, or `twice`: without a graph for D's half, and again for its own.
    """

    def __init__(self, *how: Any, twice: bool = False) -> None:
        """Take what `PlainLoop` takes."""
        super().__init__(*how)
        self._twice = twice

    def __call__(self, inputs: StepInput, weights: Weights) -> Terms:
        space, network = self.space, self.discriminator
        c_ss, c_us = inputs.c.split([len(space.supervised), len(space.unsupervised)], dim=1)
        latents = space.encode(inputs.c, inputs.z)

        self.d_optimizer.zero_grad()
        with torch.set_grad_enabled(not self._twice):
            fake = self.generator(latents)
        h, h_fake = network.trunk(inputs.x), network.trunk(fake.detach())
        if inputs.labeled is None:
            l1_is = loss_L1_IS(space.supervised, space.posterior, network.q_ss(h), inputs.y)
        else:
            x, y = inputs.labeled
            q = network.q_ss(network.trunk(x))
            l1_is = loss_L1_IS(space.supervised, space.posterior, q, y)
        l_i = loss_L_I(space.unsupervised, space.posterior, network.q_us(h_fake), c_us)
        d = DiscriminatorTerms(loss_real(network.d(h)), loss_fake(network.d(h_fake)), l_i, l1_is)
        d_loss = d.d_real + d.d_fake + weights.lambda1 * d.L_I + weights.lambda2 * d.L1_IS
        d_loss.backward()
        self.d_optimizer.step()

        self.g_optimizer.zero_grad()
        h = network.trunk(self.generator(latents) if self._twice else fake)
        l_i = loss_L_I(space.unsupervised, space.posterior, network.q_us(h), c_us)
        l2_is = loss_L2_IS(space.supervised, space.posterior, network.q_ss(h), c_ss)
        g = GeneratorTerms(loss_real(network.d(h)), l_i, l2_is)
        g_loss = g.g_adv + weights.lambda1 * g.L_I_g + weights.lambda2 * g.L2_IS
        g_loss.backward()
        self.g_optimizer.step()
        return Terms(d, g)
