"""The training step of ss-InfoGAN: D and Q, then G (section 3.2; the table below).

One application of it is an *update*; updates are counted from 0.

| term                      | G | trunk | D head | Q_ss | Q_us |
| ------------------------- | - | ----- | ------ | ---- | ---- |
| adversarial, D's half     |   | x     | x      |      |      |
| L¹ (real, labeled)        |   | x     |        | x    |      |
| L_I, D's half             |   | x     |        |      | x    |
| consistency (real)        |   | x     |        | x    |      |
| adversarial, L², L_I, G   | x |       |        |      |      |

The step is exact and lean: G runs forward once and both halves use it; D's parameters are frozen
in G's half, where only the gradient with respect to D's input is needed; Adam is fused.

With differentiable augmentation (Zhao et al., 2020) the trunk never sees an image as it is: x,
labeled images, x̃ in D's half and x̃ in G's half each go through random affine maps of their own
first. Sampling is by the nearest pixel, since blending would hide from D the grain that G may draw.

With a consistency of Q_ss (`ssgan.method.consistency`) the trunk runs once more in D's half, over
strongly changed x, with the batch's own statistics in BatchNorm, as over x and over x̃.

G and D's trunk may compute in bfloat16. Images, heads, losses, parameters and optimizers stay in
float32.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam

from ssgan.base.uncompiled import uncompiled
from ssgan.method.augment import warp
from ssgan.method.codes import LatentSpace
from ssgan.method.consistency import Consistency, ConsistencyTerms
from ssgan.method.extra_term import ExtraTerm, Generators, Half
from ssgan.method.objective import loss_fake, loss_L1_IS, loss_L2_IS, loss_L_I, loss_real
from ssgan.method.optimizer import OptimizerConfig, Weights
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator
from ssgan.networks.precision import Precision, compute


class AffineMaps(NamedTuple):
    """Maps that the trunk sees images through, float32 (B, 2, 3), or None for images as they are.

    They come from `ssgan.method.augment.affine_maps`.
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
    """What one rank draws for one update; B is its share of the global batch."""

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
    weights: Tensor | None = None
    """What the labels count in L¹_IS, float32 (B, K_ss); None is 1 each."""
    strong: Tensor | None = None
    """x strongly changed, without noise, for the consistency of Q_ss; None without it."""


class DiscriminatorTerms(NamedTuple):
    """Terms of the objective in D's half, unweighted means over this rank's images, float32 ()."""

    d_real: Tensor
    """Adversarial loss on x."""
    d_fake: Tensor
    """Adversarial loss on x̃."""
    L_I: Tensor
    """Loss of Q_us on x̃."""
    L1_IS: Tensor
    """Loss of Q_ss on labeled images; without any label, on x̃."""
    extra: tuple[Tensor, ...] = ()
    """Terms besides the paper's: of `ssgan.method.consistency`, then those of other packages
    (`ssgan.method.extra_term`)."""


class GeneratorTerms(NamedTuple):
    """Terms of the objective in G's half, all on x̃, as in `DiscriminatorTerms`."""

    g_adv: Tensor
    """Adversarial loss."""
    L_I_g: Tensor
    """Loss of Q_us."""
    L2_IS: Tensor
    """Loss of Q_ss."""
    extra: tuple[Tensor, ...] = ()
    """Terms of other packages."""


class Terms(NamedTuple):
    """All terms of one update."""

    d: DiscriminatorTerms
    g: GeneratorTerms

    def values(self) -> Tensor:
        """Return those of `TERMS`, then D's extra ones, then G's, float32, without their graph."""
        terms = (*self.d[:-1], *self.g[:-1], *self.d.extra, *self.g.extra)
        return torch.stack(terms).detach()


