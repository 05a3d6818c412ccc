"""The pictures that are asked about: those of a folder, without whatever labels it has."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ssgan.base.errors import BadInput
from ssgan.base.progress import Advance
from ssgan.data.memmap import Split
from ssgan.data.sources.encoded_images import Levels, Unreadable, decode
from ssgan.data.sources.folder import FolderSource
from ssgan.data.sources.layout import find_pictures
from ssgan.data.sources.tree import Tree
from ssgan.data.store import prepare
from ssgan.drawing.sheet import png

_LARGEST = 1024  # pixels a side, of what is shown
_CHUNK = 10_000  # images that are read at a time


@dataclass(frozen=True)
class Heap:
    """The pictures of a folder's train split, as they are on the disk and as training sees them."""

    tree: Tree
    """The folder or the archive that the pictures are in."""
    names: tuple[str, ...]
    """N paths relative to the root of the tree, with forward slashes."""
    others: tuple[str, ...]
    """The pictures of the test split, and those that cannot be read."""
    images: Split
    """The decoded images, in the order of `names`."""
    levels: Levels | None
    """Black and white of deep gray pictures."""
    hash: str
    """Identifies the images."""

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def copies(self) -> tuple[tuple[int, ...], ...]:
        """All pictures whose images are identical to each one's, itself among them."""
        groups: dict[bytes, list[int]] = {}
        owner = []
        for rows in torch.arange(len(self)).split(_CHUNK):
            for offset, image in enumerate(self.images.take(rows).numpy()):
                key = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
                groups.setdefault(key, []).append(int(rows[0]) + offset)
                owner.append(key)
        shared = {key: tuple(members) for key, members in groups.items()}
        return tuple(shared[key] for key in owner)

    @cached_property
    def firsts(self) -> Tensor:
        """The first picture whose image is identical to each one's, int64 (N,)."""
        return torch.tensor([members[0] for members in self.copies])

    def path(self, picture: int) -> Path:
        """Return the file of a picture."""
        return self.tree.root / self.names[picture]

    def is_there(self, picture: int) -> bool:
        """Whether a picture can still be read."""
        try:
            self._decode(picture)
        except (OSError, Unreadable, BadInput):
            return False
        return True

    def large(self, picture: int) -> bytes:
        """Return a picture as its file has it, at most 1024 pixels a side, as a PNG.

        Raises:
            BadInput: It is not there any more, or cannot be read.
        """
        try:
            shown = self._decode(picture)
        except (OSError, Unreadable) as error:
            raise BadInput(f"{self.names[picture]} cannot be read any more: {error}") from error
        shown.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
        return png(shown)

    def small(self, picture: int) -> bytes:
        """Return a picture as training sees it, as a PNG."""
        pixels = self.images.take(torch.tensor([picture]))[0].numpy()
        pixels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
        return png(Image.fromarray(np.ascontiguousarray(pixels)))

    def _decode(self, picture: int) -> Image.Image:
        return decode(self.tree.read(self.path(picture)), self.images.shape[0], self.levels)


def open_heap(source: FolderSource, progress: Advance | None = None) -> Heap:
    """Read the pictures of a folder; they are decoded once, into the cache.

    Raises:
        BadInput: There are none, their sizes differ without a rule, or only one can be read.
    """
    bare = without_labels(source)
    store = prepare(bare, progress=progress)
    opened = bare.open()
    broken = {*store.manifest.broken}
    names = tuple(one.name for one in opened.pictures("train") if one.name not in broken)
    images = store.split("train")
    if len(names) != len(images):
        raise BadInput(f"the pictures in {source.root} changed meanwhile; start again")
    if len(names) < 2:
        raise BadInput(f"{source.root} holds one picture; a heap to ask about has more")
    tree = Tree(source.root)
    others = tuple(sorted({*find_pictures(tree)} - {*names}))
    return Heap(tree, names, others, images, opened.framing.levels, store.manifest.hash)


def without_labels(source: FolderSource) -> FolderSource:
    """Return the source of the same pictures without any label."""
    own = ("root", "name", "test", "crop", "size", "resize", "channels", "levels", "strict")
    return FolderSource(**{name: getattr(source, name) for name in own})
