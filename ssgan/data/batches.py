"""Real images for each step, from the labeled and the unlabeled pool (section 4).

"We initially favor drawing labeled samples [...]. During training the probability of drawing a
labeled sample is annealed until the actual labeled sample ratio in the data is reached."

Which images a step sees is a pure function of (seed, step). Every rank draws the global batch
and takes its slice. Pools are endless: reshuffled cycle follows reshuffled cycle, and step t owns
positions t·n to (t+1)·n, so that no image is left out of a cycle.
"""

from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from ssgan.base.config import Config, Mutable
from ssgan.base.rng import Streams
from ssgan.data.augment import AugmentConfig, augment, draw_affine
from ssgan.method.schedules import Linear, Schedule


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


class Batches:
    """Draws real images by step."""

    def __init__(
        self,
        config: LabelSamplingConfig,
        images: Tensor,
        y: Tensor,
        *,
        batch_size: int,
        streams: Streams,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        """Set the pools up.

        `images` are all images, uint8 (N, C, H, W), on any device; `y` their labels within the
        budget, float32 (N, K), NaN elsewhere. A step takes `batch_size` images over all ranks, a
        multiple of `world_size`; each rank's part goes to its `device`.
        """
        self._config = config
        self._images = images
        self._y = y
        self._batch_size = batch_size
        self._streams = streams
        self._rank, self._world_size = rank, world_size
        self._device = torch.device(device)
        is_labeled = (~y.isnan()).any(dim=1)
        self._labeled = is_labeled.nonzero()[:, 0]
        self._unlabeled = (~is_labeled).nonzero()[:, 0]
        self._all = torch.arange(len(y))
        self.seen = torch.zeros(len(self._labeled), dtype=torch.bool)
        """bool (labeled images,): which of the budget's images any draw has used."""

    @property
    def share(self) -> float:
        """The labeled share of the data."""
        return len(self._labeled) / len(self._all)

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
        if self._config.unit == "separate":
            return self._draw_separate(step, probability)
        rows = self._walk("unlabelled", self._unlabeled, step, self._batch_size)
        labeled = self._walk("labelled", self._labeled, step, self._batch_size)
        if self._config.unit == "batch":
            coins = torch.tensor(self._streams.coin("coin", step, probability))
            coins = coins.expand(self._batch_size)
        else:
            generator = self._streams.generator("coin", step)
            coins = torch.rand(self._batch_size, generator=generator) < probability
        if not len(self._unlabeled):
            coins = torch.ones_like(coins)
        if len(self._labeled):
            self.seen[labeled[coins]] = True
            chosen = self._labeled[labeled]
            rows = torch.where(coins, chosen, self._unlabeled[rows]) if len(rows) else chosen
        else:
            rows = self._unlabeled[rows]
        rows = self._slice(rows)
        return RealBatch(self._pixels(rows), self._y[rows].to(self._device), None)

    def _draw_separate(self, step: int, probability: float) -> RealBatch:
        rows = self._slice(self._walk("all", self._all, step, self._batch_size))
        x = self._pixels(rows)
        nothing = torch.full((len(rows), self._y.shape[1]), float("nan"), device=self._device)
        if not self._streams.coin("coin", step, probability):
            return RealBatch(x, nothing, None)
        positions = self._walk("labelled", self._labeled, step, self._config.batch_size)
        self.seen[positions] = True
        rows = self._labeled[self._slice(positions)]
        images = self._pixels(rows)
        if self._config.augment is not None:
            generator = self._streams.generator("augment", step, self._device)
            draws = self._slice(draw_affine(len(positions), generator))
            images = augment(self._config.augment, images, draws)
        return RealBatch(x, nothing, (images, self._y[rows].to(self._device)))

    def _walk(self, pool: str, members: Tensor, step: int, count: int) -> Tensor:
        """Return the positions in a pool that step t owns, (count,) or (0,) if it is empty."""
        size = len(members)
        if not size:
            return members
        first, last = step * count, (step + 1) * count
        cycles = range(first // size, (last - 1) // size + 1)
        walked = torch.cat([_shuffle(self._streams, pool, size, cycle) for cycle in cycles])
        return walked[first - cycles[0] * size :][:count]

    def _slice(self, rows: Tensor) -> Tensor:
        part = len(rows) // self._world_size
        return rows[self._rank * part : (self._rank + 1) * part]

    def _pixels(self, rows: Tensor) -> Tensor:
        chosen = self._images[rows.to(self._images.device)]
        return chosen.to(self._device, non_blocking=True).float().div_(255)


@lru_cache(maxsize=8)
def _shuffle(streams: Streams, pool: str, size: int, cycle: int) -> Tensor:
    """Return one cycle of a pool in random order; the last few are kept."""
    return torch.randperm(size, generator=streams.generator(f"pool/{pool}", cycle))
