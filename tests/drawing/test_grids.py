import io

import numpy as np
import pytest
import torch
from PIL import Image

from ssgan.drawing.grids import attribute_blocks, class_rows, png, traversal
from ssgan.method.codes import Code

RED = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None].expand(3, 8, 8)


def count(image: Image.Image, color: tuple[int, int, int]) -> int:
    return int((np.asarray(image) == np.array(color)).all(axis=2).sum())


def test_real_images_stand_left_and_synthetic_ones_right() -> None:
    real = RED[None].repeat(2, 1, 1, 1)
    fake = RED.flip(0)[None].repeat(3, 1, 1, 1)
    image = class_rows([real, real[:1]], [fake, fake], ["cat", "dog"], "Rows: G (EMA)")
    area = 56 * 56  # 8 pixels enlarged seven times
    assert count(image, (255, 0, 0)) == 3 * area
    assert count(image, (0, 0, 255)) == 6 * area
    pixels = np.asarray(image)
    red = np.argwhere((pixels == (255, 0, 0)).all(axis=2))
    blue = np.argwhere((pixels == (0, 0, 255)).all(axis=2))
    assert red[:, 1].max() < blue[:, 1].min()


def test_rows_without_real_images_have_one_block() -> None:
    fake = RED[None]
    with_real = class_rows([fake], [fake], ["a"], "T")
    without = class_rows([fake[:0]], [fake], ["a"], "T")
    assert count(without, (255, 0, 0)) == 56 * 56
    assert without.width < with_real.width


def test_gray_images_are_enlarged_without_blur() -> None:
    fake = torch.tensor([[10, 200], [200, 10]], dtype=torch.uint8)[None, None].repeat(1, 1, 4, 4)
    image = class_rows([fake[:0]], [fake], ["a"], "T")
    assert count(image, (10, 10, 10)) == count(image, (200, 200, 200)) == 56 * 56 // 2


def test_large_images_are_shown_as_they_are() -> None:
    fake = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    fake[:, 0] = 255
    assert count(class_rows([fake[:0]], [fake], ["a"], "T"), (255, 0, 0)) == 64 * 64


def test_a_traversal_marks_the_trained_range() -> None:
    images = RED.expand(2, 5, 3, 8, 8)
    accent = (9, 105, 218)
    marked = traversal(images, ["a", "b"], [-2, -1, 0, 1, 2], "style: G (EMA)")
    assert count(marked, (255, 0, 0)) == 10 * 56 * 56
    assert count(marked, accent) > 0
    outside = traversal(images[:, :2], ["a", "b"], [1.5, 2], "style: G (EMA)")
    assert count(outside, accent) == 0
    units = traversal(images, ["a", "b"], [-2, -1, 0, 1, 2], "angle", ["-60"] * 5)
    assert units.height > marked.height


def test_attribute_blocks_hold_every_image() -> None:
    codes = [Code(name=n, kind="categorical", classes=("no", "yes")) for n in ("a", "b", "c")]
    images = RED.expand(2, 3, 2, 2, 3, 8, 8)
    image = attribute_blocks(images, codes[0], codes[1:], "Attributes: G (EMA)")
    assert count(image, (255, 0, 0)) == 24 * 56 * 56


@pytest.mark.parametrize("title", ["A", "A title that is a good deal wider than its one picture"])
def test_the_title_fits_and_equal_input_makes_equal_bytes(title: str) -> None:
    first, again = (png(class_rows([], [RED[None]], ["0"], title)) for _ in range(2))
    assert first == again
    image = np.asarray(Image.open(io.BytesIO(first)))
    assert (image[:, -5:] == 255).all()  # nothing is cut off at the right edge
