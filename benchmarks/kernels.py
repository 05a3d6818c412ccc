"""Time of the layers' own kernels: each layer of a step alone, at its own shapes.

The sum is a lower bound for a step in eager PyTorch; its share of a step's time says how much is
lost to everything else.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ssgan.training.step import StepInput, TrainingStep


def kernel_time(step: TrainingStep, inputs: StepInput, latents: Tensor) -> float:
    """Run every layer alone, forward and backward as often as one update does.

    Returns:
        Process CPU time, in seconds.
    """
    generator, discriminator = step.generator, step.discriminator
    seconds = 0.0
    fake, spent = _run(list(generator.layers), latents, weights=True, to_input=False)
    seconds += spent
    trunk = list(discriminator._trunk)
    heads = [[discriminator._d], [discriminator._q_ss], list(discriminator._q_us)]
    passes = [(inputs.x, True, False), (fake, True, False), (fake, False, True)]
    if inputs.labeled is not None:
        passes.append((inputs.labeled[0], True, False))
    for images, weights, to_input in passes:
        h, spent = _run(trunk, images, weights=weights, to_input=to_input)
        seconds += spent
        for head in heads:
            seconds += _run(head, h, weights=weights, to_input=True)[1]
    return seconds


def _run(
    layers: list[nn.Module], x: Tensor, *, weights: bool, to_input: bool
) -> tuple[Tensor, float]:
    """Pass x through layers one by one; gradients go to weights, and to the first input or not."""
    seconds = 0.0
    for index, layer in enumerate(layers):
        source = x.detach().requires_grad_(to_input or index > 0)
        parameters = [p for p in layer.parameters() if weights]
        # In-place layers may not change a leaf: they get a view of it.
        out, spent = _timed(lambda layer=layer, source=source: layer(_passing(layer, source)))
        seconds += spent
        wanted = parameters + ([source] if source.requires_grad else [])
        if wanted:
            gradient = torch.ones_like(out)
            seconds += _timed(
                lambda out=out, wanted=wanted, gradient=gradient: torch.autograd.grad(
                    out, wanted, gradient
                )
            )[1]
        x = out.detach()
    return x, seconds


def _passing(layer: nn.Module, source: Tensor) -> Tensor:
    return source * 1 if getattr(layer, "inplace", False) else source


def _timed(call: Callable[[], Tensor]) -> tuple[Tensor, float]:
    started = time.process_time()
    result = call()
    return result, time.process_time() - started
