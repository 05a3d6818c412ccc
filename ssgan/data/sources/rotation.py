"""Images turned by known angles: the simplest label that is a number."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssgan.base.rng import Streams
from ssgan.data.sources.base import Images, Labels
from ssgan.method.codes import Code


def angle_code(most: float) -> Code:
    """Return the label column of turned images: degrees, counterclockwise, from -most to most."""
    return Code(name="angle", kind="continuous", low=-most, high=most)


def turn(images: Images, labels: Labels, most: float, split: str) -> tuple[Images, Labels]:
    """Turn each image about its middle by an angle of its own, always the same one.

    Args:
        images: uint8 (N, 1, H, W); what comes into the picture from outside is 0.
        labels: float32 (N, K).
        most: Largest angle in degrees; angles are uniform in [-most, most].
        split: Name of the split, so that no two splits are turned alike.

    Returns:
        The images, uint8 (N, 1, H, W), bicubic, and the labels with the angles in degrees as
        another column, float32 (N, K + 1).
    """
    random = np.random.default_rng(Streams(0).key(f"turn {split}"))
    angles = random.uniform(-most, most, len(images)).astype(np.float32)
    turned = [_turn(image[0], float(angle)) for image, angle in zip(images, angles, strict=True)]
    return np.stack(turned)[:, None], np.column_stack([labels, angles])


def _turn(image: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.BICUBIC))
