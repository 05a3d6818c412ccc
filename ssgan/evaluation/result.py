"""What one evaluation found, and the remarks that go with it."""

from dataclasses import dataclass, field

from PIL import Image

from ssgan.drawing.grids import png

NO_JUDGE = (
    "the data has no judge split, so there is no independent classifier C; "
    "q_ss_accuracy is measured on labels held out of the budget instead"
)
NO_CODES = "no code is supervised, so there is nothing that C could recognize"
NO_LABELS = "no image is labeled, so nothing ties the codes to the labels (InfoGAN)"
MATCHED = f"classes matched by the Hungarian method: {NO_LABELS}"
NOT_CATEGORICAL = "no supervised code is categorical"


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
