"""The scalars of one update: what its losses and its gradients are multiplied by."""

from typing import NamedTuple

from ssgan.method.objective import ObjectiveConfig
from ssgan.method.optimizer import OptimizerConfig
from ssgan.method.schedules import Clock


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

    @classmethod
    def at(cls, objective: ObjectiveConfig, optimizer: OptimizerConfig, clock: Clock) -> "Weights":
        """Return the scalars of the update that follows after so many images."""
        warm_up = objective.lambda2_warm_up
        factor = optimizer.lr_schedule.at(*clock)
        return cls(
            lambda1=objective.lambda1,
            lambda2=objective.lambda2 * (1.0 if warm_up is None else warm_up.at(*clock)),
            d_lr=optimizer.discriminator_lr * factor,
            g_lr=optimizer.generator_lr * factor * optimizer.generator_lr_schedule.at(*clock),
        )
