"""Synthetic images to measure and to look at: balanced latents, and G's output as bytes."""

import torch
from torch import Tensor, nn

from ssgan.method.codes import Latents, LatentSpace

_BATCH = 250  # images a forward pass


def balanced_latents(space: LatentSpace, n: int, generator: torch.Generator) -> Latents:
    """Draw latents in which every class of every categorical code occurs equally often.

    The first categorical code counts through its classes, so that every prefix is balanced; the
    others are balanced and shuffled. Under an empirical joint prior the supervised codes follow
    the prior instead, since G never learned the combinations that it lacks.

    Returns:
        Codes (n, K) and noise (n, noise), float32 on the generator's device.
    """
    drawn = space.sample(n, generator)
    is_first = True
    for k, code in enumerate(space.codes):
        if not code.is_categorical or (space.joint is not None and k < len(space.supervised)):
            continue
        classes = torch.arange(n, device=generator.device) % code.size
        if not is_first:
            order = torch.randperm(n, generator=generator, device=generator.device)
            classes = classes[order]
        drawn.c[:, k] = classes.to(drawn.c.dtype)
        is_first = False
    return drawn


@torch.no_grad()
def generate(generator: nn.Module, space: LatentSpace, latents: Latents) -> Tensor:
    """Synthesize images as a user gets them.

    Args:
        generator: G in eval mode, on any device.
        space: How codes and noise are laid out.
        latents: Codes (N, K) and noise (N, noise).

    Returns:
        uint8 (N, C, H, W) on the CPU, rounded.
    """
    device = next(generator.parameters()).device
    inputs = space.encode(*latents)
    images = []
    for batch in inputs.split(_BATCH):
        pixels: Tensor = generator(batch.to(device))
        images.append((pixels * 255).round().clamp(0, 255).to(torch.uint8).cpu())
    return torch.cat(images)
