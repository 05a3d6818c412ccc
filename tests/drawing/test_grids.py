"""Grids show what they are given, row by row, and rows find real images of what they ask for."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ssgan.drawing.grids import (
    WIDEST,
    attribute_blocks,
    generator_name,
    image_rows,
    numbered,
    picture_table,
    rows_of,
    side_by_side,
    traversal,
)
from ssgan.drawing.sheet import Cells, png
from ssgan.method.codes import Code

RED = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None].expand(3, 8, 8)
PET = Code(name="pet", kind="categorical", classes=("cat", "dog", "cow"))
ANGLE = Code(name="angle", kind="continuous", low=-30, high=30)
LABELS = torch.stack([torch.arange(8.0) % 3, torch.linspace(-1, 1, 8)], dim=1)


def count(image: Image.Image, color: tuple[int, int, int]) -> int:
    return int((np.asarray(image) == np.array(color)).all(axis=2).sum())


def one_row(images: torch.Tensor, title: str = "T") -> Image.Image:
    return image_rows([("", [images])], ["a"], title)


def test_groups_stand_from_left_to_right() -> None:
    real = RED[None].repeat(2, 1, 1, 1)
    fake = RED.flip(0)[None].repeat(3, 1, 1, 1)
    groups = [("real", [real, real[:1]]), ("synthetic", [fake, fake])]
    image = image_rows(groups, ["cat", "dog"], "Rows")
    area = 56 * 56  # 8 pixels enlarged seven times
    assert count(image, (255, 0, 0)) == 3 * area
    assert count(image, (0, 0, 255)) == 6 * area
    pixels = np.asarray(image)
    red = np.argwhere((pixels == (255, 0, 0)).all(axis=2))
    blue = np.argwhere((pixels == (0, 0, 255)).all(axis=2))
    assert red[:, 1].max() < blue[:, 1].min()


def test_groups_without_images_are_left_out() -> None:
    fake = RED[None]
    without = image_rows([("real", [fake[:0]]), ("synthetic", [fake])], ["a"], "T")
    assert count(without, (255, 0, 0)) == 56 * 56
    cells = Cells.read(without)
    assert cells is not None
    assert cells.groups == [["synthetic", 1]]
    assert Cells.read(one_row(fake[:0])) is not None  # a sheet of no image


def test_gray_images_are_enlarged_without_blur() -> None:
    fake = torch.tensor([[10, 200], [200, 10]], dtype=torch.uint8)[None, None].repeat(1, 1, 4, 4)
    image = one_row(fake)
    assert count(image, (10, 10, 10)) == count(image, (200, 200, 200)) == 56 * 56 // 2


def test_large_images_are_shown_as_they_are() -> None:
    fake = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    fake[:, 0] = 255
    assert count(one_row(fake), (255, 0, 0)) == 64 * 64


def test_a_traversal_marks_the_trained_range() -> None:
    images = RED.expand(2, 5, 3, 8, 8)
    accent = (9, 105, 218)
    style = Code(name="style", kind="continuous")
    marked = traversal(images, ["a", "b"], style, [-2, -1, 0, 1, 2], "style")
    assert count(marked, (255, 0, 0)) == 10 * 56 * 56
    assert count(marked, accent) > 0
    outside = traversal(images[:, :2], ["a", "b"], style, [1.5, 2], "style")
    assert count(outside, accent) == 0
    angle = Code(name="angle", kind="continuous", low=-30, high=30)
    units = traversal(images, ["a", "b"], angle, [-2, -1, 0, 1, 2], "angle")
    assert units.height > marked.height


def test_attribute_blocks_hold_every_image_in_its_place() -> None:
    codes = [Code(name=n, kind="categorical", classes=("no", "yes")) for n in ("a", "b", "c")]
    shades = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2, 1, 1, 1)
    image = attribute_blocks(shades.expand(2, 3, 2, 2, 1, 8, 8), codes[0], codes[1:], "Attributes")
    cells = Cells.read(image)
    assert cells is not None
    pixels = np.asarray(image)
    for pair in range(2):
        for block in range(3):
            for y in range(2):
                for x in range(2):
                    row, column = 2 * pair + y, 2 * block + x
                    shade = pixels[cells.y[row] + 28, cells.x[column] + 28]
                    assert (shade == shades[pair, block, y, x].item()).all()


@pytest.mark.parametrize("title", ["A", "A title that is a good deal wider than its one picture"])
def test_the_title_fits_and_equal_input_makes_equal_bytes(title: str) -> None:
    first, again = (png(one_row(RED[None], title)) for _ in range(2))
    assert first == again
    image = np.asarray(Image.open(io.BytesIO(first)))
    assert (image[:, -5:] == 255).all()  # nothing is cut off at the right edge


def test_titles_name_the_copy_of_g() -> None:
    assert "EMA" in generator_name("ema")
    assert "raw" in generator_name("raw")


def panel(width: int, shade: int, height: int = 60) -> Image.Image:
    return Image.new("RGB", (width, height), (shade, 0, shade))


def place(image: Image.Image, shade: int) -> tuple[int, int]:
    """Return x and y of a panel's upper left corner."""
    y, x = np.nonzero((np.asarray(image) == (shade, 0, shade)).all(axis=2))
    return int(x.min()), int(y.min())


