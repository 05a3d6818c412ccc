"""Traits of images, on shapes whose traits follow from their making."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from ssgan.base.errors import BadInput
from ssgan.paper.interpretation.traits import traits_of

Pixels = NDArray[np.uint8]


def blank(height: int = 40, width: int = 40) -> Pixels:
    """Make a black gray image, (H, W)."""
    return np.zeros((height, width), dtype=np.uint8)


def bar(shear: float, width: int = 4, height: int = 20) -> Pixels:
    """Make a bar whose rows lie `shear` pixels further left for each row down.

    A row between pixels is shared by its neighbors, which keeps its center where it should be.
    """
    image = np.zeros((40, 41))
    for row in range(height):
        left = 18 - shear * (row - (height - 1) / 2)
        whole = math.floor(left)
        part = left - whole
        image[10 + row, whole : whole + width] += 200 * (1 - part)
        image[10 + row, whole + 1 : whole + 1 + width] += 200 * part
    return image.round().astype(np.uint8)


def rectangle(height: int, width: int, value: int = 255) -> Pixels:
    """Make a filled rectangle, off the middle."""
    image = blank()
    image[5 : 5 + height, 7 : 7 + width] = value
    return image


def flat(red: int, green: int, blue: int) -> Pixels:
    """Make an RGB image of one color, (H, W, 3)."""
    return np.full((6, 5, 3), (red, green, blue), dtype=np.uint8)


@pytest.mark.parametrize("shear", [-1.0, -0.5, 0.0, 0.25, 0.5, 1.0])
def test_slant_is_the_angle_of_the_shear(shear: float) -> None:
    measured = traits_of(bar(shear)[None])["slant"]
    assert measured[0] == pytest.approx(math.degrees(math.atan(shear)), abs=0.05)


def test_slant_is_positive_where_the_top_leans_to_the_right() -> None:
    image = blank()
    for row in range(10):
        image[10 + row, 20 - row] = 255
    assert traits_of(image[None])["slant"][0] == pytest.approx(45)
    assert traits_of(image[None, :, ::-1])["slant"][0] == pytest.approx(-45)


def test_slant_depends_on_neither_place_nor_brightness() -> None:
    image = bar(0.5)
    moved = np.roll(image, (3, -4), axis=(0, 1))
    first, second, dim = traits_of(np.stack([image, moved, image // 4 * 3]))["slant"]
    assert second == pytest.approx(first)
    assert dim == pytest.approx(first, abs=0.1)


@pytest.mark.parametrize(("height", "width"), [(30, 1), (30, 2), (30, 3), (30, 6), (3, 30)])
def test_stroke_width_is_twice_the_ink_over_the_outline(height: int, width: int) -> None:
    # Each corner of the outline is cut: half a diagonal where the sides have one pixel.
    outline = 2 * (height + width) - 4 + 4 * math.sqrt(0.5)
    measured = traits_of(rectangle(height, width)[None])["stroke_width"][0]
    assert measured == pytest.approx(2 * height * width / outline)
    assert measured == pytest.approx(min(height, width), rel=0.16)


def test_stroke_width_counts_half_pixels_and_not_brightness() -> None:
    sharp, soft = rectangle(30, 3), rectangle(30, 3)
    soft[5:35, 10] = 128  # a fourth column at half
    widths = traits_of(np.stack([sharp, soft, sharp // 255 * 150]))["stroke_width"]
    assert widths[1] - widths[0] == pytest.approx(0.5, abs=0.15)
    assert widths[2] == pytest.approx(widths[0])


def test_stroke_width_of_a_ring_is_the_difference_of_its_radii() -> None:
    y, x = np.indices((60, 60)) - 29.5
    radius = np.hypot(y, x)
    inside = np.clip(20 - radius + 0.5, 0, 1) - np.clip(16 - radius + 0.5, 0, 1)
    ring = (255 * inside).round().astype(np.uint8)
    assert traits_of(ring[None])["stroke_width"][0] == pytest.approx(4, rel=0.02)


def test_stroke_width_depends_little_on_direction() -> None:
    y, x = (np.indices((400, 400)) - 199.5) / 10  # ten by ten points a pixel
    images = []
    for angle in np.radians(range(0, 90, 15)):
        along = np.abs(x * np.cos(angle) + y * np.sin(angle)) < 15
        across = np.abs(y * np.cos(angle) - x * np.sin(angle)) < 1.5
        share = (along & across).reshape(40, 10, 40, 10).mean(axis=(1, 3))
        images.append((255 * share).round().astype(np.uint8))
    widths = traits_of(np.stack(images))["stroke_width"]
    assert widths == pytest.approx(np.full(6, 3 * 30 / 33), rel=0.06)


def test_area_is_the_share_of_pixels_brighter_than_half_of_white() -> None:
    images = np.stack([rectangle(8, 10), rectangle(8, 10, 128), rectangle(8, 10, 127)])
    assert traits_of(images)["area"].tolist() == [80 / 1600, 80 / 1600, 0]


def test_brightness_of_gray_images_is_their_mean() -> None:
    images = np.stack([blank(), rectangle(8, 10), np.full((40, 40), 51, dtype=np.uint8)])
    assert traits_of(images)["brightness"] == pytest.approx([0, 0.05, 0.2])


def test_an_image_without_ink_has_neither_slant_nor_stroke() -> None:
    faint, line = rectangle(8, 10, 127), rectangle(1, 10)
    traits = traits_of(np.stack([blank(), faint, line]))
    assert np.isnan(traits["slant"]).tolist() == [True, True, True]  # a row leans nowhere
    assert np.isnan(traits["stroke_width"]).tolist() == [True, True, False]
    assert traits["area"][0] == traits["brightness"][0] == 0


def test_flat_colors_have_the_traits_of_their_formulas() -> None:
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (102, 102, 102), (0, 0, 0)]
    traits = traits_of(np.stack([flat(*color) for color in (*colors, (204, 102, 51))]))
    assert list(traits) == ["brightness", "redness", "blueness", "saturation"]
    assert traits["brightness"] == pytest.approx([0.299, 0.587, 0.114, 0.886, 0.4, 0, 0.4968])
    assert traits["redness"] == pytest.approx([1, -1, 0, 0, 0, 0, 0.4])
    assert traits["blueness"] == pytest.approx([-0.5, -0.5, 1, -1, 0, 0, -0.4])
    assert traits["saturation"] == pytest.approx([1, 1, 1, 1, 0, 0, 0.75])


def test_gray_images_may_have_a_channel_and_each_image_counts_alone() -> None:
    images = np.stack([rectangle(20, 4), rectangle(3, 9), blank()])
    together = traits_of(images[..., None])
    assert list(together) == ["slant", "stroke_width", "area", "brightness"]
    for name, values in together.items():
        assert values.dtype == np.float64
        alone = [traits_of(image[None])[name][0] for image in images]
        np.testing.assert_array_equal(values, alone)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8)), "uint8"),
        (np.zeros((2, 3, 8, 8), np.uint8), "move channels to the end"),
        (np.zeros((8, 8), np.uint8), "shape"),
        (np.zeros((0, 8, 8), np.uint8), "not empty"),
    ],
)
def test_other_arrays_are_refused(images: Pixels, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        traits_of(images)
