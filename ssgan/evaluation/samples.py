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
    follow_prior = len(space.supervised) if space.joint is not None else 0
    order = None
    for k, code in enumerate(space.codes):
        if code.is_categorical and k >= follow_prior:
            if order is None:
                order = torch.arange(n, device=generator.device)
            else:
                order = torch.randperm(n, generator=generator, device=generator.device)
            drawn.c[:, k] = (order % code.size).to(drawn.c.dtype)
    return drawn


@torch.no_grad()
def generate(generator: nn.Module, space: LatentSpace, latents: Latents) -> Tensor:
    """Synthesize images as a user gets them: uint8 (N, C, H, W) on the CPU, rounded.

    G is in eval mode, on any device; of the latents are codes (N, K) and noise (N, noise).
    """
    device = next(generator.parameters()).device
    images = []
    for batch in space.encode(*latents).split(_BATCH):
        pixels: Tensor = generator(batch.to(device))
        images.append((pixels * 255).round().clamp(0, 255).to(torch.uint8).cpu())
    return torch.cat(images)
