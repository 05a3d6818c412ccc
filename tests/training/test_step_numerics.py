"""The step beside an obviously correct one, and golden losses that guard both."""

import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssgan.method.optimizer import OptimizerConfig
from ssgan.networks.precision import Precision
from ssgan.training.step import StepInput, TrainingStep
from tests.helpers.networks import SHAPE, SIZES, SPACE, WEIGHTS, B


def build(
    dtype: torch.dtype = torch.float32,
    infogan: bool = False,
    precision: Precision = "float32",
) -> TrainingStep:
    draw = torch.Generator().manual_seed(0)
    return TrainingStep(
        SIZES.build_generator(SPACE, SHAPE, draw).to(dtype),
        SIZES.build_discriminator(SPACE, SHAPE, draw).to(dtype),
        SPACE,
        OptimizerConfig(),
        precision=precision,
        infogan=infogan,
    )


def draw_inputs(
    index: int, dtype: torch.dtype = torch.float32, separate: bool = False
) -> StepInput:
    draw = torch.Generator().manual_seed(100 + index)
    x = torch.rand(B, *SHAPE, generator=draw).to(dtype)
    y = torch.randint(3, (B, 1), generator=draw).to(dtype)
    y[::3] = math.nan
    labeled = None
    if separate:
        labeled, y = (torch.rand(4, *SHAPE, generator=draw).to(dtype), y[:4]), y * math.nan
    c, z = SPACE.sample(B, draw)
    return StepInput(x, y, labeled, c.to(dtype), z.to(dtype))


class PlainStep:
    """The step as a textbook has it: two forwards of G, D unfrozen, Adam unfused."""

    def __init__(self, like: TrainingStep, infogan: bool) -> None:
        self.generator = deepcopy(like.generator)
        self.discriminator = deepcopy(like.discriminator)
        self._infogan = infogan
        plain: dict[str, Any] = {"betas": (0.5, 0.999), "foreach": False, "fused": False}
        self._d_adam = torch.optim.Adam(self.discriminator.parameters(), lr=1e-3, **plain)
        self._g_adam = torch.optim.Adam(self.generator.parameters(), lr=1e-2, **plain)

    def __call__(self, inputs: StepInput) -> list[float]:
        D, lambda1, lambda2 = self.discriminator, 0.7, 1.3
        one_hot = nn.functional.one_hot
        shape, style, lot = inputs.c.unbind(1)
        latents = torch.cat(
            [one_hot(shape.long(), 3), style[:, None], one_hot(lot.long(), 2), inputs.z], dim=1
        )

        def l_us(h: Tensor) -> Tensor:
            q = D.q_us(h)
            return F.mse_loss(q[:, 0], style) + F.cross_entropy(q[:, 1:], lot.long())

        with torch.no_grad():
            fake = self.generator(latents)
        if inputs.noise_fake is not None:
            fake = fake + inputs.noise_fake
        x = inputs.x if inputs.noise_real is None else inputs.x + inputs.noise_real
        h, h_fake = D.trunk(x), D.trunk(fake)
        d_real = F.binary_cross_entropy_with_logits(D.d(h), torch.ones_like(D.d(h)))
        d_fake = F.binary_cross_entropy_with_logits(D.d(h_fake), torch.zeros_like(D.d(h_fake)))
        if self._infogan:
            l1 = F.cross_entropy(D.q_ss(h_fake), shape.long())
        else:
            q, y = D.q_ss(h), inputs.y
            if inputs.labeled is not None:
                q, y = D.q_ss(D.trunk(inputs.labeled[0])), inputs.labeled[1]
            is_known = ~y[:, 0].isnan()
            l1 = F.cross_entropy(q[is_known], y[is_known, 0].long(), reduction="sum") / len(y)
        l_i = l_us(h_fake)
        self._d_adam.zero_grad()
        (d_real + d_fake + lambda1 * l_i + lambda2 * l1).backward()
        self._d_adam.step()

        h = D.trunk(self.generator(latents))
        g_adv = F.binary_cross_entropy_with_logits(D.d(h), torch.ones_like(D.d(h)))
        l_i_g, l2 = l_us(h), F.cross_entropy(D.q_ss(h), shape.long())
        self._g_adam.zero_grad()
        (g_adv + lambda1 * l_i_g + lambda2 * l2).backward()
        self._g_adam.step()
        return [term.item() for term in (d_real, d_fake, l_i, l1, g_adv, l_i_g, l2)]


