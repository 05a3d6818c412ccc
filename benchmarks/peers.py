"""The loops of two public implementations, re-created on the networks of `ssgan.networks.dcgan`.

What is kept of each is what decides about its speed: its layers, its order of updates, how often it
goes forward and backward, its optimizer. Widths, batch and the losses' kinds are ours, so that the
work is equal; our step is measured beside each on the same inputs.
"""

import torch
from torch import nn
from torch.optim import Adam

from benchmarks.plain_step import PlainLoop
from benchmarks.synthetic import SPACE
from ssgan.experiment.tree import Experiment
from ssgan.method.codes import LatentSpace
from ssgan.method.objective import loss_fake, loss_L1_IS, loss_L2_IS, loss_L_I, loss_real
from ssgan.method.optimizer import OptimizerConfig, Weights
from ssgan.networks.architecture import initialize
from ssgan.networks.dcgan import DcganConfig
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator
from ssgan.training.step import StepInput


class ConvolutionalLoop(PlainLoop):
    """The loop of github.com/Natsu6767/InfoGAN-PyTorch, an InfoGAN without labels.

    Its networks are those of `convolutional_networks`. D goes backward once for real images and
    once for synthetic ones; G forward once. The Qs learn with G alone.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        space: LatentSpace,
        optimizer: OptimizerConfig,
    ) -> None:
        super().__init__(generator, discriminator, space, optimizer)
        betas = (optimizer.beta1, optimizer.beta2)
        parts = discriminator.parts()
        qs = parts["q_ss"] + parts["q_us"]
        own = parts["trunk"] + parts["d"]
        self.d_optimizer = Adam(own, optimizer.discriminator_lr, betas)
        self.g_optimizer = Adam([*generator.parameters(), *qs], optimizer.generator_lr, betas)

    def __call__(self, inputs: StepInput, weights: Weights) -> None:
        """Make one update."""
        network, space = self.discriminator, self.space
        self.d_optimizer.zero_grad()
        loss_real(network.d(network.trunk(inputs.x))).backward()
        fake = self.generator(space.encode(inputs.c, inputs.z))
        loss_fake(network.d(network.trunk(fake.detach()))).backward()
        self.d_optimizer.step()

        self.g_optimizer.zero_grad()
        h = network.trunk(fake)
        c_ss, c_us = inputs.c.split([len(space.supervised), len(space.unsupervised)], dim=1)
        loss = loss_real(network.d(h))
        loss = loss + loss_L2_IS(space.supervised, space.posterior, network.q_ss(h), c_ss)
        loss = loss + loss_L_I(space.unsupervised, space.posterior, network.q_us(h), c_us)
        loss.backward()
        self.g_optimizer.step()


class ManyBackwardsLoop(PlainLoop):
    """The loop of github.com/zjw511/ss-infogan-pytorch, whose real batch is labeled or is not.

    Each term of the objective goes backward by itself, through the trunk again, and G synthesizes
    images again for its half. Of the original are left out: the search for anomalies in autograd,
    which is on there, a G that is updated every third time, with twice the images, and pixels from
    disk.
    """

    def __call__(self, inputs: StepInput, weights: Weights) -> None:
        """Make one update."""
        network, space = self.discriminator, self.space
        c_ss, c_us = inputs.c.split([len(space.supervised), len(space.unsupervised)], dim=1)
        latents = space.encode(inputs.c, inputs.z)
        self.d_optimizer.zero_grad()
        h = network.trunk(inputs.x)
        loss_real(network.d(h)).backward(retain_graph=True)
        if not inputs.y.isnan().all():
            q_ss = network.q_ss(h)
            loss = loss_L1_IS(space.supervised, space.posterior, q_ss, inputs.y)
            (weights.lambda2 * loss).backward()
        h = network.trunk(self.generator(latents).detach())
        loss_fake(network.d(h)).backward(retain_graph=True)
        loss = loss_L_I(space.unsupervised, space.posterior, network.q_us(h), c_us)
        (weights.lambda1 * loss).backward()
        self.d_optimizer.step()

        self.g_optimizer.zero_grad()
        h = network.trunk(self.generator(latents))
        loss_real(network.d(h)).backward(retain_graph=True)
        loss = weights.lambda1 * loss_L_I(
            space.unsupervised, space.posterior, network.q_us(h), c_us
        )
        q_ss = network.q_ss(h)
        loss = loss + weights.lambda2 * loss_L2_IS(space.supervised, space.posterior, q_ss, c_ss)
        loss.backward()
        self.g_optimizer.step()


def convolutional_networks(
    experiment: Experiment, generator: torch.Generator
) -> tuple[Generator, Discriminator]:
    """Build G and D for 28 x 28 pixels as that InfoGAN has them: what is linear in ours convolves.

    The experiment's networks are of kind `dcgan`; layers have as many weights as theirs.
    """
    config = experiment.networks
    assert isinstance(config, DcganConfig)
    fine, coarse, hidden = config.width, 2 * config.width, config.hidden
    g = Generator(
        nn.Unflatten(1, (SPACE.width, 1, 1)),
        nn.ConvTranspose2d(SPACE.width, hidden, kernel_size=1),
        *(nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)),
        nn.ConvTranspose2d(hidden, coarse, kernel_size=7),
        *(nn.BatchNorm2d(coarse), nn.ReLU(inplace=True)),
        nn.ConvTranspose2d(coarse, fine, kernel_size=4, stride=2, padding=1),
        *(nn.BatchNorm2d(fine), nn.ReLU(inplace=True)),
        *(nn.ConvTranspose2d(fine, 1, kernel_size=4, stride=2, padding=1), nn.Sigmoid()),
    )
    trunk = nn.Sequential(
        *(nn.Conv2d(1, fine, kernel_size=4, stride=2, padding=1), _leaky(config)),
        nn.Conv2d(fine, coarse, kernel_size=4, stride=2, padding=1),
        *(nn.BatchNorm2d(coarse), _leaky(config)),
        nn.Conv2d(coarse, hidden, kernel_size=7),
        *(nn.BatchNorm2d(hidden), _leaky(config), nn.Flatten()),
    )
    d = Discriminator(trunk, hidden, SPACE, q_hidden=config.q_hidden, leak=config.leak)
    for network in (g, d):
        initialize(network, generator)
    return g, d


def _leaky(config: DcganConfig) -> nn.Module:
    return nn.LeakyReLU(config.leak, inplace=True)
