"""Does it copy? The nearest training image of each sample, beside that of real images.

Distances are Euclidean in C's features. Two kinds of real images are no copies, and say how near
an image comes to the training set by chance:

- held-out ones, of the test split. C has learned from these, which hardly shows in distances; but
  where a data set is split by who made the images, they are further away than samples should be;
- training images themselves, each beside the nearest other one. C has seen none of them; but pairs
  of one photograph, or by one hand, are among them.

A sample that is closer than `SHARE` of them is not yet a copy: an ideal G has this share too, and
one that prefers what is common has more. So the closest pairs are drawn, to be looked at. And the
audit audits itself: of copies that are planted, training images with a little noise and such that
are moved by half a pixel, it says how many it would have found.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import torch
from PIL import Image
from torch import Tensor

from ssgan.base.progress import Advance
from ssgan.base.rng import Streams
from ssgan.data.dataset import Dataset
from ssgan.data.orders import draw_order
from ssgan.drawing.grids import image_rows
from ssgan.evaluation.config import EvaluationConfig
from ssgan.evaluation.judge import Judge

SHARE = 0.01
"""Quantile of real images' distances that samples are held against."""
NOISE = 4.0
"""Standard deviation of the noise on a planted copy, of 255 gray levels."""
_REAL = Streams(0)  # not the run's: all runs are held against the same real images
_CHUNK = 1_000  # training images that all others are compared with at a time
_PAIRS = 10  # that are drawn


@dataclass(frozen=True)
class CopyAudit:
    """How near samples come to the images that G was trained on."""

    samples: int
    """Samples that were looked at."""
    training_images: int
    """Images that each was compared with."""
    below_held_out: float
    """Share of samples that are nearer to a training image than 1 % of held-out real images are."""
    below_training: float
    """The same beside training images, each with the nearest other one."""
    noisy_found: float
    """Share of planted copies with noise that are nearer than 1 % of held-out images are."""
    moved_found: float
    """The same of planted copies that are moved by half a pixel."""
    bound_held_out: float
    """The 1 % quantile of held-out images' distances."""
    bound_training: float
    """That of training images'."""
    median_samples: float
    """Median distance of the samples; distances are in units of C's features."""
    median_held_out: float
    median_training: float
    pairs: Image.Image
    """The closest pairs of samples and of held-out images, with real images of the data set."""


def audit_copies(
    config: EvaluationConfig,
    judge: Judge,
    dataset: Dataset,
    samples: Tensor,
    progress: Advance | None = None,
) -> CopyAudit:
    """Find the nearest training image of each sample, and of real images.

    Args:
        config: How many real images are looked at: `held_out_images` of each kind.
        judge: C, whose features are compared.
        dataset: Of the run; it has a test split, as there is a C.
        samples: Of G, uint8 (N, C, H, W).
        progress: Told of the training images that are compared.
    """
    assert dataset.test is not None
    rows, most = dataset.wanted, config.held_out_images
    held_out = dataset.test.take(_pick(len(dataset.test), most, "audit held-out images"))
    own = _pick(len(rows), most, "audit training images")
    training = dataset.train.take(rows[own])
    groups = [samples, held_out, training, *_plant(training[: len(samples)].cpu().float())]
    sizes = [len(group) for group in groups]
    features = torch.cat([judge.predict(group).features for group in groups])
    itself = torch.full((len(features),), -1)
    itself[sizes[0] + sizes[1] : sum(sizes[:3])] = own

    def others() -> Iterator[Tensor]:
        done = 0
        for part in rows.split(_CHUNK):
            yield judge.predict(dataset.train.take(part)).features
            done += len(part)
            if progress is not None:
                progress(done, len(rows))

    distances, nearest = _find_nearest(features, itself, others())
    near, far, among, noisy, moved = distances.split(sizes)
    beside_held_out, beside_training = far.quantile(SHARE), among.quantile(SHARE)
    at = [part.argsort(stable=True)[:_PAIRS] for part in (near, far)]
    found = nearest.split(sizes)
    drawn = [
        (name, [images[which].cpu(), dataset.train.take(rows[of[which]]).cpu()])
        for name, images, which, of in zip(
            ("drawn by G", "real, held out"), groups, at, found, strict=False
        )
    ]
    return CopyAudit(
        samples=len(samples),
        training_images=len(rows),
        below_held_out=_share(near, beside_held_out),
        below_training=_share(near, beside_training),
        noisy_found=_share(noisy, beside_held_out),
        moved_found=_share(moved, beside_held_out),
        bound_held_out=beside_held_out.item(),
        bound_training=beside_training.item(),
        median_samples=median(near.tolist()),
        median_held_out=median(far.tolist()),
        median_training=median(among.tolist()),
        pairs=image_rows(
            drawn,
            ["image", "nearest in training"],
            f"The images of {len(samples):,} samples, and of {len(held_out):,} real ones, that are "
            "closest to a training image in C's features",
        ),
    )


def _pick(count: int, most: int, stream: str) -> Tensor:
    """Return at most so many random positions, int64 (n,)."""
    return draw_order(_REAL, stream, count).at(torch.arange(min(most, count)))


def _plant(images: Tensor) -> Iterator[Tensor]:
    """Make copies of images, float32 (N, C, H, W): with noise, and moved by half a pixel."""
    noise = torch.randn(images.shape, generator=_REAL.generator("audit noise"))
    for copies in (images + noise * NOISE, (images + images.roll(1, dims=-1)) / 2):
        yield copies.round().clamp(0, 255).to(torch.uint8)


def _share(distances: Tensor, bound: Tensor) -> float:
    return (distances <= bound).double().mean().item()


def _find_nearest(
    features: Tensor, itself: Tensor, others: Iterator[Tensor]
) -> tuple[Tensor, Tensor]:
    """Find the nearest of many points that come in parts.

    Args:
        features: float32 (n, F).
        itself: int64 (n,): the place among the others that is the point itself, or -1.
        others: float32 (m, F) each.

    Returns:
        The distances, float64 (n,), and the places among all others, int64 (n,).
    """
    points = features.double()
    best = torch.full((len(points),), torch.inf, dtype=torch.float64)
    nearest = torch.zeros(len(points), dtype=torch.int64)
    start = 0
    for part in others:
        # By matrix products: in float64 what they round is far below any distance here.
        between = torch.cdist(points, part.double(), compute_mode="use_mm_for_euclid_dist")
        is_here = ((itself >= start) & (itself < start + len(part))).nonzero()[:, 0]
        between[is_here, itself[is_here] - start] = torch.inf
        distances, places = between.min(dim=1)
        nearest = torch.where(distances < best, places + start, nearest)
        best = torch.minimum(distances, best)
        start += len(part)
    return best, nearest