TERMS = (*DiscriminatorTerms._fields[:-1], *GeneratorTerms._fields[:-1])
"""Names of the paper's terms of the objective."""


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
        consistency: Consistency | None,
        extra: Sequence[ExtraTerm],
        generators: Generators,
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._space = space
        self._precision = precision
        self._infogan = infogan
        self.consistency = consistency
        self._extra = extra
        self._generators = generators

    def forward(self, inputs: StepInput, fake: Tensor) -> DiscriminatorTerms:
        """Compute the terms of D's half; fake is x̃ without its graph."""
        space, network, maps = self._space, self.discriminator, inputs.maps
        c_ss, c_us = inputs.c.split([len(space.supervised), len(space.unsupervised)], dim=1)
        x = _seen(inputs.x, maps.real, inputs.noise_real)
        fake = _seen(fake, maps.fake, inputs.noise_fake)
        h, h_fake = self._trunk(x), self._trunk(fake)
        if self._infogan:
            l1_is = loss_L2_IS(space.supervised, space.posterior, network.q_ss(h_fake), c_ss)
        elif inputs.labeled is None:
            q, y = network.q_ss(h), inputs.y
            l1_is = loss_L1_IS(space.supervised, space.posterior, q, y, inputs.weights)
        else:
            x_labeled, y = inputs.labeled
            q = network.q_ss(self._trunk(_seen(x_labeled, maps.labeled)))
            l1_is = loss_L1_IS(space.supervised, space.posterior, q, y, inputs.weights)
        l_i = loss_L_I(space.unsupervised, space.posterior, network.q_us(h_fake), c_us)
        consistency: tuple[Tensor, ...] = ()
        if self.consistency is not None:
            assert inputs.strong is not None
            h_strong = self._trunk(inputs.strong)
            consistency = self.consistency(network.q_ss(h), network.q_ss(h_strong))
        generators = self._generators
        half = Half(x, inputs.y, fake, inputs.c, h_fake, self._trunk, network.d, generators)
        return DiscriminatorTerms(
            d_real=loss_real(network.d(h)),
            d_fake=loss_fake(network.d(h_fake)),
            L_I=l_i,
            L1_IS=l1_is,
            extra=(*consistency, *(term.discriminator_term(half) for term in self._extra)),
        )

    def _trunk(self, x: Tensor) -> Tensor:
        return compute(self.discriminator.trunk, x, self._precision)


Wrap = Callable[[nn.Module], nn.Module]
"""Makes a module's gradients the mean over ranks (DDP), or returns it as it is."""


