"""Instance noise for one rank's images, keyed by blocks of the global batch.

Noise is as large as the images themselves. A rank draws the blocks that its images lie in and no
others, and the numbers are the same for any number of ranks.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

BLOCK = 512
"""Images of the global batch that share a key; part of what a seed means."""
_STREAM = "instance noise"


def draw_instance_noise(
    generator: Callable[[str], torch.Generator],
    std: float | Tensor,
    images: range,
    batch_size: int,
    shape: Sequence[int],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw normal noise for real and for synthetic images of one update.

    Args:
        generator: Returns that of a stream for the update, on the device.
        std: Standard deviation of the noise.
        images: Positions in the global batch of those that this rank has.
        batch_size: Images of the global batch.
        shape: Of an image, (C, H, W).
        device: Where to draw; CPU and CUDA devices draw different numbers.

    Returns:
        float32 (2, images, C, H, W), the noise for real images first.
    """
    noise = torch.empty((2, len(images), *shape), device=device)
    drawn = torch.empty(0, device=device)
    for block in range(images.start // BLOCK, (images.stop - 1) // BLOCK + 1):
        first = block * BLOCK
        size = min(BLOCK, batch_size - first)
        if drawn.shape != (2, size, *shape):
            drawn = torch.empty((2, size, *shape), device=device)
        stream = f"{_STREAM}/{block}" if block else _STREAM
        torch.randn(drawn.shape, generator=generator(stream), out=drawn)
        start, stop = max(first, images.start), min(first + size, images.stop)
        torch.mul(
            drawn[:, start - first : stop - first],
            std,
            out=noise[:, start - images.start : stop - images.start],
        )
    return noise
