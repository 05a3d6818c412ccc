"""Single pictures: decoding, cropping by fractions of the frame, resizing."""

import io
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import AfterValidator

from ssgan.data.chunks import Images

Size = Annotated[int, AfterValidator(lambda value: _in_range(value))]
"""Height and width of square images in pixels, 4 to 1024."""


def _in_range(size: int) -> int:
    if not 4 <= size <= 1024:
        raise ValueError(f"size must be 4 to 1024 pixels, not {size}")
    return size


def _ordered(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            "a crop is (left, top, right, bottom) in fractions of the frame from 0 to 1, with "
            f"left < right and top < bottom; got {box}"
        )
    return box


Crop = Annotated[tuple[float, float, float, float], AfterValidator(_ordered)]
"""Left, top, right and bottom as fractions of the frame, from the upper left corner."""


def decode(encoded: bytes, channels: int) -> Image.Image:
    """Decode a picture's file content and convert it to grey (1) or RGB (3).

    Raises:
        OSError, SyntaxError, ValueError: As Pillow does, when the content is no picture.
    """
    with Image.open(io.BytesIO(encoded)) as picture:
        picture.load()
        return with_channels(picture, channels)


def with_channels(picture: Image.Image, channels: int) -> Image.Image:
    """Convert a picture to 8-bit grey (1) or RGB (3); transparency is laid over white."""
    if picture.mode.startswith("I;16"):
        # Pillow clips 16-bit grey at 255 when it converts; keep the upper eight bits instead.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    return picture.convert("L" if channels == 1 else "RGB")


def crop(picture: Image.Image, box: Crop) -> Image.Image:
    """Cut a box given in fractions of the frame, rounded to whole pixels."""
    width, height = picture.size
    left, top, right, bottom = box
    pixels = (
        round(left * width),
        round(top * height),
        round(right * width),
        round(bottom * height),
    )
    return picture.crop(pixels)


def resize(picture: Image.Image, size: int) -> Image.Image:
    """Resize to size x size; bicubic with antialiasing when shrinking."""
    if picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.BICUBIC)


def to_array(picture: Image.Image) -> Images:
    """Lay a grey or RGB picture out as uint8 (C, H, W)."""
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def resize_all(images: Images, size: int) -> Images:
    """Resize decoded images, uint8 (N, C, H, W) to (N, C, size, size)."""
    if images.shape[2:] == (size, size):
        return images
    resized = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        resized[row] = to_array(resize(Image.fromarray(np.ascontiguousarray(pixels)), size))
    return resized
