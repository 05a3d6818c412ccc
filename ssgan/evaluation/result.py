"""What one evaluation found."""

from dataclasses import dataclass, field

from PIL import Image

from ssgan.drawing.encoding import png


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation found.

    Attributes:
        metrics: Values by flat name; None where there is none, and `reasons` says why.
        images: Pictures by name.
        alarms: Warnings, in words.
        reasons: Why a metric is None, by its name; or how it is to be read.
    """

    metrics: dict[str, float | None] = field(default_factory=dict)
    images: dict[str, Image.Image] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)

    def pngs(self) -> dict[str, bytes]:
        """Encode the pictures."""
        return {name: png(image) for name, image in self.images.items()}
