"""Adam's settings for D with its Qs, and for G."""

from typing import Annotated

from pydantic import Field

from ssgan.base.config import Config
from ssgan.base.markers import Mutable
from ssgan.method.schedules import Constant, Schedule


class OptimizerConfig(Config):
    """Adam for D with its Qs, and for G: the authors' settings."""

    discriminator_lr: float = Field(default=1e-4, gt=0)
    """Learning rate of trunk, D, Q_ss and Q_us."""
    generator_lr: float = Field(default=1e-3, gt=0)
    """Learning rate of G."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Decay of Adam's first moment."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of Adam's second moment."""
    lr_schedule: Annotated[Schedule, Mutable] = Constant(value=1.0)
    """Factor of both rates; 1 throughout is the paper's. Falling at the end, it lets G settle."""
    generator_lr_schedule: Annotated[Schedule, Mutable] = Constant(value=1.0)
    """A further factor of G's rate alone; 1 throughout is the paper's. A G that is fast at first
    begins to draw before D has won; slower from then on, it leaves D time to see what is wrong."""
