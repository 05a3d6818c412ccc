"""Adam's settings, and the scalars that losses and gradients of an update are multiplied by."""

from typing import Annotated, NamedTuple

from pydantic import Field

from ssgan.base.config import Config, Mutable
from ssgan.method.objective import ObjectiveConfig
from ssgan.method.schedules import Clock, Constant, Schedule


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


class Weights(NamedTuple):
    """The scalars of one update, the same on all ranks."""

    lambda1: float
    """Weight λ1 of L_I."""
    lambda2: float
    """Weight λ2 of L_IS, warm-up included."""
    d_lr: float
    """Learning rate of trunk, D, Q_ss and Q_us."""
    g_lr: float
    """Learning rate of G."""
    consistency: float = 0.0
    """Weight of the consistency of Q_ss's readings, warm-up included."""
    information: float = 0.0
    """Weight of the information between them, warm-up included."""
    fairness: float = 0.0
    """Weight of their fairness, warm-up included."""

    @classmethod
    def at(cls, objective: ObjectiveConfig, optimizer: OptimizerConfig, clock: Clock) -> "Weights":
        """Return the scalars of the update that follows after so many images."""
        warm_up = objective.lambda2_warm_up
        factor = optimizer.lr_schedule.at(*clock)
        unlabeled = objective.consistency
        consistency, information, fairness = (
            (0.0, 0.0, 0.0) if unlabeled is None else unlabeled.weights(clock)
        )
        return cls(
            lambda1=objective.lambda1,
            lambda2=objective.lambda2 * (1.0 if warm_up is None else warm_up.at(*clock)),
            d_lr=optimizer.discriminator_lr * factor,
            g_lr=optimizer.generator_lr * factor * optimizer.generator_lr_schedule.at(*clock),
            consistency=consistency,
            information=information,
            fairness=fairness,
        )
