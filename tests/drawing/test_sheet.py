"""A sheet says where its cells are, and its texts stay on it."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from ssgan.drawing.sheet import Cells, Sheet, _font, png

GROUPS = [("real", 2), ("synthetic", 3)]


def shaded() -> Sheet:
    """Draw two rows of images that hold ten times their row, plus their column."""
    sheet = Sheet((8, 4), [("", 2)], GROUPS, ["cat", "dog"], "Pets")
    shades = torch.tensor([[10 * row + column for column in range(5)] for row in range(2)])
    sheet.fill(shades[:, :, None, None, None].expand(2, 5, 1, 8, 4).to(torch.uint8))
    return sheet


def test_a_reader_of_the_png_finds_every_image() -> None:
    image = Image.open(io.BytesIO(png(shaded().image)))
    cells = Cells.read(image)
    assert cells is not None
    assert (cells.width, cells.height) == (28, 56)
    pixels = np.asarray(image)
    for row, y in enumerate(cells.y):
        for column, x in enumerate(cells.x):
            cell = pixels[y : y + cells.height, x : x + cells.width]
            assert (cell == 10 * row + column).all()
            assert (pixels[y - 1, x] == 255).all()


def test_a_box_holds_the_first_columns_of_a_group() -> None:
    image = shaded().image
    cells = Cells.read(image)
    assert cells is not None
    shades = [
        {int(shade) for shade in np.unique(np.asarray(image.crop(cells.box(group, columns))))}
        for group, columns in (("real", 9), ("synthetic", 2))
    ]
    assert shades == [{0, 1, 10, 11, 255}, {2, 3, 12, 13, 255}]
    with pytest.raises(KeyError):
        cells.box("painted", 1)


def test_other_pictures_have_no_cells() -> None:
    assert Cells.read(Image.open(io.BytesIO(png(Image.new("RGB", (9, 9)))))) is None


def test_a_title_wider_than_the_sheet_is_broken_between_words() -> None:
    short = Sheet((8, 8), [("", 1)], [("", 1)], [""], "Short").image
    long = Sheet((8, 8), [("", 1)], [("", 1)], [""], "A title of many words " * 8).image
    assert long.width < 650
    assert long.height > short.height + 40
    assert (np.asarray(long)[:, -5:] == 255).all()


def test_a_header_wider_than_its_columns_does_not_reach_its_neighbors() -> None:
    sheet = Sheet((8, 8), [("", 1)], [("W" * 40, 1), ("", 1)], [""], "")
    cells = sheet.cells
    header = np.asarray(sheet.image)[: cells.y[0], cells.x[1] - 5 :]
    assert (header == 255).all()
    assert (np.asarray(sheet.image)[: cells.y[0]] < 255).any()


def test_the_font_is_the_one_that_matplotlib_brings() -> None:
    font = _font(14)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert Path(str(font.path)).is_relative_to(matplotlib.get_data_path())
