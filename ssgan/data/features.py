"""Features of images by which their neighbors are found: principal components of their pixels.

Small gray pictures are deskewed first: moved to the middle and sheared upright by their second
moments, since two hands write one digit at two slants. Other pictures are reduced to at most 16 x
16 pixels.

The features are the same to the last bit on any number of threads: what is summed are integers,
whose sums are exact in any order, and the eigenvectors are computed on one thread.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from ssgan.base.rng import Streams
from ssgan.base.threads import use_threads
from ssgan.data.memmap import Take

KIND = "pixels-1"
"""Names these features in the cache; another computation gets another name."""

_FITTED = 20_000  # images that the components are computed from
_CHUNK = 2_048  # images that are in memory at a time
_DESKEWED = 32  # pixels a side, at most
_REDUCED = 16  # pixels a side
_GRAINS = 2.0**16  # to a unit of an eigenvector's components, which become integers by it


def pixel_features(take: Take, count: int, shape: tuple[int, int, int], dims: int = 50) -> Tensor:
    """Return the first principal components of images: float32 (N, F), F <= dims.

    Directions in which the images do not differ are left out.

    Args:
        take: Reads images by their rows, from 0 to count - 1.
        count: Number of images N.
        shape: Channels, height and width of an image.
        dims: Most components.
    """
    if shape[0] == 1 and max(shape[1:]) <= _DESKEWED:
        prepared: Callable[[Tensor], Tensor] = _deskewed
    else:
        prepared = _reduced

    def pixels(rows: Tensor) -> Iterator[Tensor]:
        for chunk in rows.split(_CHUNK):
            yield prepared(take(chunk).cpu().double()).flatten(1)

    order = torch.randperm(count, generator=Streams(0).generator("principal components"))
    basis, middle = _components(pixels(order[:_FITTED]), dims)
    parts = [(chunk @ basis - middle) / _GRAINS for chunk in pixels(torch.arange(count))]
    return torch.cat(parts).float()


def _components(chunks: Iterator[Tensor], dims: int) -> tuple[Tensor, Tensor]:
    """Return the eigenvectors of pixels' covariance as columns of integers, float64 (D, F).

    With them comes where the pixels' mean lies along each, float64 (F,).
    """
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for pixels in chunks:
        count += len(pixels)
        total = total + pixels.sum(dim=0)
        products = products + pixels.T @ pixels
    mean = total / count
    with use_threads(1):
        values, vectors = torch.linalg.eigh(products / count - mean[:, None] * mean)
    kept = values.flip(0)[:dims] > 1e-9 * values[-1]
    basis = (vectors.flip(1)[:, :dims][:, kept] * _GRAINS).round()
    largest = basis.abs().argmax(dim=0, keepdim=True)
    basis = basis * basis.gather(0, largest).sign()
    return basis, total @ basis / count


def _deskewed(images: Tensor) -> Tensor:
    """Move gray pictures (n, 1, H, W) to the middle and shear them upright: integers (n, H, W).

    What counts is how far pixels are from the paper, the median of the picture's edge.
    """
    images = images[:, 0]
    count, height, width = images.shape
    edge = torch.cat([images[:, [0, -1]].flatten(1), images[:, :, [0, -1]].flatten(1)], dim=1)
    drawn = images - edge.median(dim=1).values[:, None, None]
    y = torch.arange(height, dtype=torch.float64)[:, None]
    x = torch.arange(width, dtype=torch.float64)
    mass, my, mx, mxy, myy = (
        (drawn.abs() * factor).sum(dim=(1, 2))[:, None, None] for factor in (1, y, x, x * y, y * y)
    )
    whole = mass.clamp(min=1)
    center_y, center_x = my / whole, mx / whole
    slant = (mxy - my * center_x) / (myy - my * center_y).clamp(min=1)
    lines = y - (height - 1) / 2
    from_y = (center_y + lines).expand(-1, -1, width)
    from_x = center_x + slant.clamp(-1, 1) * lines + (x - (width - 1) / 2)
    padded = pad(drawn, (1, 1, 1, 1)).flatten(1)

    def look_up(at_y: Tensor, at_x: Tensor) -> Tensor:
        rows = (at_y + 1).clamp(0, height + 1) * (width + 2)
        where = (rows + (at_x + 1).clamp(0, width + 1)).long()
        return padded.gather(1, where.flatten(1)).view(count, height, width)

    top, left = from_y.floor(), from_x.floor()
    right, down = from_x - left, from_y - top
    upper = look_up(top, left) * (1 - right) + look_up(top, left + 1) * right
    lower = look_up(top + 1, left) * (1 - right) + look_up(top + 1, left + 1) * right
    return (upper * (1 - down) + lower * down).round()


def _reduced(images: Tensor) -> Tensor:
    """Average pictures (n, C, H, W) to at most 16 x 16 pixels: integers, 16 to a gray level."""
    height, width = (min(side, _REDUCED) for side in images.shape[2:])
    return (adaptive_avg_pool2d(images, (height, width)) * 16).round()
