"""What an evaluation measures: configuration, apart from the code that measures and draws."""

from pydantic import Field

from ssgan.base.config import Config
from ssgan.evaluation.extra_metric import ExtraMetric
from ssgan.evaluation.judge import JudgeConfig


class EvaluationConfig(Config):
    """What is measured, how often, on how many images."""

    every: int = Field(default=1, ge=1)
    """Epochs from one evaluation to the next; the last epoch is always evaluated."""
    samples: int = Field(default=1000, ge=2, le=1_000_000)
    """Class-conditional samples of each copy of G, as many of each class."""
    real_images: int = Field(default=5000, ge=2)
    """At most so many random train images stand for the real ones."""
    held_out_images: int = Field(default=5000, ge=2)
    """At most so many held-out real images measure Q_ss."""
    neighbors: int = Field(default=5, ge=1)
    """Neighbors that span a ball in precision, recall, density and coverage."""
    columns: int = Field(default=10, ge=1, le=1000)
    """Synthetic images in a row of the sample picture; half as many real ones beside them."""
    dead_share: float = Field(default=0.1, ge=0, le=1)
    """A categorical code is dead below this share of its entropy."""
    dead_nats: float = Field(default=0.05, ge=0)
    """A continuous code is dead below this bound in nats, where Q explains a third of its
    variance."""
    least_diversity: float = Field(default=0.3, ge=0)
    """Alarm when a class varies less than this share of what real images vary."""
    judge: JudgeConfig = JudgeConfig()
    """The independent classifier C."""
    extra: tuple[ExtraMetric, ...] = ()
    """Metrics of other packages (docs/extending.md), each with its `kind`."""
