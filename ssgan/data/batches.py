"""Real images for each step, from the labeled and the unlabeled pool (section 4).

"We initially favor drawing labeled samples [...]. During training the probability of drawing a
labeled sample is annealed until the actual labeled sample ratio in the data is reached."

Which images a step sees is a pure function of (seed, step), and every rank takes its slice of the
global batch. Pools are endless: reshuffled cycle follows reshuffled cycle (`ssgan.data.orders`),
and step t owns positions t·n to (t+1)·n, so that no image is left out of a cycle. A step looks at
its own positions only, in the same time for any number of images.

Images that are taken for none of the classes never reach D. With w(x) = 1 - p(none | x), which is 0
or 1, D's term on real images is E[w log D(x)] / E[w]: the mean over images of w = 1. A batch drawn
from these alone estimates it without bias, for any number of workers. Weights in a batch of all
images would too, but let foreign images into BatchNorm's statistics of x, and not into those of x̃.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from ssgan.base.config import Config, Mutable
from ssgan.base.rng import Streams
from ssgan.data.memmap import Take
from ssgan.data.orders import Order, draw_order
from ssgan.method.augment import AugmentConfig, augment, draw_affine
from ssgan.method.schedules import Linear, Schedule

AUGMENT = "augment"
"""Random stream of the augmentation of Q_ss's own images; part of what a seed means."""


class LabelSamplingConfig(Config):
    """How labeled images reach D and Q_ss."""

    unit: Literal["batch", "example", "separate"] = "separate"
    """What one draw decides. `batch`: one coin a batch, which is then labeled throughout (the
    authors). `example`: one coin an image. `separate`: D's batch comes from all images, and when
    the coin says so Q_ss gets a labeled batch of its own."""
    batch_size: int = Field(default=128, ge=2)
    """Labeled images in Q_ss's own batch, over all workers; `separate` only."""
    probability: Annotated[Schedule, Mutable] = Linear(
        start=1.0, floor=0.0, duration=10, unit="epochs"
    )
    """Probability of drawing labeled images, before the floor is applied."""
    floor: Annotated[Annotated[float, Field(ge=0, le=1)] | Literal["share"], Mutable] = "share"
    """Lowest probability: the labeled share of the data (the paper), or a higher value."""
    augment: AugmentConfig | None = None
    """Affine augmentation of Q_ss's own batch alone; `separate` only."""


class RealBatch(NamedTuple):
    """One rank's part of a step's real images."""

    x: Tensor
    """Images for D, float32 (B, C, H, W) in [0, 1]."""
    y: Tensor
    """Their labels for Q_ss, float32 (B, K); NaN where none is drawn."""
    labeled: tuple[Tensor, Tensor] | None
    """Q_ss's own images and labels under `separate` when the coin says so."""
    weights: Tensor | None = None
    """What the labels count in L¹_IS, float32 (B, K), in y or in Q_ss's own; None is 1 each."""


