"""Metrics as pure functions of code tables and features (section 5).

A code table is float32 (N, K): the class index or the value in [-1, 1] of each code; NaN marks an
unknown cell. Nothing here draws random numbers or runs a network. The bounds on mutual
information stand in `information`.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ssgan.evaluation.distances import Between, kth_smallest
from ssgan.method.codes import Code

Matching = Literal["identity", "hungarian"]
"""How a code's classes are paired with recognized ones: by name, or as fits best (InfoGAN)."""
_WIDTH = 1.96  # standard errors, for 95 %


class ZeroOneLoss(NamedTuple):
    """Share of samples that are not recognized as what was asked for."""

    mean: float | None
    """Mean over the categorical codes; None without one."""
    codes: dict[str, float]
    """Mean over the classes of each categorical code."""
    classes: dict[str, dict[str, float]]
    """By code and class asked for; classes that nobody asked for are left out."""
    assignment: dict[str, list[int]]
    """By code: for each class asked for, the recognized class that counts as right."""


def zero_one_loss(
    c: Tensor, predicted: Tensor, codes: Sequence[Code], matching: Matching = "identity"
) -> ZeroOneLoss:
    """Compare code tables: asked for, and recognized by C (the paper's figures 3 and 8).

    "hungarian" pairs classes so that most samples agree: the only fair reading of codes that were
    never shown a label.
    """
    means: dict[str, float] = {}
    classes: dict[str, dict[str, float]] = {}
    assignments: dict[str, list[int]] = {}
    for k, code in enumerate(codes):
        if not code.is_categorical:
            continue
        counts = confusion(c[:, k], predicted[:, k], code.size)
        assignment = _match(counts, matching)
        assignments[code.name] = assignment
        asked = counts.sum(dim=1)
        right = counts[torch.arange(code.size), assignment]
        classes[code.name] = {
            name: (asked[i] - right[i]).item() / asked[i].item()
            for i, name in enumerate(code.classes)
            if asked[i] > 0
        }
        if classes[code.name]:
            means[code.name] = fmean(classes[code.name].values())
    return ZeroOneLoss(fmean(means.values()) if means else None, means, classes, assignments)


def confusion(asked: Tensor, recognized: Tensor, size: int) -> Tensor:
    """Count samples by asked (row) and recognized (column) class, int64; NaN cells are left out."""
    known = ~(asked.isnan() | recognized.isnan())
    pairs = asked[known].long() * size + recognized[known].long()
    return torch.bincount(pairs, minlength=size * size).reshape(size, size)


def accuracy(
    labels: Tensor, read: Tensor, codes: Sequence[Code], matching: Matching = "identity"
) -> dict[str, float]:
    """Share of known labels that were read right, by categorical code with a known label.

    Both are code tables of real images; C or Q_ss reads. The matching is as in `zero_one_loss`.
    """
    shares = {}
    for k, code in enumerate(codes):
        if code.is_categorical and not labels[:, k].isnan().all():
            counts = confusion(labels[:, k], read[:, k], code.size)
            right = counts[torch.arange(code.size), _match(counts, matching)].sum()
            shares[code.name] = right.item() / counts.sum().item()
    return shares


def _match(counts: Tensor, matching: Matching) -> list[int]:
    """Return for each row of a confusion matrix the column that counts as right."""
    if matching == "identity":
        return list(range(len(counts)))
    from scipy.optimize import linear_sum_assignment  # slow to import, and needed by few runs

    columns: list[int] = linear_sum_assignment(counts.numpy(), maximize=True)[1].tolist()
    return columns


def wilson(share: float, trials: float) -> tuple[float, float]:
    """Return Wilson's interval of 95 % of a share that was found in so many trials."""
    square = _WIDTH**2 / trials
    middle = (share + square / 2) / (1 + square)
    half = (share * (1 - share) * square + square**2 / 4) ** 0.5 / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


class Agreement(NamedTuple):
    """How a continuous code's measured values follow the wanted ones."""

    correlation: float | None
    """Pearson's correlation in [-1, 1]; None where one side does not vary."""
    rmse: float
    """Root mean squared difference in the user's units."""


