"""Metrics that other packages add to every evaluation."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from ssgan.base.config import OpenUnion
from ssgan.evaluation.catalog import EXTRA, METRICS, Metric
from ssgan.evaluation.judge import Prediction
from ssgan.method.codes import LatentSpace


class Samples(NamedTuple):
    """What a metric is measured on: N samples of one copy of G, and M real images; on the CPU."""

    images: Tensor
    """Samples, uint8 (N, C, H, W)."""
    c: Tensor
    """The codes that they were asked for, float32 (N, K), supervised ones first."""
    seen: Prediction | None
    """What the judge C makes of them, codes and features; None where there is no C."""
    real: Tensor
    """Real images of the train split, uint8 (M, C, H, W), the same for all runs."""
    labels: Tensor
    """Their labels, float32 (M, K_ss); NaN where not known."""
    seen_real: Prediction | None
    """What C makes of them."""
    space: LatentSpace
    """The codes: ``space.supervised`` are the columns of labels and of C's predictions."""
    generator: nn.Module
    """The copy of G, in eval mode: from ``space.encode(c, z)`` to float32 images in [0, 1]."""


class ExtraMetric(OpenUnion):
    """One measurement of another package, which reports one metric or several.

    It adds to what is recorded and changes nothing else; what it draws comes from
    `ssgan.base.rng.Streams`, so that a repeated evaluation gives the same numbers.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    """What it reports. Where `needs` of a metric are not met its value is None, with the reason."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Note the metrics, so that their titles and directions are known."""
        super().__pydantic_init_subclass__(**kwargs)
        metrics = getattr(cls, "metrics", ())
        if "kind" in cls.model_fields and not metrics:
            raise TypeError(f"{cls.__qualname__} needs `metrics`, the metrics that it reports")
        for metric in metrics:
            if metric.name in METRICS:
                raise TypeError(f"{cls.__qualname__}: ssgan has a metric {metric.name!r} already")
            EXTRA[metric.name] = metric

    @abstractmethod
    def measure(self, samples: Samples) -> Mapping[str, float | None]:
        """Measure G's moving average: values by the names of `metrics`, None where there is none.

        Names of metrics per code end in ``/`` and the code's name.
        """