class Batches:
    """Draws real images by step."""

    def __init__(
        self,
        config: LabelSamplingConfig,
        take: Take,
        y: Tensor,
        *,
        batch_size: int,
        streams: Streams,
        weights: Tensor | None = None,
        foreign: Tensor | None = None,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        """Set the pools up.

        `take` reads images by their rows; `y` are the labels of all rows that may be used, float32
        (N, K), NaN elsewhere, and `weights` what they count, of the same shape; `foreign` are rows
        that D never gets, bool (N,), or None. A step takes `batch_size` images over all ranks, a
        multiple of `world_size`; each rank's part goes to its `device`.
        """
        self._config = config
        self._take = take
        self._weights = weights
        self._batch_size = batch_size
        self._streams = streams
        self._rank, self._world_size = rank, world_size
        self._device = torch.device(device)
        self._for_d = torch.ones(len(y), dtype=torch.bool) if foreign is None else ~foreign
        self.y = y
        """The labels in force, float32 (N, K)."""
        self._labeled = self.find_labeled(y)
        self.seen = torch.zeros(len(self._labeled), dtype=torch.bool)
        """bool (labeled images,): which of the labeled images any draw has used."""

    @cached_property
    def _unlabeled(self) -> Tensor:
        """Rows without any label, which `separate` has no use for."""
        return (self.y.isnan().all(dim=1) & self._for_d).nonzero()[:, 0]

    @cached_property
    def _all(self) -> Tensor:
        """Rows that D may get, which `separate` draws from."""
        return self._for_d.nonzero()[:, 0]

    def find_labeled(self, y: Tensor) -> Tensor:
        """Return the labeled images that would be drawn, were y (N, K) in force: rows, int64."""
        labeled = (~y.isnan()).any(dim=1)
        if self._config.unit != "separate":  # D and Q_ss have one batch
            labeled = labeled & self._for_d
        return labeled.nonzero()[:, 0]

    def relabel(self, y: Tensor) -> None:
        """Draw by other labels from the next step on, of the same images, float32 (N, K).

        What a step draws depends on the labels in force, not on those before. Labeled images that
        still are have been seen if they were.
        """
        was_seen = torch.zeros(len(y), dtype=torch.bool)
        was_seen[self._labeled] = self.seen
        self.y, self._labeled = y, self.find_labeled(y)
        self.seen = was_seen[self._labeled]
        vars(self).pop("_unlabeled", None)

    @property
    def share(self) -> float:
        """The labeled share of the data."""
        return len(self._labeled) / len(self.y)

    def probability(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the probability of a labeled draw after so many images; 0 without labels."""
        if not len(self._labeled):
            return 0.0
        floor = self.share if self._config.floor == "share" else self._config.floor
        annealed = self._config.probability.at(images_seen, images_per_epoch)
        return min(1.0, max(annealed, floor, self.share))

    def draw(self, step: int, probability: float) -> RealBatch:
        """Draw this rank's part of the batch of an update, counted from 0.

        The probability, in [0, 1], is that of drawing labeled images.
        """
        real = self.read(step, probability)
        return self.augment(real, lambda: self._streams.generator(AUGMENT, step, self._device))

    def augment(self, real: RealBatch, generator: Callable[[], torch.Generator]) -> RealBatch:
        """Augment Q_ss's own images, by a generator of the stream `AUGMENT` for the update."""
        if self._config.augment is None or real.labeled is None:
            return real
        images, y = real.labeled
        draws = self._slice(draw_affine(self._config.batch_size, generator()))
        return real._replace(labeled=(augment(self._config.augment, images, draws), y))

    def read(self, step: int, probability: float) -> RealBatch:
        """Read what `draw` would draw, before it is augmented.

        On a GPU nothing waits until it is there.
        """
        if self._config.unit == "separate":
            return self._read_separate(step, probability)
        count = self._batch_size
        rows = self._walk("unlabelled", len(self._unlabeled), step * count, count)
        labeled = self._walk("labelled", len(self._labeled), step * count, count)
        if self._config.unit == "batch":
            coins = torch.tensor(self._streams.coin("coin", step, probability))
            coins = coins.expand(count)
        else:
            generator = self._streams.generator("coin", step)
            coins = torch.rand(count, generator=generator) < probability
        if not len(self._unlabeled):
            coins = torch.ones_like(coins)
        if len(self._labeled):
            self.seen[labeled[coins]] = True
            chosen = self._labeled[labeled]
            rows = torch.where(coins, chosen, self._unlabeled[rows]) if len(rows) else chosen
        else:
            rows = self._unlabeled[rows]
        rows = self._slice(rows)
        y, weights = self._labels(rows)
        return RealBatch(self._pixels(rows), y, None, weights)

    def _read_separate(self, step: int, probability: float) -> RealBatch:
        part = self._batch_size // self._world_size
        first = step * self._batch_size + self._rank * part
        x = self._pixels(self._all[self._walk("all", len(self._all), first, part)])
        nothing = torch.full((part, self.y.shape[1]), float("nan"), device=self._device)
        if not self._streams.coin("coin", step, probability):
            return RealBatch(x, nothing, None)
        count = self._config.batch_size
        positions = self._walk("labelled", len(self._labeled), step * count, count)
        self.seen[positions] = True
        rows = self._labeled[self._slice(positions)]
        y, weights = self._labels(rows)
        return RealBatch(x, nothing, (self._pixels(rows), y), weights)

    def _walk(self, pool: str, size: int, first: int, count: int) -> Tensor:
        """Return members of a pool at positions of its walk, (count,) or (0,) if it is empty."""
        walked = [torch.empty(0, dtype=torch.int64)]
        last = first + count if size else first
        while first < last:
            cycle, start = divmod(first, size)
            stop = min(start + last - first, size)
            order = _order(self._streams, pool, size, cycle)
            walked.append(order.at(torch.arange(start, stop)))
            first += stop - start
        return torch.cat(walked)

    def _slice(self, rows: Tensor) -> Tensor:
        part = len(rows) // self._world_size
        return rows[self._rank * part : (self._rank + 1) * part]

    def _labels(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        weights = None if self._weights is None else self._send(self._weights[rows])
        return self._send(self.y[rows]), weights

    def _pixels(self, rows: Tensor) -> Tensor:
        return self._send(self._take(rows)).float().div_(255)

    def _send(self, values: Tensor) -> Tensor:
        return values.to(self._device, non_blocking=True)


@lru_cache(maxsize=8)
def _order(streams: Streams, pool: str, size: int, cycle: int) -> Order:
    """Return the order of one cycle of a pool; the last few are kept."""
    return draw_order(streams, f"pool/{pool}", size, cycle)
