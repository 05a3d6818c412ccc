"""What a source of images is: a configuration that opens it, and chunks of images and labels."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ssgan.base.config import OpenUnion
from ssgan.method.codes import Code

Images = NDArray[np.uint8]
"""Decoded images, uint8 (n, C, H, W), 0 to 255."""
Labels = NDArray[np.float32]
"""Labels, float32 (n, K), one column a code: a class index, or a value in the user's units;
NaN where the label is not known."""
FOREIGN = -1
"""What stores hold for the class of an image that is known to be none of a code's classes."""
Chunk = tuple[Images, Labels]

CHUNK_ROWS = 1000


class SourceConfig(OpenUnion):
    """Where images and labels come from; `kind` says which source it is."""

    @abstractmethod
    def open(self) -> "Source":
        """Check the inputs, before any other work starts.

        Raises:
            BadInput: Files are missing or are not what they should be.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash that changes when the parameters or the files do; needs no opening."""

    @property
    @abstractmethod
    def has_test_split(self) -> bool:
        """Whether there is a test split, which C learns from and Q_ss is measured on."""

    @property
    @abstractmethod
    def fully_labeled(self) -> bool:
        """Whether every image has all labels."""


class Source(Protocol):
    """A set of images, opened and checked, ready to be read once."""

    @property
    def name(self) -> str:
        """Short name of the data set."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""

    @property
    def columns(self) -> tuple[Code, ...]:
        """The label columns, in the order of the code table's columns."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Images of each split; a split may yield fewer where files turn out to be broken."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Where the images came from, and how they were divided and changed."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Files that could not be read so far; complete once every split has been read."""

    def splits(self) -> dict[str, Iterable[Chunk]]:
        """Return ``"train"`` and, where there is a test split, ``"test"``."""


def stamp(path: Path) -> list[Any]:
    """Identify a file's version without reading it: its path, size in bytes, and mtime in ns."""
    try:
        stat = path.stat()
    except OSError:
        return [str(path.absolute()), None, None]
    return [str(path.absolute()), stat.st_size, stat.st_mtime_ns]


@dataclass(frozen=True)
class ArraySource:
    """Images and labels in memory, one pair of arrays a split; a `Source`."""

    name: str
    columns: tuple[Code, ...]
    arrays: Mapping[str, Chunk]
    """Per split, images uint8 (N, C, H, W) and labels float32 (N, K)."""
    provenance: Mapping[str, str]
    broken: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        _, channels, height, width = self.arrays["train"][0].shape
        return channels, height, width

    @property
    def counts(self) -> Mapping[str, int]:
        """Images of each split."""
        return {split: len(images) for split, (images, _) in self.arrays.items()}

    def splits(self) -> dict[str, Iterable[Chunk]]:
        """Return the chunks of each split."""
        return {split: self._chunks(*pair) for split, pair in self.arrays.items()}

    def _chunks(self, images: Images, labels: Labels) -> Iterator[Chunk]:
        for start in range(0, len(images), CHUNK_ROWS):
            stop = start + CHUNK_ROWS
            yield images[start:stop], labels[start:stop]
