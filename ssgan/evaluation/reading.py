"""What Q_ss and Q_us say of images."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ssgan.networks.discriminator import Discriminator

Q_BATCH = 500
"""Images that go through D at a time."""


@torch.no_grad()
def run_q(
    batches: Iterable[Tensor], discriminator: Discriminator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Run Q_ss and Q_us, in eval mode on their device, on one batch or more.

    Args:
        batches: Images, uint8 (n, C, H, W) each.
        discriminator: The networks.
        device: Where they are.

    Returns:
        The parameters of Q_ss and of Q_us for all N images, float32 (N, width), on the CPU.
    """
    q_ss, q_us = [], []
    for batch in batches:
        h = discriminator.trunk(batch.to(device).float() / 255)
        q_ss.append(discriminator.q_ss(h).cpu())
        q_us.append(discriminator.q_us(h).cpu())
    return torch.cat(q_ss), torch.cat(q_us)
