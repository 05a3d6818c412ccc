"""The embedded digits: two disjoint splits, and pixels that span the range."""

import numpy as np

from ssgan.data.sources.digits import DigitsSource


def test_splits_are_stated_and_disjoint() -> None:
    source = DigitsSource(size=8).open()
    assert source.counts == {"train": 1297, "test": 500}
    assert "rows 0-1296" in source.provenance["split"]
    assert "rows 1297-1796" in source.provenance["split"]
    pictures = {
        split: {image.tobytes() for images, _ in chunks for image in images}
        for split, chunks in source.splits().items()
    }
    assert not pictures["train"] & pictures["test"]


def test_every_digit_is_in_both_splits_and_pixels_span_the_range() -> None:
    source = DigitsSource().open()
    assert source.shape == (1, 16, 16)
    for chunks in source.splits().values():
        parts = list(chunks)
        labels = np.concatenate([labels for _, labels in parts])
        assert set(labels[:, 0].tolist()) == set(range(10))
        images = np.concatenate([images for images, _ in parts])
        assert (images.min(), images.max()) == (0, 255)
        assert images.dtype == np.uint8