def agreements(wanted: Tensor, measured: Tensor, codes: Sequence[Code]) -> dict[str, Agreement]:
    """Compare wanted and measured values of continuous codes, two code tables, float32 (N, K).

    Codes of which fewer than two pairs are known are left out.
    """
    found = {}
    for k, code in enumerate(codes):
        known = ~(wanted[:, k].isnan() | measured[:, k].isnan())
        if code.is_categorical or known.sum() < 2:
            continue
        a, b = (code.from_unit(table[known, k].double()) for table in (wanted, measured))
        rmse = float((a - b).square().mean().sqrt())
        spread = a.std(correction=0) * b.std(correction=0)
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        correlation = (covariance / spread).clamp(-1, 1).item() if spread else None
        found[code.name] = Agreement(correlation, rmse)
    return found


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Squared Fréchet distance of two Gaussians fitted to features (Heusel et al., 2017).

    |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁^½ Σ₂ Σ₁^½)^½), by eigenvalues of symmetric matrices in
    float64, which stays real and finite where covariances are singular. The features are float32
    (N, F) and (M, F), N and M at least 2.
    """
    a, b = real.double(), fake.double()
    cov_a, cov_b = (torch.cov(x.T).reshape(x.shape[1], -1) for x in (a, b))
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    shift = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    return max(0.0, float(shift + cov_a.trace() + cov_b.trace() - 2 * cross))


class Fidelity(NamedTuple):
    """How samples and real images overlap in feature space, each as a share of images."""

    precision: float
    """Samples that lie within the real images' manifold: quality."""
    recall: float
    """Real images that lie within the samples' manifold: variety."""
    density: float
    """Precision that counts how many real neighborhoods hold a sample; may pass 1."""
    coverage: float
    """Real images with a sample in their neighborhood."""


def precision_recall_density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> Fidelity:
    """Measure fidelity and variety by k-nearest-neighbor balls.

    Precision and recall after Kynkäänniemi et al. (2019, arXiv:1904.06991), density and coverage
    after Naeem et al. (2020, arXiv:2002.09797).

    Args:
        real: float32 (N, F), N above k.
        fake: float32 (M, F), M above k.
        k: Neighbors that span an image's ball, itself not counted.

    Raises:
        ValueError: There are not more than k images on a side.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"k = {k} neighbors need more than {min(len(real), len(fake))} images")
    a, b = real.double(), fake.double()
    radius_a, radius_b = kth_smallest(a, k + 1), kth_smallest(b, k + 1)
    between = Between(a, b)
    in_real, in_fake = between.within(radius_a[:, None]), between.within(radius_b[None, :])
    return Fidelity(
        precision=in_real.any(dim=0).double().mean().item(),
        recall=in_fake.any(dim=1).double().mean().item(),
        density=in_real.sum(dim=0).double().mean().item() / k,
        coverage=in_real.any(dim=1).double().mean().item(),
    )


def diversity(
    samples: Tensor, c: Tensor, real: Tensor, labels: Tensor, codes: Sequence[Code]
) -> tuple[float | None, dict[str, dict[str, float]]]:
    """Mean distance between two images of a class, samples over real images.

    Distances are Euclidean in pixel space after 2x2 means. Pixels, because C's features are
    trained to forget what varies within a class; means of 2x2, so that pixel noise and
    checkerboards do not pass for variety. A class of equal samples scores 0. At most 200 images
    of a class are compared, the first ones.

    Args:
        samples: uint8 (N, C, H, W).
        c: Code table of what was asked for, float32 (N, K).
        real: uint8 (M, C, H, W).
        labels: Code table, float32 (M, K); NaN unknown.
        codes: What the columns mean. Without a categorical code all images make one class,
            named "all".

    Returns:
        The mean over the classes, None where nothing can be compared, and the ratio by code and
        class: 1 is as varied as real images are.
    """
    pairs: dict[str, dict[str, tuple[Any, Any]]] = {
        code.name: {name: (c[:, k] == i, labels[:, k] == i) for i, name in enumerate(code.classes)}
        for k, code in enumerate(codes)
        if code.is_categorical
    } or {"all": {"all": (slice(None), slice(None))}}
    classes: dict[str, dict[str, float]] = {code: {} for code in pairs}
    for code, by_class in pairs.items():
        for name, (in_samples, in_real) in by_class.items():
            fake_spread, real_spread = _spread(samples[in_samples]), _spread(real[in_real])
            if fake_spread is not None and real_spread:
                classes[code][name] = fake_spread / real_spread
    ratios = [ratio for by_class in classes.values() for ratio in by_class.values()]
    return fmean(ratios) if ratios else None, classes


def _spread(images: Tensor) -> float | None:
    """Mean distance between two images after 2x2 means; None with fewer than two."""
    if len(images) < 2:
        return None
    coarse = torch.nn.functional.avg_pool2d(images[:200].float(), 2, ceil_mode=True)
    return torch.pdist(coarse.flatten(start_dim=1)).mean().item()
