"""What people see in an image, as numbers: slant, stroke width, area, brightness, color.

Gray images are taken for strokes of bright ink on a dark ground, as MNIST's digits; on photographs
slant and stroke width mean little, so color images have traits of light and color alone.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ssgan.base.errors import BadInput

Floats: TypeAlias = NDArray[np.float64]

_INK = 128 / 255  # brighter than half of white


def traits_of(images: NDArray[np.uint8]) -> dict[str, Floats]:
    """Measure the traits that make sense for a kind of images.

    Args:
        images: uint8 (N, H, W, C) as `NamedGenerator.render` gives them, with C = 1 for gray or
            3 for RGB; or (N, H, W), gray.

    Returns:
        By name, float64 (N,); NaN where an image has no such trait (no ink, no stroke). Gray
        images: `slant`, `stroke_width`, `area`, `brightness`. RGB: `brightness`, `redness`,
        `blueness`, `saturation`.

    Raises:
        BadInput: The images are of another type or shape.
    """
    array = np.asarray(images)
    if array.dtype != np.uint8:
        raise BadInput(f"images must be uint8 (0 to 255) to have traits, not {array.dtype}")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or not array.size:
        raise BadInput(
            "images must be of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), not empty, to have "
            f"traits, not {array.shape}; move channels to the end"
        )
    pixels = array / 255.0
    measures = _INK_TRAITS if pixels.shape[-1] == 1 else _COLOR_TRAITS
    return {measure.__name__.lstrip("_"): measure(pixels) for measure in measures}


# Each measure takes float64 (N, H, W, C) in [0, 1] and returns float64 (N,).


def _slant(pixels: Floats) -> Floats:
    """Lean of the ink to the right, in degrees in (-90, 90); 0 is upright, -45 leans to the left.

    The angle of the shear that undoes the lean: -arctan(μ_xy / μ_yy), with the second central
    moments of the gray values and y pointing down. This is how MNIST is deskewed, and the slant of
    Morpho-MNIST (Castro et al., 2019, arXiv:1809.10780). NaN without ink, or with all of it in one
    row.
    """
    ink = pixels[..., 0]
    y, x = np.indices(ink.shape[1:], dtype=np.float64)
    total = _or_nan(ink.sum(axis=(1, 2)))
    dy = y - ((ink * y).sum(axis=(1, 2)) / total)[:, None, None]
    dx = x - ((ink * x).sum(axis=(1, 2)) / total)[:, None, None]
    shear = (ink * dx * dy).sum(axis=(1, 2)) / _or_nan((ink * dy * dy).sum(axis=(1, 2)))
    return np.where(_has_ink(pixels), -np.degrees(np.arctan(shear)), np.nan)


def _stroke_width(pixels: Floats) -> Floats:
    """Mean width of the strokes in pixels: twice the ink over the length of its outline.

    A stroke of length L and width w has L·w of ink and an outline of 2·(L + w), so that this gives
    w·L / (L + w), nearly w where strokes are long, and w for closed loops. The outline of gray
    ink is its total variation (the coarea formula), so nothing is thresholded, widths between
    whole pixels count, and dim strokes are as wide as bright ones. On 600 test digits of MNIST it
    correlates within a class at 0.99 with twice the mean distance transform along the skeleton
    (Morpho-MNIST's thickness), which takes enlarged images and hundreds of times as long. NaN
    without ink.
    """
    framed = np.pad(pixels[..., 0], ((0, 0), (1, 1), (1, 1)))
    across, down = np.diff(framed, axis=2), np.diff(framed, axis=1)
    # Both slopes at the corner between four pixels, so that outlines are as long in any direction.
    slope_x, slope_y = across[:, 1:] + across[:, :-1], down[:, :, 1:] + down[:, :, :-1]
    outline = np.hypot(slope_x, slope_y).sum(axis=(1, 2)) / 2
    width = 2 * framed.sum(axis=(1, 2)) / _or_nan(outline)
    return np.where(_has_ink(pixels), width, np.nan)


def _area(pixels: Floats) -> Floats:
    """Share of the image that is ink, brighter than half of white, in [0, 1].

    On digits this is nearly their brightness: whichever of the two is named, both are meant.
    """
    return np.asarray((pixels[..., 0] >= _INK).mean(axis=(1, 2), dtype=np.float64))


def _brightness(pixels: Floats) -> Floats:
    """Mean luminance in [0, 1]; of RGB 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""
    weights = (1.0,) if pixels.shape[-1] == 1 else (0.299, 0.587, 0.114)
    return np.asarray(pixels.mean(axis=(1, 2)) @ np.array(weights))


def _redness(pixels: Floats) -> Floats:
    """Mean of R - G, from -1 (green) to 1 (red), one of the two axes of opponent color."""
    red, green, _ = np.moveaxis(pixels.mean(axis=(1, 2)), -1, 0)
    return np.asarray(red - green)


def _blueness(pixels: Floats) -> Floats:
    """Mean of B - (R + G) / 2, from -1 (yellow) to 1 (blue), the other axis of opponent color."""
    red, green, blue = np.moveaxis(pixels.mean(axis=(1, 2)), -1, 0)
    return np.asarray(blue - (red + green) / 2)


def _saturation(pixels: Floats) -> Floats:
    """Mean over the pixels of (max - min) / max of R, G and B, in [0, 1]; black counts as 0."""
    most, least = pixels.max(axis=-1), pixels.min(axis=-1)
    share = np.divide(most - least, most, out=np.zeros_like(most), where=most > 0)
    return np.asarray(share.mean(axis=(1, 2)))


_INK_TRAITS = (_slant, _stroke_width, _area, _brightness)
_COLOR_TRAITS = (_brightness, _redness, _blueness, _saturation)


def _has_ink(pixels: Floats) -> NDArray[np.bool_]:
    return np.asarray((pixels >= _INK).any(axis=(1, 2, 3)))


def _or_nan(values: Floats) -> Floats:
    """Replace what cannot be divided by."""
    return np.where(values > 0, values, np.nan)
