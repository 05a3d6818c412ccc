"""Small copies of pictures keep their shape; pixels stay crisp where they grow."""

import io

import numpy as np
from PIL import Image

from ssgan.drawing.sheet import png, thumbnail


def small(picture: Image.Image, side: int, *, enlarge: bool = False) -> Image.Image:
    copy = Image.open(io.BytesIO(thumbnail(png(picture), side, quality=90, enlarge=enlarge)))
    assert copy.format == "WEBP"
    return copy


def test_a_large_picture_is_shrunk_in_proportion() -> None:
    assert small(Image.new("RGB", (400, 100)), 200).size == (200, 50)
    assert small(Image.new("RGB", (1000, 1)), 100).size == (100, 1)


def test_a_small_picture_grows_only_where_it_shall() -> None:
    dot = Image.new("L", (8, 8))
    dot.putpixel((0, 0), 255)
    assert small(dot, 256).size == (8, 8)
    grown = np.asarray(small(dot, 256, enlarge=True).convert("L"))
    assert grown.shape == (256, 256)
    assert grown[:30, :30].min() > 200
    assert grown[34:, 34:].max() < 50
