"""Pictures: any frame becomes one shape; damage is told from data."""

import io
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from ssgan.base.errors import BadInput
from ssgan.data.sources.encoded_images import (
    FramingConfig,
    Picture,
    Unreadable,
    decode,
    measure,
    resize_all,
)
from tests.helpers.pictures import encoded


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green grows downward."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    size=st.integers(4, 20),
    resize=st.sampled_from(["squash", "crop", "pad"]),
    left=st.floats(0, 0.9),
    top=st.floats(0, 0.9),
    channels=st.sampled_from([1, 3]),
)
def test_every_picture_gets_the_shape_that_was_promised(
    width: int, height: int, size: int, resize: str, left: float, top: float, channels: int
) -> None:
    framing = FramingConfig(size=size, resize=resize, crop=(left, top, 1, 1), channels=channels)
    picture = decode(encoded(gradient(width, height)), channels)
    image = framing.frame(picture)
    assert image.shape == (channels, *framing.framed(width, height)[::-1])
    assert image.dtype == np.uint8
    cropped = FramingConfig(crop=(left, top, 1, 1), channels=channels)
    assert cropped.frame(picture).shape == (channels, *cropped.framed(width, height)[::-1])


def test_crop_is_a_fraction_of_any_frame() -> None:
    framing = FramingConfig(crop=(0, 20 / 218, 1, 198 / 218))
    assert framing.framed(178, 218) == (178, 178)
    assert framing.framed(89, 109) == (89, 89)
    kept = framing.frame(gradient(178, 218))
    np.testing.assert_array_equal(
        kept, np.asarray(gradient(178, 218)).transpose(2, 0, 1)[:, 20:198]
    )


def test_rules_for_pictures_that_are_not_square() -> None:
    wide = gradient(40, 20)
    with pytest.raises(BadInput, match=r"40x20 is not square.*data\.source\.resize=crop"):
        FramingConfig(size=10).frame(wide)
    squashed = FramingConfig(size=10, resize="squash").frame(wide)
    assert squashed[0, 0, 0] < 20 < 230 < squashed[0, 0, -1]
    central = FramingConfig(size=10, resize="crop").frame(wide)
    assert 50 < central[0, 0, 0] < 80 < 170 < central[0, 0, -1] < 200
    padded = FramingConfig(size=10, resize="pad").frame(wide)
    assert not padded[:, :2].any()
    assert padded[0, 5].max() > 200
    assert FramingConfig(size=10).frame(gradient(20, 20)).shape == (3, 10, 10)
    assert FramingConfig().frame(wide).shape == (3, 20, 40)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("size", 3, "greater than or equal to 4"),
        ("crop", (0.5, 0, 0.5, 1), "left < right"),
        ("crop", (0, 0, 1, 1.5), "fractions"),
        ("resize", "pad", "needs a size"),
        ("levels", (5, 5), "black < white"),
    ],
)
def test_bad_framing_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FramingConfig(**{field: value})


def test_modes_are_converted_without_loss_of_meaning() -> None:
    clear = Image.new("RGBA", (1, 1), (0, 0, 0, 0))
    assert np.asarray(decode(encoded(clear), 3)).tolist() == [[[255, 255, 255]]]
    palette = gradient(4, 4).convert("P")
    assert decode(encoded(palette), 3).mode == "RGB"
    assert decode(encoded(Image.new("1", (2, 2), 1)), 1).getpixel((0, 0)) == 255
    assert decode(encoded(Image.new("CMYK", (2, 2)), "JPEG"), 3).mode == "RGB"


def test_levels_of_16_bits_keep_the_upper_eight() -> None:
    values = np.arange(0x10000, dtype=np.uint16).reshape(256, 256)
    read = np.asarray(decode(encoded(Image.fromarray(values)), 1, (0, 0xFFFF)))
    np.testing.assert_array_equal(read, values >> 8)


@pytest.mark.parametrize(
    ("form", "kind", "white"), [("PNG", "u2", 4095), ("TIFF", "i4", 65535), ("TIFF", "f4", 1)]
)
def test_deep_gray_is_scaled_by_the_range_of_the_set(form: str, kind: str, white: int) -> None:
    shares = np.array([[[0, 0.25], [0.25, 0.5]], [[0.5, 1], [0.75, 0.5]]])
    pictures = [encoded(Image.fromarray((share * white).astype(kind)), form) for share in shares]
    broken = [pictures[0][:20], encoded(gradient(2, 2))]
    one_by_one = [
        Picture(str(k), k, partial(bytes, content))
        for k, content in enumerate([*pictures, *broken])
    ]
    fitted = FramingConfig().fitted(gray=True, deep=one_by_one)
    assert (fitted.channels, fitted.levels) == (1, (0, white))
    read = [np.asarray(decode(content, 1, fitted.levels)).tolist() for content in pictures]
    np.testing.assert_allclose(read, shares * 255, atol=1)
    assert "deep gray from 0 (black)" in fitted.rule
    chosen = FramingConfig(levels=(0, 2 * white), channels=3).fitted(gray=True, deep=iter(()))
    assert np.asarray(decode(pictures[1], 3, chosen.levels)).max() == 128
    with pytest.raises(BadInput, match=r"more than 8 bits.*data\.source\.levels="):
        decode(pictures[0], 1)


def test_a_deep_set_of_one_value_and_values_that_are_not_finite() -> None:
    flat = encoded(Image.fromarray(np.full((2, 2), 7, dtype=np.uint16)))
    fitted = FramingConfig().fitted(gray=True, deep=[Picture("a", 0, lambda: flat)])
    assert fitted.levels == (7, 8)
    hole = encoded(Image.fromarray(np.array([[0, np.nan]], dtype=np.float32)), "TIFF")
    with pytest.raises(Unreadable, match="not finite"):
        decode(hole, 1, (0, 1))
    assert FramingConfig().fitted(gray=True, deep=[Picture("a", 0, lambda: hole)]).levels is None


def test_pictures_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(gradient(30, 10), "JPEG", exif=exif)
    with Image.open(io.BytesIO(content)) as picture:
        assert measure(picture) == (10, 30)
    assert decode(content, 3).size == (10, 30)


@pytest.mark.parametrize("keep", [0, 10, 60])
def test_part_of_a_picture_is_unreadable(keep: int) -> None:
    with pytest.raises(Unreadable):
        decode(encoded(gradient(16, 16))[:keep], 3)


def test_resize_all_keeps_equal_sizes_untouched_and_orders_rows() -> None:
    images = np.stack([np.full((1, 8, 8), value, dtype=np.uint8) for value in (0, 100, 255)])
    assert resize_all(images, 8) is images
    larger = resize_all(images, 16)
    assert larger.shape == (3, 1, 16, 16)
    assert [int(image.mean()) for image in larger] == [0, 100, 255]
