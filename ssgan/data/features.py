"""Features of images by which their neighbors are found: where edges are, and which way they run.

Small gray pictures are deskewed first: moved to the middle and sheared upright by their second
moments, since two hands write one digit at two slants. Others are reduced to at most 32 x 32
pixels. Then every cell of 4 x 4 pixels counts the directions of the gradients about it (histograms
of oriented gradients, Dalal and Triggs, 2005), the square roots of the shares are taken, so that
Euclidean distance is Hellinger's, and of these the principal components.

The features are the same to the last bit on any number of threads: what is summed are integers,
whose sums are exact in any order, all else is rounded alike everywhere (no sine, no power), and the
eigenvectors are computed on one thread.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, conv2d, pad

from ssgan.base.rng import Streams
from ssgan.base.threads import use_threads
from ssgan.data.memmap import Take

KIND = "gradients-1"
"""Names these features in the cache; another computation gets another name."""
FITTED = 20_000
"""Images that the components are computed from, at most, and that are read twice."""

_CHUNK = 256  # images that are in memory at a time
_SIDE = 32  # pixels; larger pictures are reduced
_CELL = 4  # pixels a side
_DIRECTIONS = 8
_SHARPENED = 4  # squarings of a gradient's cosine with a direction: it counts where that is near 1
_TONE = 2  # weight of a gray level, where the lengths of all edges are 4096
_GRAINS = 2.0**16  # to a unit of an eigenvector's components, which become integers by it


def pixel_features(take: Take, count: int, shape: tuple[int, int, int], dims: int = 100) -> Tensor:
    """Return the first principal components of images: float32 (N, F), F <= dims.

    Directions in which the images do not differ are left out.

    Args:
        take: Reads images by their rows, from 0 to count - 1.
        count: Number of images N.
        shape: Channels, height and width of an image.
        dims: Most components.
    """
    is_small_gray = shape[0] == 1 and max(shape[1:]) <= _SIDE
    prepare = _deskewed if is_small_gray else _reduced

    def described(rows: Tensor) -> Iterator[Tensor]:
        for chunk in rows.split(_CHUNK):
            yield _describe(prepare(take(chunk).cpu().double()))

    return principal_components(described, count, dims)


def principal_components(
    vectors: Callable[[Tensor], Iterator[Tensor]], count: int, dims: int
) -> Tensor:
    """Return the first principal components of vectors of integers: float32 (N, F), F <= dims.

    Directions in which they do not differ are left out. `vectors` is called twice, and read to the
    end: for the rows that the components are computed from, and for all.

    Args:
        vectors: Reads those of rows, int64 (n,), chunk by chunk: float64 (m, D) integers, whose
            products must be exact when `FITTED` of them are summed.
        count: Number of vectors N.
        dims: Most components.
    """
    order = torch.randperm(count, generator=Streams(0).generator("principal components"))
    basis, middle = _components(vectors(order[:FITTED]), dims)
    parts = [(chunk @ basis - middle) / _GRAINS for chunk in vectors(torch.arange(count))]
    return torch.cat(parts).float()


def _components(chunks: Iterator[Tensor], dims: int) -> tuple[Tensor, Tensor]:
    """Return the eigenvectors of the covariance as columns of integers, float64 (D, F).

    What comes in are integers, (n, D); with them goes where their mean lies along each, float64
    (F,).
    """
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        count += len(chunk)
        total = total + chunk.sum(dim=0)
        products = products + chunk.T @ chunk
    mean = total / count
    with use_threads(1):
        values, vectors = torch.linalg.eigh(products / count - mean[:, None] * mean)
    kept = values.flip(0)[:dims] > 1e-9 * values[-1]
    basis = (vectors.flip(1)[:, :dims][:, kept] * _GRAINS).round()
    largest = basis.abs().argmax(dim=0, keepdim=True)
    basis = basis * basis.gather(0, largest).sign()
    return basis, total @ basis / count


def _deskewed(images: Tensor) -> Tensor:
    """Move gray pictures (n, 1, H, W) to the middle and shear them upright: integers.

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
    return (upper * (1 - down) + lower * down).round()[:, None]


def _reduced(images: Tensor) -> Tensor:
    """Average pictures (n, C, H, W) to at most 32 x 32 pixels: integers."""
    height, width = (min(side, _SIDE) for side in images.shape[2:])
    return adaptive_avg_pool2d(images, (height, width)).round()


def _describe(images: Tensor) -> Tensor:
    """Describe pictures (n, C, H, W) by the directions of their edges: integers (n, D).

    Their light and dark, in 4 x 4 parts, is added with little weight: it tells flat pictures apart.
    """
    shares = _pool(_directed_gradients(images.float())).flatten(1).double()
    edges = ((shares / shares.sum(dim=1, keepdim=True).clamp(min=1)).sqrt() * 4096).round()
    tones = adaptive_avg_pool2d(images, (4, 4)).flatten(1).round()
    return torch.cat([edges, tones * _TONE], dim=1)


def _directed_gradients(images: Tensor) -> Tensor:
    """Return how steep pictures (n, C, H, W) are towards each direction: integers (n, K, H, W)."""
    framed = pad(images, (1, 1, 1, 1), mode="replicate")
    x = framed[:, :, 1:-1, 2:] - framed[:, :, 1:-1, :-2]
    y = framed[:, :, 2:, 1:-1] - framed[:, :, :-2, 1:-1]
    square = x * x + y * y
    channel = square.argmax(dim=1, keepdim=True)  # that with the steepest gradient counts
    x, y, square = (values.gather(1, channel) for values in (x, y, square))
    length = square.sqrt()
    turns = torch.arange(_DIRECTIONS) * (2 * math.pi / _DIRECTIONS)
    east, south = (
        (part * 1024).round()[:, None, None] / 1024 for part in (turns.cos(), turns.sin())
    )
    nearness = ((x * east + y * south) / length.clamp(min=1)).clamp(min=0)
    for _ in range(_SHARPENED):
        nearness = nearness * nearness
    return (length * nearness * 16).round()


def _pool(maps: Tensor) -> Tensor:
    """Sum maps (n, K, H, W) of integers by cells; a pixel counts for the four nearest cells.

    The sums stay below 2**24, up to which float32 holds every integer.
    """
    channels = maps.shape[1]
    missing_y, missing_x = (-side % _CELL for side in maps.shape[2:])
    half = _CELL // 2
    left, top = half + missing_x // 2, half + missing_y // 2
    right, bottom = _CELL + missing_x - left, _CELL + missing_y - top
    padded = pad(maps, (left, right, top, bottom))
    rise = torch.arange(1.0, 2 * _CELL, 2)
    weights = torch.cat([rise, rise.flip(0)])
    kernel = (weights[:, None] * weights).expand(channels, 1, -1, -1)
    return conv2d(padded, kernel, stride=_CELL, groups=channels)
