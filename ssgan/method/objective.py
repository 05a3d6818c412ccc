"""The objective of ss-InfoGAN, one function a term (section 3.2, equations 1 to 7).

The bounds on mutual information are maximized, so losses here are their negatives without the
constant entropies: ``loss_L_I`` is -(L_I - H(c_us)), and so on. D works with logits:
``log D(x) = -softplus(-logit)``.

Shapes: B images; K codes; a code table is float32 (B, K); q is Q's output, float32 (B, width):
code by code the class logits, or the mean (posterior "mse"), or the mean and the log-variance
(posterior "gaussian"). With one more column for each categorical code (`LatentSpace.none`) the last
logit is that of none of the classes, which is the class `Code.none` of a code table.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ssgan.base.config import Config, Mutable
from ssgan.method.codes import Code, LatentSpace, Posterior
from ssgan.method.consistency import ConsistencyConfig
from ssgan.method.extra_term import ExtraTerm
from ssgan.method.schedules import WarmUp


class ObjectiveConfig(Config):
    """Weights of the mutual-information terms."""

    lambda1: Annotated[float, Mutable] = Field(default=0.8, ge=0)
    """Weight λ1 of L_I, the bound on I(c_us; x̃): equation 2."""
    lambda2: Annotated[float, Mutable] = Field(default=2.0, ge=0)
    """Weight λ2 of L_IS = L¹ + L², the bounds for c_ss: equation 7."""
    lambda2_warm_up: Annotated[WarmUp | None, Mutable] = None
    """Share of λ2 that counts while training begins; null is all of it, as in the paper. A large λ2
    helps once G draws; until then Q_ss may read the codes off images that are all but gray."""
    consistency: ConsistencyConfig | None = None
    """How unlabeled real images teach Q_ss besides, beyond equation 3; null, the paper's, is not at
    all. Records call the terms `loss/consistency`, `loss/information` and `loss/fairness`."""
    extra: tuple[ExtraTerm, ...] = ()
    """Terms besides the paper's, from other packages (docs/extending.md), each with `kind` and
    `weight`; records call them `loss/` and the name of the class. Fixed for a run."""


def loss_real(d: Tensor) -> Tensor:
    """-E[log D(x)]: equation 1, first term, and the non-saturating loss of G on x̃.

    Logits d are float32 (B,).
    """
    return F.softplus(-d).mean()


def loss_fake(d: Tensor) -> Tensor:
    """-E[log(1 - D(x̃))]: equation 1, second term; d are logits, float32 (B,)."""
    return F.softplus(d).mean()


def loss_L_I(codes: Sequence[Code], posterior: Posterior, q: Tensor, c_us: Tensor) -> Tensor:
    """-E[log Q_us(c_us | x̃)]: equation 2, summed over the codes; section 4 gives the losses."""
    return q_losses(codes, posterior, q, c_us).sum(dim=1).mean()


def loss_L1_IS(
    codes: Sequence[Code], posterior: Posterior, q: Tensor, y: Tensor, weights: Tensor | None = None
) -> Tensor:
    """-E[log Q_ss(y | x)] over labeled real images: equation 3, as the sum over labels / B.

    Labels y are float32 (B, K), NaN where one is not known, and so are their weights; without any
    each label counts 1. With no label at all the loss is 0 and its graph is whole, so that DDP
    finds every parameter used.
    """
    known = ~y.isnan() if weights is None else ~y.isnan() * weights
    losses = q_losses(codes, posterior, q, y.nan_to_num(0.0))
    return (losses * known).sum() / len(y)


def loss_L2_IS(codes: Sequence[Code], posterior: Posterior, q: Tensor, c_ss: Tensor) -> Tensor:
    """-E[log Q_ss(c_ss | x̃)]: equation 4; optimized for G only."""
    return q_losses(codes, posterior, q, c_ss).sum(dim=1).mean()


def q_losses(codes: Sequence[Code], posterior: Posterior, q: Tensor, c: Tensor) -> Tensor:
    """Compute each code's loss for each image, float32 (B, K), (B, 0) without codes (section 4).

    Cross-entropy for categorical codes; for continuous ones the mean squared error, or the
    negative log-likelihood of a Gaussian whose variance Q predicts.
    """
    columns = []
    for k, (code, part) in enumerate(split_q(codes, posterior, q)):
        target = c[:, k]
        if code.is_categorical:
            columns.append(F.cross_entropy(part, target.long(), reduction="none"))
        elif posterior == "mse":
            columns.append((part[:, 0] - target).square())
        else:
            mean, log_variance = part.unbind(dim=1)
            error = (target - mean).square() * torch.exp(-log_variance)
            columns.append(0.5 * (error + log_variance + math.log(2 * math.pi)))
    return torch.stack(columns, dim=1) if columns else q.new_zeros((len(q), 0))


NEAR = 0.1
"""How near the truth a continuous code has to be read, of a range of 2, to be right."""


class QReading(NamedTuple):
    """What Q makes of images."""

    value: Tensor
    """The most probable value of each code: a code table, float32 (B, K)."""
    confidence: Tensor
    """float32 (B, K) in [0, 1]: the probability of the class; of a continuous code NaN under
    the posterior "mse", else the probability that the value is within `NEAR` of the truth."""


def read_codes(
    codes: Sequence[Code], posterior: Posterior, q: Tensor, *, none: bool = False
) -> QReading:
    """Read the codes back from Q's output.

    With `none` a reading may be `Code.none`, where Q can say so; without, it is the most probable
    of the classes in any case, and so is its confidence among them.
    """
    values, confidences = [], []
    for code, part in split_q(codes, posterior, q):
        if code.is_categorical:
            logits = part if none else part[:, : code.size]
            confidence, value = logits.softmax(dim=1).max(dim=1)
            value = value.to(q.dtype)
        elif posterior == "mse":
            value = part[:, 0]
            confidence = torch.full_like(value, math.nan)
        else:
            value, log_variance = part.unbind(dim=1)
            confidence = torch.erf(NEAR / math.sqrt(2) * torch.exp(-0.5 * log_variance))
        values.append(value)
        confidences.append(confidence)
    if not values:
        return QReading(q[:, :0], q[:, :0])
    return QReading(torch.stack(values, dim=1), torch.stack(confidences, dim=1))


def read_all(space: LatentSpace, q_ss: Tensor, q_us: Tensor) -> QReading:
    """Read all codes of a space back, supervised ones first.

    Those may be `Code.none`, where Q can say so.
    """
    supervised = read_codes(space.supervised, space.posterior, q_ss, none=True)
    unsupervised = read_codes(space.unsupervised, space.posterior, q_us)
    both = zip(supervised, unsupervised, strict=True)
    return QReading(*(torch.cat(parts, dim=1) for parts in both))


def split_q(
    codes: Sequence[Code], posterior: Posterior, q: Tensor
) -> Iterator[tuple[Code, Tensor]]:
    """Cut Q's output into one part a code, float32 (B, width of the code).

    How wide it is says whether categorical codes have a logit for none of the classes.
    """
    continuous = 2 if posterior == "gaussian" else 1
    sizes = [code.size if code.is_categorical else continuous for code in codes]
    if q.shape[1] > sum(sizes):
        sizes = [size + code.is_categorical for size, code in zip(sizes, codes, strict=True)]
    return zip(codes, q.split(sizes, dim=1) if sizes else (), strict=True)
