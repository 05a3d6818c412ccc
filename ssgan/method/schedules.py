"""Schedules: data that can be searched, and pure functions of the images seen.

The paper (section 4) anneals the probability of drawing a labeled sample "until the actual
labeled sample ratio in the data is reached"; instance noise decays in the same way, and so may
the learning rates, which the paper keeps. A warm-up, which it does not have either, rises.
"""

import math
from abc import abstractmethod
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from ssgan.base.config import Config, OpenUnion

Unit = Literal["images", "epochs"]


class Clock(NamedTuple):
    """How far a run is: all that the value of a schedule depends on, ``schedule.at(*clock)``."""

    images_seen: int
    """Real images that D has seen, over all workers."""
    images_per_epoch: int
    """Real images of one epoch, over all workers."""


_ROUNDING = 1e-9  # 1.1 epochs of 12,800 images are 14,080.000000000002 images


class Schedule(OpenUnion):
    """A value that changes while a run sees images; every kind gives it by `at`."""

    @abstractmethod
    def at(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the value, 0 or more, after so many images: a pure function of its arguments.

        Args:
            images_seen: Real images that D has seen.
            images_per_epoch: Those of an epoch of this run.
        """


class _Delayed(Config):
    delay: float = Field(default=0.0, ge=0)
    """Length of the time before the change, in `unit`."""
    duration: float = Field(default=10.0, gt=0)
    """Length of the change, in `unit`."""
    unit: Unit = "epochs"
    """Unit of `delay` and `duration`: images seen, or epochs of the run's own length."""

    def progress(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the images seen after the delay as a multiple of the duration, 0 until then."""
        scale = images_per_epoch if self.unit == "epochs" else 1
        return max(0.0, images_seen - self.delay * scale) / (self.duration * scale)


class _Annealed(_Delayed, Schedule):
    start: float = Field(default=1.0, ge=0)
    """Value before the descent."""
    floor: float = Field(default=0.0, ge=0)
    """Value that the schedule never goes below."""

    @model_validator(mode="after")
    def _check(self) -> "_Annealed":
        if self.start < self.floor:
            raise ValueError(
                f"start={self.start:g} is below floor={self.floor:g}; a schedule goes down"
            )
        return self


class Constant(Schedule):
    """The same value throughout."""

    kind: Literal["constant"] = "constant"
    value: float = Field(default=0.0, ge=0)
    """The value."""

    def at(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the value."""
        return self.value


class Step(_Annealed):
    """A stair: lower by `drop` after each `duration`, down to the floor."""

    kind: Literal["step"] = "step"
    duration: float = Field(default=1.0, gt=0)
    """Length of one stair, in `unit`."""
    drop: float = Field(default=0.1, gt=0)
    """Height of one stair."""

    def at(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the value after so many images."""
        stairs = math.floor(self.progress(images_seen, images_per_epoch) + _ROUNDING)
        return max(self.floor, self.start - self.drop * stairs)


class Linear(_Annealed):
    """A straight line from `start` to `floor` over `duration`."""

    kind: Literal["linear"] = "linear"

    def at(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the value after so many images."""
        rest = max(0.0, 1.0 - self.progress(images_seen, images_per_epoch))
        return self.floor + (self.start - self.floor) * rest


class Cosine(_Annealed):
    """Half a cosine wave from `start` to `floor` over `duration`: slow, fast, slow."""

    kind: Literal["cosine"] = "cosine"

    def at(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the value after so many images."""
        progress = min(1.0, self.progress(images_seen, images_per_epoch))
        return self.floor + (self.start - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))


class Exponential(_Annealed):
    """Decay toward `floor`, by a factor e over each `duration`."""

    kind: Literal["exponential"] = "exponential"

    def at(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the value after so many images."""
        rest = math.exp(-self.progress(images_seen, images_per_epoch))
        return self.floor + (self.start - self.floor) * rest


class WarmUp(_Delayed):
    """A share that rises in a straight line from `start` to 1, once `delay` is over."""

    start: float = Field(default=0.0, ge=0, le=1)
    """Share before the rise."""

    def at(self, images_seen: int, images_per_epoch: int) -> float:
        """Return the share, in [0, 1], after so many images."""
        risen = min(1.0, self.progress(images_seen, images_per_epoch))
        return self.start + (1 - self.start) * risen
