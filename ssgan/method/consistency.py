"""What unlabeled real images teach Q_ss: equation 3 beyond the labels.

L¹_IS is an expectation over labeled images. Here x is any real image as D sees it, Tx the same
image strongly changed, and p = Q_ss(x), q = Q_ss(Tx) are the readings of one categorical code.
Three terms, in nats, summed over the categorical supervised codes:

- consistency: the loss of equation 3 on Tx, whose label is the class that p reads, where p is sure
  enough (FixMatch, Sohn et al., 2020, with the threshold of FreeMatch, Wang et al., 2023):
  -E[1(max p >= threshold) log q(argmax p)].
- information: -I(c; c') of readings c ~ p and c' ~ q, whose joint distribution is E[p q'] (IIC, Ji
  et al., 2019). It needs no label. I(c; c') is a lower bound of what Tx tells of the reading of x,
  as L¹_IS is one of what x tells of the label.
- fairness: KL(prior || E[q]), which keeps a class from taking the images of others.
"""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ssgan.base.config import Config, Mutable
from ssgan.method.augment import AugmentConfig, augment, draw_affine
from ssgan.method.codes import LatentSpace
from ssgan.method.schedules import Clock, WarmUp

_LEAST = 1e-30  # probabilities have a logarithm


class StrongConfig(AugmentConfig):
    """Ranges of the strong change: a random affine map, and a square that is cut out."""

    rotation: float = Field(default=30.0, ge=0, le=180)
    """Largest rotation, in degrees, either way."""
    scale: float = Field(default=0.2, ge=0, lt=1)
    """Largest relative change of size."""
    shift: float = Field(default=0.125, ge=0, lt=1)
    """Largest shift along each axis, as a fraction of the image's side."""
    shear: float = Field(default=0.3, ge=0, lt=1)
    """Largest horizontal shear, as the tangent of its angle."""
    cut: float = Field(default=0.0, ge=0, lt=1)
    """Side of a square that is painted over with the image's mean color, as a fraction of the
    image's side; it is anywhere within the image. 0 is none."""

    @model_validator(mode="after")
    def _check(self) -> "StrongConfig":
        if not any(self.model_dump().values()):
            raise ValueError(
                "all changes are 0, so Q_ss would teach itself what it says already; set one, as "
                "rotation: 30, or objective.consistency to null"
            )
        return self


class ConsistencyConfig(Config):
    """How the readings of unlabeled real images teach Q_ss, and the trunk below it.

    It takes one more pass of the trunk an update. At a weight of 0 a term is only recorded.
    """

    weight: Annotated[float, Mutable] = Field(default=1.0, ge=0)
    """Weight of the consistency: the reading of an image is the label of the same image strongly
    changed, where it is sure enough. Without any label it repeats what Q_ss guesses."""
    information: Annotated[float, Mutable] = Field(default=0.0, ge=0)
    """Weight of the mutual information, in nats, between the readings of an image and of the same
    image strongly changed. It needs no label."""
    fairness: Annotated[float, Mutable] = Field(default=0.0, ge=0)
    """Weight of the divergence, in nats, of a batch's mean reading from the prior of the code
    (`codes.prior`: uniform, or the shares of the classes among the labels)."""
    warm_up: Annotated[WarmUp | None, Mutable] = None
    """Share of the three weights that counts while training begins; null is all of them."""
    threshold: Literal["adaptive"] | Annotated[float, Field(ge=0, lt=1)] = "adaptive"
    """Probability of a class from which a reading is sure enough. `adaptive` follows Q_ss: the
    average of its confidence, times the average probability of the class as a share of the
    largest (FreeMatch), so that it demands less of classes that Q_ss is slow to learn."""
    half_life: float = Field(default=20_000, gt=0)
    """Real images after which an old value has lost half of its weight in these averages."""
    strong: StrongConfig = StrongConfig()
    """How images are changed strongly. Leave out what a class names: flip, if one is left and
    another right. A continuous code may be the angle: only classes are read from such images."""

    def weights(self, clock: Clock) -> tuple[float, float, float]:
        """Return the weights of consistency, information and fairness after so many images."""
        share = 1.0 if self.warm_up is None else self.warm_up.at(*clock)
        return share * self.weight, share * self.information, share * self.fairness


