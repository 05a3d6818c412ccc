"""The step as one would write it first: the reference that the shipped step is measured against.

Same networks, same objective, same draws. G runs once without a graph for D's half and again for
its own; D collects gradients in G's half that nobody uses; Adam is PyTorch's default.
"""

import torch
from torch import Tensor
from torch.optim import Adam

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
from ssgan.training.step import StepInput


class PlainStep:
    """One update of D and Q, then G, in plain PyTorch."""

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        space: LatentSpace,
        objective: ObjectiveConfig,
        optimizer: OptimizerConfig,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.space, self.objective = space, objective
        betas = (optimizer.beta1, optimizer.beta2)
        self.d_optimizer = Adam(discriminator.parameters(), optimizer.discriminator_lr, betas)
        self.g_optimizer = Adam(generator.parameters(), optimizer.generator_lr, betas)

    def __call__(self, inputs: StepInput) -> Tensor:
        space, network, objective = self.space, self.discriminator, self.objective
        c_ss, c_us = inputs.c.split([len(space.supervised), len(space.unsupervised)], dim=1)
        latents = space.encode(inputs.c, inputs.z)

        self.d_optimizer.zero_grad()
        with torch.no_grad():
            fake = self.generator(latents)
        h, h_fake = network.trunk(inputs.x), network.trunk(fake)
        if inputs.labeled is None:
            l1_is = loss_L1_IS(space.supervised, space.posterior, network.q_ss(h), inputs.y)
        else:
            x, y = inputs.labeled
            q = network.q_ss(network.trunk(x))
            l1_is = loss_L1_IS(space.supervised, space.posterior, q, y)
        l_i = loss_L_I(space.unsupervised, space.posterior, network.q_us(h_fake), c_us)
        d_terms = torch.stack([loss_real(network.d(h)), loss_fake(network.d(h_fake)), l_i, l1_is])
        weights = d_terms.new_tensor([1.0, 1.0, objective.lambda1, objective.lambda2])
        (d_terms @ weights).backward()
        self.d_optimizer.step()

        self.g_optimizer.zero_grad()
        h = network.trunk(self.generator(latents))
        l_i = loss_L_I(space.unsupervised, space.posterior, network.q_us(h), c_us)
        l2_is = loss_L2_IS(space.supervised, space.posterior, network.q_ss(h), c_ss)
        g_terms = torch.stack([loss_real(network.d(h)), l_i, l2_is])
        weights = g_terms.new_tensor([1.0, objective.lambda1, objective.lambda2])
        (g_terms @ weights).backward()
        self.g_optimizer.step()
        return torch.cat([d_terms, g_terms]).detach()
