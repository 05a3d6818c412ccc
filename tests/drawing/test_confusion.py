import numpy as np
import pytest
import torch
from PIL import Image

from ssgan.drawing.confusion import confusion_matrix
from ssgan.drawing.sheet import Cells, png

NONE, ALL = (246, 248, 250), (8, 48, 107)


def blocks(image: Image.Image, color: tuple[int, int, int]) -> int:
    """Count the pixels of a color."""
    return int((np.asarray(image) == color).all(axis=2).sum())


def test_a_cell_is_as_dark_as_its_share_of_the_row() -> None:
    counts = torch.tensor([[30, 0], [1, 1]])
    image = confusion_matrix(counts, "ab", "ab", "letter")
    assert 1800 < blocks(image, ALL) < 48**2  # the rest of it is its count
    assert 48**2 <= blocks(image, NONE) < 48**2 + 20  # and edges of letters
    assert 2 * 1800 < blocks(image, (127, 148, 178)) < 2 * 48**2
    assert Cells.read(image) is None


@pytest.mark.parametrize("classes", [2, 12, 13, 102])
def test_labels_of_any_length_fit_any_number_of_classes(classes: int) -> None:
    names = [f"automobile of a long name {k}" for k in range(classes)]
    image = confusion_matrix(torch.eye(classes), names, names, "kind of car")
    pixels = np.asarray(image)
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    side = 48 if classes <= 12 else 20 if classes <= 40 else 10
    assert classes * side < image.width < classes * (side + 2) + 700


def test_equal_counts_make_equal_bytes() -> None:
    first, again = (png(confusion_matrix(torch.eye(3), "abc", "abc", "t")) for _ in range(2))
    assert first == again