class ConsistencyTerms(NamedTuple):
    """The terms, unweighted, float32 (); over workers, the mean gradient is the global batch's."""

    consistency: Tensor
    """Cross-entropy of the sure readings, as the sum over them / B: this rank's part of it."""
    information: Tensor
    """Minus the mutual information of the two readings: of the global batch."""
    fairness: Tensor
    """Divergence of the prior from the mean reading, 0 where they agree: of the global batch."""


def draw_strong(n: int, generator: torch.Generator) -> Tensor:
    """Draw what n strong changes need: uniform in [-1, 1], float32 (n, 8).

    As of `draw_affine`, every rank can draw those of the global batch and take its slice.
    """
    corner = torch.rand(n, 2, generator=generator, device=generator.device) * 2 - 1
    return torch.cat([draw_affine(n, generator), corner], dim=1)


def change(config: StrongConfig, images: Tensor, draws: Tensor) -> Tensor:
    """Change images, float32 (B, C, H, W), each by its own draws from `draw_strong`, (B, 8)."""
    changed = augment(config, images, draws[:, :6])
    height, width = images.shape[2:]
    side = round(config.cut * min(height, width))
    if side == 0:
        return changed
    down, across = ((draws[:, 6:] + 1) / 2).unbind(dim=1)
    rows, columns = _square(down, side, height), _square(across, side, width)
    square = rows[:, None, :, None] & columns[:, None, None]
    return torch.where(square, changed.mean(dim=(2, 3), keepdim=True), changed)


def _square(at: Tensor, count: int, size: int) -> Tensor:
    """Mark `count` places in a row among `size`, at one of all positions: bool (B, size).

    Which position it is, `at` says, uniform in [0, 1] (B,).
    """
    last = size - count
    first = (at * (last + 1)).floor().clamp(max=last)
    ahead = torch.arange(size, device=first.device) - first[:, None]
    return (ahead >= 0) & (ahead < count)


class _Means(NamedTuple):
    """Means over images of one code's readings p, of the images, and q, of the changed ones."""

    confidence: Tensor
    """Of the probability of the class that p reads, ()."""
    shares: Tensor
    """Of p, (classes,)."""
    changed: Tensor
    """Of q, (classes,)."""
    joint: Tensor
    """Of the products of p and q, (classes, classes)."""


