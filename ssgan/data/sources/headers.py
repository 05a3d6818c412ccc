"""Headers of encoded pictures: their sizes and kinds, read before any pixel."""

from collections.abc import Callable, Iterable
from typing import BinaryIO, NamedTuple

from PIL import Image

from ssgan.data.sources.encoded_images import is_deep, is_gray, measure


class Headers(NamedTuple):
    """What the headers of pictures say."""

    sizes: dict[str, tuple[int, int]]
    """Upright width and height of each readable picture, by name."""
    gray: bool
    """Whether all of them are gray."""
    deep: tuple[str, ...]
    """Names of those whose gray values have more than 8 bits."""
    broken: tuple[str, ...]
    """Names of the pictures that cannot be read."""


Opener = Callable[[], BinaryIO]
"""Opens an encoded picture."""


def read_headers(files: Iterable[tuple[str, Opener]], until_color: bool = False) -> Headers:
    """Read the headers of pictures, not their pixels.

    Args:
        files: The name of each picture, and what opens it.
        until_color: Stop at the first picture in color.
    """
    sizes: dict[str, tuple[int, int]] = {}
    gray, deep, broken = True, [], []
    for name, opener in files:
        try:
            with opener() as file, Image.open(file) as picture:
                sizes[name] = measure(picture)
                gray = gray and is_gray(picture)
                if is_deep(picture):
                    deep.append(name)
        except Exception:  # whatever Pillow raises, the picture is broken
            broken.append(name)
        if until_color and not gray:
            break
    return Headers(sizes, gray, tuple(deep), tuple(broken))
