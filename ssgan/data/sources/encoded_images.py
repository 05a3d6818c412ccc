"""A source of encoded pictures (files, cells of a table), decoded a chunk at a time."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ssgan.base.errors import BadInput
from ssgan.data.sources.base import CHUNK_ROWS, Chunk, Images, Labels
from ssgan.data.sources.framing import FramingConfig, Unreadable, decode
from ssgan.method.codes import Code

_DECODERS = 8


class Picture(NamedTuple):
    """One picture that is still encoded."""

    name: str
    """Its file, or its place in a table, for messages."""
    row: int
    """Its row in the source's labels."""
    read: Callable[[], bytes]
    """Reads its encoded content."""


@dataclass(frozen=True)
class EncodedSource:
    """Encoded pictures and their labels.

    Attributes:
        name: Short name of the data set.
        shape: (C, H, W) of every image after framing.
        columns: The label columns.
        labels: float32 (N, K), by `Picture.row`.
        counts: Pictures of each split.
        pictures: Starts reading the pictures of a split.
        framing: How pictures become images of `shape`.
        provenance: Where the pictures came from.
        failed: Pictures that could not be read so far; grows while splits are read.
    """

    name: str
    shape: tuple[int, int, int]
    columns: tuple[Code, ...]
    labels: Labels
    counts: Mapping[str, int]
    pictures: Callable[[str], Iterable[Picture]]
    framing: FramingConfig
    provenance: Mapping[str, str]
    failed: list[str] = field(default_factory=list)

    @property
    def broken(self) -> tuple[str, ...]:
        """Pictures that could not be read so far."""
        return tuple(sorted(self.failed))

    def splits(self) -> dict[str, Iterable[Chunk]]:
        """Return the chunks of each split."""
        return {split: self._chunks(split) for split in self.counts}

    def _chunks(self, split: str) -> Iterator[Chunk]:
        # Pillow decodes without the interpreter lock, so threads use the cores.
        with ThreadPoolExecutor(min(_DECODERS, os.cpu_count() or 1)) as decoders:
            for pictures in _batched(self.pictures(split)):
                decoded = list(decoders.map(self._decode, pictures))
                images = [image for image in decoded if image is not None]
                rows = [
                    picture.row
                    for picture, image in zip(pictures, decoded, strict=True)
                    if image is not None
                ]
                if images:
                    yield np.stack(images), self.labels[rows]

    def _decode(self, picture: Picture) -> Images | None:
        try:
            image = self.framing.frame(decode(picture.read(), self.framing.channels))
        except (Unreadable, OSError) as error:
            if self.framing.strict:
                raise BadInput(
                    f"{picture.name} cannot be read ({error}); mend or remove it, or leave "
                    "data.source.strict off to go on without it"
                ) from error
            self.failed.append(picture.name)
            return None
        except BadInput as error:
            raise BadInput(f"{picture.name}: {error}") from None
        if image.shape != self.shape:
            _, height, width = image.shape
            raise BadInput(
                f"{picture.name} is {width}x{height} where the first picture is "
                f"{self.shape[2]}x{self.shape[1]}; add data.source.size=32 and "
                "data.source.resize=crop, pad or squash"
            )
        return image


def _batched(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    batch = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == CHUNK_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