@pytest.mark.parametrize("infogan", [False, True])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_step_is_the_plain_step(noise: float, separate: bool, infogan: bool) -> None:
    # In double precision rounding cannot hide a difference, nor Adam blow it up.
    step = build(torch.float64, infogan=infogan)
    plain = PlainStep(step, infogan)
    for index in range(5):
        inputs = draw_inputs(index, torch.float64, separate=separate)
        if noise:
            added = noise * torch.randn(2, *inputs.x.shape, dtype=torch.float64)
            inputs = inputs._replace(noise_real=added[0], noise_fake=added[1])
        assert step(inputs, WEIGHTS).values().tolist() == pytest.approx(plain(inputs), rel=1e-9)
    pairs = ((step.generator, plain.generator), (step.discriminator, plain.discriminator))
    for ours, theirs in pairs:
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            # A step is 1e-3 of D and 1e-2 of G. Biases that BatchNorm takes away have no gradient
            # but rounding, of which Adam makes steps of 1e-8.
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_the_step_is_the_plain_step_to_single_precision() -> None:
    step = build()
    plain = PlainStep(step, infogan=False)
    for index in range(5):
        inputs = draw_inputs(index)
        assert step(inputs, WEIGHTS).values().tolist() == pytest.approx(plain(inputs), rel=1e-4)


GOLDEN = {
    "separate": [0.68929, 0.692981, 1.062915, 0.533768, 0.693522, 1.0603, 1.111207],
    "same": [0.692066, 0.696066, 0.981939, 0.714987, 0.69105, 0.979629, 1.079431],
    "infogan": [0.690707, 0.6962, 0.971975, 1.063749, 0.690902, 0.950597, 1.060063],
}


@pytest.mark.parametrize("mode", GOLDEN)
def test_golden_losses(mode: str) -> None:
    # Guards the numerics of codes, networks, objective and step against refactoring. Where a
    # change is meant, print the new losses and say in the commit why they moved.
    step = build(infogan=mode == "infogan")
    for index in range(8):
        terms = step(draw_inputs(index, separate=mode == "separate"), WEIGHTS)
    assert terms.values().tolist() == pytest.approx(GOLDEN[mode], rel=1e-4)


def test_bfloat16_is_for_layers_only() -> None:
    exact, fast = build(), build(precision="bfloat16")
    formats: dict[str, set[torch.dtype]] = {"G": set(), "trunk": set(), "head": set()}

    def watch(name: str, layer: nn.Module) -> None:
        layer.register_forward_hook(lambda *args: formats[name].add(args[2].dtype))

    watch("G", fast.generator.layers[-2])
    watch("trunk", fast.discriminator._trunk[0])
    watch("head", fast.discriminator._d)
    for index in range(3):
        inputs = draw_inputs(index, separate=index == 1)
        ours, theirs = (step(inputs, WEIGHTS).values() for step in (fast, exact))
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.01)
    bfloat16, float32 = {torch.bfloat16}, {torch.float32}
    assert formats == {"G": bfloat16, "trunk": bfloat16, "head": float32}
    for optimizer in (fast.g_optimizer, fast.d_optimizer):
        for parameter, state in optimizer.state.items():
            kept = {parameter.dtype, parameter.grad.dtype, *(t.dtype for t in state.values())}
            assert kept == float32
