"""Bounds on mutual information, in nats (equations 2 to 4 and 11 to 14), and dead codes.

For any model Q, I(c; x) >= H(c) + E[log Q(c | x)] (equation 2). With H and the loss measured, the
bound is their difference.

**Categorical codes.** H(c) is the entropy of the labels or of the prior, and -E[log Q] the mean
cross-entropy.

**Continuous codes.** Let ĉ(x) be Q's reading and e = c - ĉ(x) its error. Conditioning only lowers
entropy, and a shift leaves it alone: h(c | x) = h(e | x) <= h(e). Of all distributions with a given
variance the Gaussian has the largest entropy: h(e) <= ½ log(2πe Var e). Therefore

    I(c; x) = h(c) - h(c | x) >= h(c) - ½ log(2πe Var e),

whatever Q's loss was trained to be. A code c ~ U(-1, 1) has h(c) = log 2, and a Q that knows
nothing leaves Var e = 1/3, for which the bound is -0.18: below 0, hence the clip.

**Real and synthetic images.** Under assumption 8 (given c_ss, x and x̃ are independent) equation
14 reads I(x; x̃) = I(c; x) + I(c; x̃) + H(c | x, x̃) - H(c), and the discrete H(c | x, x̃) is not
negative: I(x; x̃) >= L¹ + L² - H(c).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ssgan.method.codes import Code, LatentSpace, Posterior
from ssgan.method.objective import q_losses, read_codes

_BINS = 20  # of a histogram over [-1, 1], for the entropy of continuous labels


class Information(NamedTuple):
    """The bound on I(c; x) for one code."""

    bound: float
    """Nats, not below 0."""
    entropy: float
    """H(c) in nats; for a continuous code h(c), which may be negative."""
    loss: float
    """What the bound leaves: -E[log Q(c | x)], or ½ log(2πe Var e)."""


def information(
    codes: Sequence[Code],
    posterior: Posterior,
    q: Tensor,
    c: Tensor,
    entropies: Mapping[str, float],
) -> dict[str, Information]:
    """Bound the mutual information between images and each code.

    Args:
        codes: What the columns of `c` mean, in the order of Q's output.
        posterior: The model of continuous codes in Q.
        q: Q's output on the images, float32 (N, width).
        c: Code table of the images' true codes, float32 (N, K); NaN cells are left out.
        entropies: H(c) in nats by code: of the labels on real images, of the prior on samples.

    Returns:
        By code; codes of which fewer than two values are known are left out.
    """
    losses = q_losses(codes, posterior, q, c.nan_to_num(0.0)).double()
    values = read_codes(codes, posterior, q).value.double()
    result = {}
    for k, code in enumerate(codes):
        known = ~c[:, k].isnan()
        if known.sum() < 2:
            continue
        if code.is_categorical:
            loss = losses[known, k].mean().item()
        else:
            variance = (c[known, k].double() - values[known, k]).var(correction=0).item()
            loss = 0.5 * math.log(2 * math.pi * math.e * max(variance, 1e-12))
        entropy = entropies[code.name]
        result[code.name] = Information(max(0.0, entropy - loss), entropy, loss)
    return result


def label_entropies(codes: Sequence[Code], labels: Tensor) -> dict[str, float]:
    """Entropy in nats of the known labels, a code table, float32 (N, K): by code that has any.

    For a continuous code it is that of the density that is constant in each of 20 bins over
    [-1, 1]: log 2 at most, finite where values repeat.
    """
    entropies = {}
    for k, code in enumerate(codes):
        known = labels[~labels[:, k].isnan(), k]
        if not len(known):
            continue
        if code.is_categorical:
            entropies[code.name] = _entropy(torch.bincount(known.long(), minlength=code.size))
        else:
            counts = torch.histc(known.clamp(-1, 1), bins=_BINS, min=-1, max=1)
            entropies[code.name] = _entropy(counts) + math.log(2 / _BINS)
    return entropies


def real_synthetic_bound(
    space: LatentSpace, on_real: Mapping[str, Information], on_samples: Mapping[str, Information]
) -> float | None:
    """Bound I(x; x̃) from below by L¹ + L² - H(c_ss), jointly over the categorical codes of c_ss.

    Q factors over the codes, so their losses add up, and with one H(c_ss) throughout the bound is
    H(c_ss) less both sums. Labels and prior may differ, which assumption 8 does not foresee: the
    smaller entropy counts. (Continuous codes are left out: a differential H(c | x, x̃) may be
    negative.)

    Returns:
        Nats, not below 0; None without a categorical code that was measured on both sides.
    """
    names = [
        code.name
        for code in space.supervised
        if code.is_categorical and code.name in on_real and code.name in on_samples
    ]
    if not names:
        return None
    labels = sum(on_real[name].entropy for name in names)
    prior = _joint_entropy(space, names)
    losses = sum(on_real[name].loss + on_samples[name].loss for name in names)
    return max(0.0, min(labels, prior) - losses)


def dead_codes(
    codes: Sequence[Code], on_samples: Mapping[str, Information], share: float, nats: float
) -> list[str]:
    """Find codes of which the samples tell next to nothing: return an alarm for each.

    A categorical code is dead below a share of its entropy, a continuous one below a bound in nats.
    """
    alarms = []
    for code in codes:
        if code.name not in on_samples:
            continue
        bound, entropy, _ = on_samples[code.name]
        kind, threshold = ("H", share * entropy) if code.is_categorical else ("h", nats)
        if bound < threshold:
            alarms.append(
                f"code {code.name!r} is dead: samples tell {bound:.3f} nats of its "
                f"{kind} = {entropy:.3f} (alarm below {threshold:.3f}), so turning it "
                "changes little. Train longer, raise objective.lambda1 (unsupervised "
                "codes) or objective.lambda2 (supervised codes), or give fewer codes."
            )
    return alarms


def _joint_entropy(space: LatentSpace, names: Sequence[str]) -> float:
    """Entropy of the prior over some supervised categorical codes together."""
    columns = [space.index(name) for name in names]
    if space.joint is None:
        return sum(space.entropy(space.codes[column]) for column in columns)
    weights: dict[tuple[float, ...], float] = {}
    for row, weight in zip(space.joint.rows, space.joint.weights, strict=True):
        key = tuple(row[column] for column in columns)
        weights[key] = weights.get(key, 0.0) + weight
    return _entropy(torch.tensor(list(weights.values())))


def _entropy(counts: Tensor) -> float:
    shares = counts[counts > 0].double() / counts.sum().double()
    return -(shares * shares.log()).sum().item()
