"""Turned images: the angle in the label is the angle in the picture."""

import numpy as np

from ssgan.data.sources.rotation import angle_code, turn

BAR = np.zeros((1, 1, 29, 29), dtype=np.uint8)
BAR[0, 0, 4:25, 13:16] = 255  # upright


def slope(image: np.ndarray) -> float:
    """Return the angle in degrees, counterclockwise, of a bar's longer axis with the vertical."""
    y, x = np.nonzero(image > 100)
    (a, b), (_, c) = np.cov(x, y)
    return float(np.degrees(0.5 * np.arctan2(2 * b, c - a)))


def test_the_label_is_the_angle_of_the_picture() -> None:
    digits = np.arange(50, dtype=np.float32)[:, None]
    images, labels = turn(BAR.repeat(50, axis=0), digits, 60.0, "train")
    assert (images.shape, images.dtype) == ((50, 1, 29, 29), np.uint8)
    assert (labels.shape, labels.dtype) == ((50, 2), np.float32)
    assert labels[:, 0].tolist() == digits[:, 0].tolist()
    assert np.abs(labels[:, 1]).max() <= 60
    assert labels[:, 1].min() < -30
    assert labels[:, 1].max() > 30
    # A bar that is turned counterclockwise leans left: its upper end, at smaller y, has smaller x.
    measured = [slope(image[0]) for image in images]
    np.testing.assert_allclose(measured, labels[:, 1], atol=2.0)


def test_the_same_split_is_turned_alike_and_another_differently() -> None:
    labels = np.zeros((8, 1), dtype=np.float32)
    first, again, other = (
        turn(BAR.repeat(8, axis=0), labels, 30.0, split) for split in ("train", "train", "judge")
    )
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1] != other[1]).any()


def test_the_code_is_in_degrees() -> None:
    code = angle_code(60.0)
    assert (code.name, code.kind, code.low, code.high) == ("angle", "continuous", -60.0, 60.0)
