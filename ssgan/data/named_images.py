"""The images of a source with their names, a few at a time: also those that cannot be read."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssgan.data.sources.base import Images, Source
from ssgan.data.sources.encoded_images import EncodedSource

_ROWS = 500
_BYTES = 64 * 2**20  # of pixels at a time


class NamedImages(NamedTuple):
    """Some images of a source, n in all, of which m can be read."""

    names: list[str]
    """What each is called, n: its file, or its place in a table or in the set."""
    readable: NDArray[np.bool_]
    """Which of them can be read, (n,)."""
    images: Images
    """Those, in their order: uint8 (m, C, H, W)."""


def named_images(source: Source) -> Iterator[NamedImages]:
    """Read the train split of a source, in its order.

    Images of a source that has no names for them are called by their place, ``row 0``.

    Raises:
        BadInput: As the source.
    """
    rows = max(1, min(_ROWS, _BYTES // math.prod(source.shape)))
    if isinstance(source, EncodedSource):
        for decoded in source.decoded("train", rows):
            images = [image for _, image in decoded if image is not None]
            yield NamedImages(
                [picture.name for picture, _ in decoded],
                np.array([image is not None for _, image in decoded]),
                np.stack(images) if images else np.empty((0, *source.shape), dtype=np.uint8),
            )
        return
    first = 0
    for chunk, _ in source.splits()["train"]:
        for start in range(0, len(chunk), rows):
            part = chunk[start : start + rows]
            names = [f"row {row}" for row in range(first, first + len(part))]
            yield NamedImages(names, np.ones(len(part), dtype=np.bool_), part)
            first += len(part)
