"""The decoded copy of a split: raw files on the node, mapped by every process that reads it.

Parquet is decoded once a node into a file of pixels and one of labels, named by the manifest's
hash. Processes map the pixels copy-on-write from a file opened read-only: the page cache shares
them between all workers and trials and pages them beyond memory, and a stray write in one
process reaches neither the file nor any other process.

The copy is compared with the manifest's hash of the content when it is made, and again whenever its
files are not those that were looked at before, by size and times. One that was changed is made
again.
"""

import contextlib
import hashlib
import json
import logging
import math
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from ssgan.base.errors import CorruptFile
from ssgan.base.storage import replacing
from ssgan.data.sources.base import Chunk

_log = logging.getLogger(__name__)

Take = Callable[[Tensor], Tensor]
"""Given rows, int64 (n,), returns their images, uint8 (n, C, H, W): `Split.take`, or of a part."""


@dataclass(frozen=True)
class Split:
    """One split of a store."""

    images: Tensor
    """uint8 (N, C, H, W), 0 to 255, memory-mapped or on a GPU. Read through `take`."""
    labels: Tensor
    """float32 (N, K), one column a manifest column: class index or a value in the user's units;
    NaN = not known, `FOREIGN` = none of the classes."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def take(self, rows: Tensor) -> Tensor:
        """Copy the images of rows, int64 (n,): uint8 (n, C, H, W), where the images are."""
        return self.images[rows.to(self.images.device, non_blocking=True)]


def map_split(
    folder: Path,
    split: str,
    shape: tuple[int, int, int, int],
    columns: int,
    content: str,
    chunks: Iterable[Chunk],
) -> Split:
    """Map the decoded copy of a split in a folder on the node's own disk.

    The images have the shape (N, C, H, W), the labels (N, columns). Where there is no copy with
    the hash `content` (`hash_content`) it is made from the chunks, which are read only then.

    Raises:
        CorruptFile: The chunks have another hash.
    """
    count = shape[0]
    pixels = folder / f"{split}.images.u8"
    labels = folder / f"{split}.labels.f32"
    sizes = {pixels: math.prod(shape), labels: 4 * count * columns}
    seen = folder / f"{split}.seen.json"
    if not _is_whole(sizes, content, seen):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{split}.lock"):
            if not _is_whole(sizes, content, seen):
                _write(pixels, labels, chunks)
                if not _is_whole(sizes, content, seen):
                    raise CorruptFile(
                        f"the {split} split of the store does not have the content that its "
                        "manifest states; prepare the store again"
                    )
    return Split(
        images=_map(pixels, torch.uint8, shape),
        labels=_map(labels, torch.float32, (count, columns)),
    )


def place_images(split: Split, device: torch.device) -> Split:
    """Copy a split's images to a GPU with enough free memory; else they stay mapped."""
    if device.type != "cuda":
        return split
    free, _ = torch.cuda.mem_get_info(device)
    # A quarter of the free memory, which trials and networks share.
    if split.images.numel() > free / 4:
        return split
    return replace(split, images=split.images.to(device))


def hash_content(pixels: bytes, labels: bytes) -> str:
    """Return the hash of a split's content from the SHA-256 digests of its pixels and labels."""
    return hashlib.sha256(pixels + labels).hexdigest()


def _is_whole(sizes: dict[Path, int], content: str, seen: Path) -> bool:
    """Whether files have the content they should; `seen` says how they were when it was checked."""
    try:
        found = {file.name: _look(file) for file in sizes}
    except FileNotFoundError:
        return False
    with contextlib.suppress(OSError, ValueError):
        if json.loads(seen.read_bytes()) == found:
            return True
    if all(file.stat().st_size == size for file, size in sizes.items()):
        pixels, labels = (_digest(file) for file in sizes)
        if hash_content(pixels, labels) == content:
            with contextlib.suppress(OSError), replacing(seen, uuid.uuid4().hex) as new:
                new.write_text(json.dumps(found))
            return True
    _log.warning("%s was changed after it was made; making it again", next(iter(sizes)))
    return False


def _look(file: Path) -> list[int]:
    """Return size and times of a file; no program can set the time of its last change."""
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _write(pixels: Path, labels: Path, chunks: Iterable[Chunk]) -> None:
    with replacing(pixels) as new_pixels, replacing(labels) as new_labels:
        with new_pixels.open("wb") as pixel_file, new_labels.open("wb") as label_file:
            for images, values in chunks:
                pixel_file.write(images.tobytes())
                label_file.write(values.tobytes())
        new_pixels.chmod(0o444)
        new_labels.chmod(0o444)


def _map(file: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    elements = math.prod(shape)
    if not elements:
        return torch.empty(shape, dtype=dtype)
    # shared=False is MAP_PRIVATE over a file opened read-only.
    mapped = torch.from_file(str(file), shared=False, size=elements, dtype=dtype)
    return mapped.view(shape)