class Consistency(nn.Module):
    """The three terms, and the averages that the adaptive threshold is made of.

    The averages are the same on all ranks, and are saved with a run.
    """

    confidence: Tensor
    """float32 (K,): the average probability of the class that is read, code by code."""
    shares: Tensor
    """float32 (classes of all K codes,): the average probability of each class."""
    prior: Tensor
    """float32 (classes of all K codes,): the probability of each class under the prior."""

    def __init__(
        self,
        config: ConsistencyConfig,
        space: LatentSpace,
        batch_size: int,
        reduce_mean: Callable[[Tensor], object] = lambda values: None,
    ) -> None:
        """Start with the averages of a Q_ss that has no idea.

        Args:
            config: Threshold and half-life.
            space: Its supervised codes, one of them categorical at least, and their prior.
            batch_size: Real images of an update, over all workers.
            reduce_mean: Takes the mean of values over workers, in place.
        """
        super().__init__()
        self._threshold = config.threshold
        self._following = 1 - 0.5 ** (batch_size / config.half_life)
        self._reduce_mean = reduce_mean
        self._space = space
        self._codes = [code for code in space.supervised if code.is_categorical]
        self._sizes = [code.size for code in self._codes]
        sizes = torch.tensor(self._sizes)
        self.register_buffer("confidence", 1 / sizes)
        self.register_buffer("shares", (1 / sizes).repeat_interleave(sizes))
        prior = [p for code in self._codes for p in space.prior_probabilities(code)]
        self.register_buffer("prior", torch.tensor(prior), persistent=False)

    def forward(self, weak: Tensor, strong: Tensor) -> ConsistencyTerms:
        """Compute the terms from Q_ss's output, float32 (B, width), of x and of the changed x.

        The averages move on first, so that the threshold knows of this batch.
        """
        readings = list(zip(self._log_readings(weak), self._log_readings(strong), strict=True))
        means = self._over_workers([_means(p.exp(), q.exp()) for p, q in readings])
        with torch.no_grad():
            confidence = torch.stack([of.confidence for of in means])
            self.confidence.lerp_(confidence.to(self.confidence), self._following)
            shares = torch.cat([of.shares for of in means])
            self.shares.lerp_(shares.to(self.shares), self._following)
        priors = self.prior.split(self._sizes)
        terms = [
            ConsistencyTerms(
                consistency=_loss_where_sure(p.detach().exp(), q, threshold),
                information=-_mutual_information(of.joint),
                fairness=_divergence(prior.to(of.changed), of.changed),
            )
            for (p, q), of, threshold, prior in zip(
                readings, means, self._thresholds(), priors, strict=True
            )
        ]
        return ConsistencyTerms(*(torch.stack(of).sum() for of in zip(*terms, strict=True)))

    def _log_readings(self, q: Tensor) -> list[Tensor]:
        """Return the log-probabilities, (B, classes), of each categorical code in Q_ss's output.

        They are those among the classes: x is none that is taken for none of them.
        """
        codes = self._space.supervised
        parts = q.split([self._space.q_width((code,)) for code in codes], dim=1)
        found = zip(codes, parts, strict=True)
        return [part[:, : code.size].log_softmax(1) for code, part in found if code.is_categorical]

    def _over_workers(self, means: list[_Means]) -> list[_Means]:
        """Make means over this rank's images those of all, in one reduction.

        Their graph stays this rank's. That is exact where gradients are the mean over workers: a
        function f of the mean m of all m_r has the slope f'(m), which multiplies dm_r here and so,
        on average, dm.
        """
        parts = [part for of in means for part in of]
        own = torch.cat([part.flatten() for part in parts])
        everyones = own.detach().clone()
        self._reduce_mean(everyones)
        own = own + (everyones - own.detach())
        found = iter(own.split([part.numel() for part in parts]))
        return [_Means(*(next(found).view_as(part) for part in of)) for of in means]

    def _thresholds(self) -> list[Tensor]:
        """Return the probability from which a class counts, (classes,), code by code."""
        shares = self.shares.split(self._sizes)
        if not isinstance(self._threshold, str):
            return [torch.full_like(of, self._threshold) for of in shares]
        return [sure * of / of.max() for sure, of in zip(self.confidence, shares, strict=True)]


def _means(p: Tensor, q: Tensor) -> _Means:
    return _Means(p.amax(dim=1).mean(), p.mean(dim=0), q.mean(dim=0), p.T @ q / len(p))


def _loss_where_sure(p: Tensor, log_q: Tensor, threshold: Tensor) -> Tensor:
    """-E[log q of the class that p reads], 0 for images where p is below the class's threshold."""
    confidence, read = p.max(dim=1)
    losses = F.nll_loss(log_q, read, reduction="none")
    return (losses * (confidence >= threshold[read])).mean()


def _mutual_information(joint: Tensor) -> Tensor:
    """I of two readings of which neither is the first, from their joint distribution, (C, C)."""
    joint = ((joint + joint.T) / 2).clamp_min(_LEAST)
    either = joint.sum(dim=0).log()
    return (joint * (joint.log() - either - either[:, None])).sum()


def _divergence(prior: Tensor, mean: Tensor) -> Tensor:
    """KL(prior || mean); classes that the prior leaves out count for nothing."""
    entropy: Tensor = torch.special.entr(prior).sum()
    return -(prior * mean.clamp_min(_LEAST).log()).sum() - entropy
