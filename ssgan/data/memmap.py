"""The decoded copy of a split: raw files on the node, mapped by every process that reads it.

Parquet is decoded once a node into a file of pixels and one of labels, named by the manifest's
hash. Processes map the pixels copy-on-write from a file opened read-only: the page cache shares
them between all workers and trials and pages them beyond memory, and a stray write in one
process reaches neither the file nor any other process.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from ssgan.base.storage import replacing
from ssgan.data.sources.base import Chunk

_GPU_SHARE = 0.25  # of the free memory of a GPU, which trials and networks share


@dataclass(frozen=True)
class Split:
    """One split of a store.

    Attributes:
        images: uint8 (N, C, H, W), 0 to 255, memory-mapped.
        labels: float32 (N, K), one column a manifest column: class index or a value in the
            user's units; NaN = not known.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)


def map_split(
    folder: Path,
    split: str,
    shape: tuple[int, int, int, int],
    columns: int,
    chunks: Iterable[Chunk],
) -> Split:
    """Map the decoded copy of a split, and make it first when it is not there.

    Args:
        folder: Folder of this manifest's decoded copies on the node's own disk.
        split: Name of the split.
        shape: (N, C, H, W).
        columns: K, the number of label columns.
        chunks: The split's chunks; read only when there is no decoded copy yet.
    """
    count = shape[0]
    pixels = folder / f"{split}.images.u8"
    labels = folder / f"{split}.labels.f32"
    sizes = {pixels: shape[0] * shape[1] * shape[2] * shape[3], labels: 4 * count * columns}
    if not _complete(sizes):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{split}.lock"):
            if not _complete(sizes):
                _write(pixels, labels, chunks)
    return Split(
        images=_map(pixels, torch.uint8, shape),
        labels=_map(labels, torch.float32, (count, columns)),
    )


def place_images(images: Tensor, device: torch.device) -> Tensor:
    """Copy images to a GPU that has room for them; elsewhere they stay mapped.

    Args:
        images: uint8 (N, C, H, W), mapped.
        device: Where training computes.
    """
    if device.type != "cuda":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return images.to(device) if images.numel() <= free * _GPU_SHARE else images


def _complete(sizes: dict[Path, int]) -> bool:
    return all(file.exists() and file.stat().st_size == size for file, size in sizes.items())


def _write(pixels: Path, labels: Path, chunks: Iterable[Chunk]) -> None:
    with replacing(pixels) as new_pixels, replacing(labels) as new_labels:
        with new_pixels.open("wb") as pixel_file, new_labels.open("wb") as label_file:
            for images, values in chunks:
                pixel_file.write(images.tobytes())
                label_file.write(values.tobytes())
        new_pixels.chmod(0o444)
        new_labels.chmod(0o444)


def _map(file: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    elements = int(torch.Size(shape).numel())
    if not elements:
        return torch.empty(shape, dtype=dtype)
    # shared=False is MAP_PRIVATE over a file opened read-only.
    mapped = torch.from_file(str(file), shared=False, size=elements, dtype=dtype)
    return mapped.view(shape)
