"""Panels stand in reading order, and below each other where they would be too wide."""

import numpy as np
from PIL import Image

from ssgan.paper.panels import WIDEST, arrange, tabulate


def panel(width: int, shade: int, height: int = 60) -> Image.Image:
    return Image.new("RGB", (width, height), (shade, 0, shade))


def place(image: Image.Image, shade: int) -> tuple[int, int]:
    """Return x and y of a panel's upper left corner."""
    y, x = np.nonzero((np.asarray(image) == (shade, 0, shade)).all(axis=2))
    return int(x.min()), int(y.min())


def test_panels_that_fit_stand_in_one_row() -> None:
    image = arrange([panel(100, shade) for shade in (10, 20, 30)], "t")
    places = [place(image, shade) for shade in (10, 20, 30)]
    assert len({y for _, y in places}) == 1
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert places[1][0] - places[0][0] > 100


def test_too_wide_panels_make_rows_as_even_as_can_be() -> None:
    wide = WIDEST // 3
    image = arrange([panel(wide, shade) for shade in (10, 20, 30, 40)], "t")
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = (place(image, shade) for shade in (10, 20, 30, 40))
    assert ay == by < cy == dy
    assert ax == cx < bx == dx
    huge = arrange([panel(WIDEST + 5, shade) for shade in (10, 20)], "t")
    assert place(huge, 10)[1] < place(huge, 20)[1]


def test_smaller_panels_have_the_room_of_the_largest() -> None:
    rows = [[panel(80, 10), panel(50, 20, height=40)], [panel(50, 30)]]
    image = tabulate(rows, ["a", "b"], ["first", "second"], "t")
    (ax, ay), (bx, by), (cx, cy) = (place(image, shade) for shade in (10, 20, 30))
    assert (ay, cx) == (by, ax)
    assert bx - ax > 80
    assert cy - ay > 60
    assert tabulate(rows, ["a", "b"], [], "t").height < image.height
