"""The embedded default: scikit-learn's 1,797 handwritten digits, no download."""

from typing import ClassVar, Literal

import numpy as np

from ssgan.base.config import canonical_hash
from ssgan.data.sources.base import ArraySource, SourceConfig
from ssgan.data.sources.encoded_images import Size, resize_all
from ssgan.method.codes import Code

DIGIT = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
_TRAIN_ROWS = 1297
_HIGHEST = 16  # scikit-learn's pixels are counts from 0 to 16


class DigitsSource(SourceConfig):
    """Handwritten digits that scikit-learn carries: 8x8 gray, enlarged."""

    has_test_split: ClassVar[bool] = True
    fully_labeled: ClassVar[bool] = True

    kind: Literal["digits"] = "digits"
    size: Size = 16
    """Height and width in pixels; 8 keeps the original pixels."""

    def open(self) -> ArraySource:
        """Read the set. Rows 0 to 1296 are the train split, rows 1297 to 1796 the test split.

        The rows are ordered by writer, so a division by position keeps writers apart.
        """
        from sklearn.datasets import load_digits  # slow to import, and needed once

        bunch = load_digits()
        pixels = np.rint(bunch.images * (255 / _HIGHEST)).astype(np.uint8)[:, None]
        images = resize_all(pixels, self.size)
        labels = bunch.target.astype(np.float32)[:, None]
        return ArraySource(
            name="digits",
            columns=(DIGIT,),
            arrays={
                "train": (images[:_TRAIN_ROWS], labels[:_TRAIN_ROWS]),
                "test": (images[_TRAIN_ROWS:], labels[_TRAIN_ROWS:]),
            },
            provenance={
                "origin": "scikit-learn's load_digits (UCI optical recognition of digits)",
                "split": f"train: rows 0-{_TRAIN_ROWS - 1}; test: rows {_TRAIN_ROWS}-1796",
                "size": f"8x8 enlarged to {self.size}x{self.size}, bicubic",
            },
        )

    def fingerprint(self) -> str:
        """Identify the source's content."""
        return canonical_hash(self.model_dump(mode="json"))
