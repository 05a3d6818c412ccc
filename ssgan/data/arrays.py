"""A source whose images already stand in memory, as the small published sets do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ssgan.codes import Code
from ssgan.data.chunks import Chunk, Images, Labels, in_chunks


@dataclass(frozen=True)
class ArraySource:
    """Images and labels in memory, one pair of arrays a split.

    Attributes:
        name: Short name of the data set.
        columns: The label columns.
        arrays: Per split, images uint8 (N, C, H, W) and labels float32 (N, K).
        provenance: Where the images came from.
    """

    name: str
    columns: tuple[Code, ...]
    arrays: Mapping[str, tuple[Images, Labels]]
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
        return {split: in_chunks(*pair) for split, pair in self.arrays.items()}