class TrainingStep:
    """G, D and their optimizers, and how one update changes them."""

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        space: LatentSpace,
        optimizer: OptimizerConfig,
        extra: Sequence[ExtraTerm] = (),
        *,
        precision: Precision = "float32",
        infogan: bool = False,
        consistency: Consistency | None = None,
        wrap: Wrap = lambda module: module,
        reduce_max: Callable[[Tensor], object] = lambda flag: None,
        generators: Generators = lambda stream: torch.Generator(),
    ) -> None:
        """Set the step up around networks on their device.

        `optimizer` has Adam's settings; the rates of an update come with its weights. `extra` are
        terms of the objective besides the paper's, `generators` the random numbers for them.
        `infogan` says that there are no labels at all; `consistency` are terms of x without labels,
        for which `StepInput.strong` is drawn; `wrap` is DDP, or nothing; `reduce_max`
        takes the maximum of a flag over ranks, in place.
        """
        self.generator = generator
        self.discriminator = discriminator
        self._space = space
        self._precision = precision
        self._wrapped_g = wrap(generator)
        self._extra = tuple([term for term in extra if term.names[half]] for half in (0, 1))
        self.consistency = consistency
        of_consistency = () if consistency is None else ConsistencyTerms._fields
        names = (term.names[half] for half in (0, 1) for term in self._extra[half])
        self.terms = (*TERMS, *of_consistency, *names)
        """Names of the terms of the objective, in the order of `Terms.values`."""
        self._generators = generators
        how = (space, precision, infogan, consistency, self._extra[0], generators)
        self._d_losses = wrap(_DiscriminatorLosses(discriminator, *how))
        self._reduce_max = reduce_max
        betas = (optimizer.beta1, optimizer.beta2)
        d_lr, g_lr = optimizer.discriminator_lr, optimizer.generator_lr
        adam = uncompiled(Adam)
        self.d_optimizer = adam(discriminator.parameters(), d_lr, betas, fused=True)
        self.g_optimizer = adam(generator.parameters(), g_lr, betas, fused=True)
        self.set_rates(d_lr, g_lr)

    def __call__(self, inputs: StepInput, weights: Weights) -> Terms:
        """Make one update from what this rank draws for it: D and Q, then G (equation 7).

        The weights are the same on all ranks. An optimizer whose loss is not finite on any rank
        leaves its parameters as they are; the caller finds the term in what is returned.
        """
        self.generator.train()
        self.discriminator.train()
        self.set_rates(weights.d_lr, weights.g_lr)
        v = self._space.encode(inputs.c, inputs.z)
        fake = compute(self._wrapped_g, v, self._precision)  # x̃, graph kept

        d: DiscriminatorTerms = self._d_losses(inputs, fake.detach())
        d_loss = d.d_real + d.d_fake + weights.lambda1 * d.L_I + weights.lambda2 * d.L1_IS
        besides = [term.weight for term in self._extra[0]]
        if self.consistency is not None:
            besides = [weights.consistency, weights.information, weights.fairness, *besides]
        d_loss = _add(d_loss, besides, d.extra)
        self._descend(self.d_optimizer, d_loss)

        with _frozen(self.discriminator):
            g = self._generator_terms(inputs, fake)
            g_loss = g.g_adv + weights.lambda1 * g.L_I_g + weights.lambda2 * g.L2_IS
            g_loss = _add(g_loss, [term.weight for term in self._extra[1]], g.extra)
            self._descend(self.g_optimizer, g_loss)
        return Terms(d, g)

    def set_rates(self, d_lr: float, g_lr: float) -> None:
        """Set the learning rates, which `state_dict` of the optimizers has, too.

        They may be tensors on the device, which CUDA graphs read them from.
        """
        for optimizer, lr in ((self.d_optimizer, d_lr), (self.g_optimizer, g_lr)):
            (group,) = optimizer.param_groups
            group["lr"], group["capturable"] = lr, group["params"][0].is_cuda

    def _generator_terms(self, inputs: StepInput, fake: Tensor) -> GeneratorTerms:
        """Compute the terms of G's half through the bare, frozen D."""
        space, network = self._space, self.discriminator
        c_ss, c_us = inputs.c.split([len(space.supervised), len(space.unsupervised)], dim=1)
        trunk = partial(compute, network.trunk, precision=self._precision)
        h = trunk(_seen(fake, inputs.maps.fake_g))
        l_i = loss_L_I(space.unsupervised, space.posterior, network.q_us(h), c_us)
        l2_is = loss_L2_IS(space.supervised, space.posterior, network.q_ss(h), c_ss)
        half = Half(inputs.x, inputs.y, fake, inputs.c, h, trunk, network.d, self._generators)
        return GeneratorTerms(
            g_adv=loss_real(network.d(h)),
            L_I_g=l_i,
            L2_IS=l2_is,
            extra=tuple(term.generator_term(half) for term in self._extra[1]),
        )

    def _descend(self, optimizer: Adam, loss: Tensor) -> None:
        """Let an optimizer descend, unless the loss is not finite on some rank."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        not_finite = (~torch.isfinite(loss.detach())).float()
        self._reduce_max(not_finite)
        optimizer.found_inf = not_finite  # type: ignore[attr-defined]  # 1: fused Adam skips
        optimizer.step()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _seen(images: Tensor, maps: Tensor | None, noise: Tensor | None = None) -> Tensor:
    """Return images as the trunk sees them: through their maps, then with their noise."""
    seen = images if maps is None else warp(images, maps, "nearest")
    return seen if noise is None else seen + noise


def _add(loss: Tensor, weights: Sequence[float], terms: Sequence[Tensor]) -> Tensor:
    return sum((weight * term for weight, term in zip(weights, terms, strict=True)), loss)