def test_panels_that_fit_stand_in_one_row() -> None:
    image = side_by_side([panel(100, shade) for shade in (10, 20, 30)], "t")
    places = [place(image, shade) for shade in (10, 20, 30)]
    assert len({y for _, y in places}) == 1
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert places[1][0] - places[0][0] > 100


def test_too_wide_panels_make_rows_as_even_as_can_be() -> None:
    wide = WIDEST // 3
    image = side_by_side([panel(wide, shade) for shade in (10, 20, 30, 40)], "t")
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = (place(image, shade) for shade in (10, 20, 30, 40))
    assert ay == by < cy == dy
    assert ax == cx < bx == dx
    huge = side_by_side([panel(WIDEST + 5, shade) for shade in (10, 20)], "t")
    assert place(huge, 10)[1] < place(huge, 20)[1]


def test_smaller_pictures_have_cells_as_large_as_the_largest() -> None:
    rows = [[panel(80, 10), panel(50, 20, height=40)], [panel(50, 30)]]
    image = picture_table(rows, ["a", "b"], ["first", "second"], "t")
    (ax, ay), (bx, by), (cx, cy) = (place(image, shade) for shade in (10, 20, 30))
    assert (ay, cx) == (by, ax)
    assert bx - ax > 80
    assert cy - ay > 60
    assert picture_table(rows, ["a", "b"], ["", ""], "t").height < image.height


def test_a_class_is_a_row_and_a_value_makes_five() -> None:
    rows = rows_of((PET, ANGLE))
    assert [row.label for row in rows[:4]] == ["pet = cat", "pet = dog", "pet = cow", "angle = -30"]
    assert [(row.column, row.value) for row in rows[2:5]] == [(0, 2), (1, -1), (1, -0.5)]
    assert len(rows) == 8


def test_images_show_the_class_or_the_nearest_value() -> None:
    _, dogs, _, smallest, *_ = rows_of((PET, ANGLE))
    assert dogs.pick(LABELS, 2).tolist() == [1, 4]
    assert smallest.pick(LABELS, 2).tolist() == [0, 1]


def test_images_without_a_label_show_nothing() -> None:
    unknown = torch.full((4, 2), torch.nan)
    unknown[3, 1] = 1
    rows = rows_of((PET, ANGLE))
    assert [row.pick(unknown, 2).tolist() for row in (rows[0], rows[3])] == [[], [3]]


def test_classes_of_an_unlabeled_code_are_numbers() -> None:
    assert [row.label for row in rows_of([numbered(PET, "c1")])] == ["c1 = 0", "c1 = 1", "c1 = 2"]
    assert numbered(ANGLE).name == "angle"
