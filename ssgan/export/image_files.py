"""Forms of a set of labeled images on disk: a folder, WebDataset's shards, one Parquet file.

Each form writes one file that only grows (and a folder, beside it, files that are written again
alike). So what is on disk at some time is known by one number, and work that was cut off goes on
where it was safe last: whatever lies behind is cut off and written again.
"""

import glob
import json
import os
import shutil
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ssgan.base.config import Config
from ssgan.base.errors import BadInput
from ssgan.export.code_values import free_name
from ssgan.export.csv_rows import FILE, csv_header, csv_rows

LABELS = "labels.csv"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLORS = {1: 0, 2: 4, 3: 2, 4: 6}  # a PNG's color type by channels
_PART = ".part"  # ending of a file that grows
_SHARD = 2**30  # bytes from which a shard is followed by another
_BLOCK = 4096  # bytes; a small file takes this much of a disk
_GROUP = 64 * 2**20  # bytes of a row group of Parquet
_RECORD = 512  # bytes of a tar's header; contents are filled up to whole ones
_HEADERS = 5 * _RECORD  # bytes of a tar beside the contents of an image's three members, and more


class LabeledImages(NamedTuple):
    """Some images, encoded."""

    numbers: list[int]
    """Which images of the set they are."""
    files: list[str]
    """Their names, with slashes."""
    contents: list[bytes]
    """PNG files."""
    classes: list[int]
    """The class of each image's folder."""
    codes: dict[str, list[str] | NDArray[np.float32]]
    """Every code of every image: class names, and values in the user's units."""


class Saved(Config):
    """How far a form is on disk."""

    size: int = 0
    """Bytes of the file that grows."""
    shard: int = 0
    """Shards that are whole."""


class Form(Protocol):
    """A form of a set of images, which is written from its beginning or from where it was saved."""

    def write(self, images: LabeledImages) -> None:
        """Write some more images."""

    def save(self) -> Saved:
        """See that all that was written is on the disk."""

    def finish(self) -> list[Path]:
        """End it; return what a user opens."""

    def close(self) -> None:
        """Let go of files."""


def encode_pngs(images: NDArray[np.uint8]) -> list[bytes]:
    """Encode images, uint8 (n, H, W, C), as PNG files, for speed rather than for size.

    Small files by the thousand, where Pillow takes three times as long around the compression.
    """
    n, height, width, channels = images.shape
    lines = np.zeros((n, height, 1 + width * channels), dtype=np.uint8)  # of filter 0, none
    lines[:, :, 1:] = images.reshape(n, height, width * channels)
    shape = struct.pack(">IIBBBBB", width, height, 8, _COLORS[channels], 0, 0, 0)
    begin, end = _SIGNATURE + _chunk(b"IHDR", shape), _chunk(b"IEND", b"")
    return [begin + _chunk(b"IDAT", zlib.compress(one.tobytes(), 1)) + end for one in lines]


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file: length, kind, data, checksum."""
    whole = kind + data
    return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))


def check_space(out: Path, contents: Sequence[bytes], n: int) -> None:
    """Refuse n images that do not fit on the disk, judged by some of them.

    Raises:
        BadInput: With what they need and what is free.
    """
    place = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    sizes = [len(content) for content in contents]
    if out.suffix == ".parquet":
        sizes = [2 * size for size in sizes]  # for a time it lies there twice
    elif out.suffix == ".tar":
        sizes = [size + _HEADERS for size in sizes]
    else:
        sizes = [-(-size // _BLOCK) * _BLOCK for size in sizes]
    needed, free = n * sum(sizes) // len(sizes), shutil.disk_usage(place).free
    if needed > free:
        raise BadInput(
            f"{n:,} images need about {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB are "
            f"free in {place}; lower -n, or choose another --out"
        )
    disk = os.statvfs(place)
    if not out.suffix and disk.f_files and n > disk.f_favail:
        raise BadInput(
            f"{place} takes no more than {disk.f_favail:,} new files, and {n:,} images are as "
            "many; lower -n, or write shards: --out NAME.tar"
        )


def find_files(out: Path) -> list[Path]:
    """Return what lies where a set of images is to go, its journal aside."""
    if out.suffix == ".tar":
        return sorted(out.parent.glob(f"{glob.escape(out.stem)}-{'[0-9]' * 6}.tar*"))
    if out.suffix == ".parquet":
        return [path for path in (out, _part(out)) if path.exists()]
    return sorted(out.iterdir()) if out.is_dir() else [out] if out.exists() else []


def open_form(out: Path, columns: dict[str, bool], folders: Sequence[str], saved: Saved) -> Form:
    """Open the form that the ending of a path names, at what was saved of it.

    Args:
        out: Ends in .parquet or .tar, or is a folder.
        columns: The codes' names, and whether they have classes.
        folders: A folder for each class.
        saved: How far it is; nothing where it is new.
    """
    if out.suffix == ".parquet":
        return _Parquet(out, columns, saved)
    return _Shards(out, saved) if out.suffix == ".tar" else _Folder(out, columns, folders, saved)


class _Folder:
    """Image files in a folder a class, and labels.csv."""

    def __init__(
        self, out: Path, columns: dict[str, bool], folders: Sequence[str], saved: Saved
    ) -> None:
        self._out = out
        for folder in folders:
            (out / folder).mkdir(exist_ok=True)
        self._labels = _open_at(out / LABELS, saved.size)
        if not saved.size:
            taken = set(columns)
            self._labels.write(csv_header([free_name(FILE, taken), *columns]).encode())

    def write(self, images: LabeledImages) -> None:
        for name, content in zip(images.files, images.contents, strict=True):
            with open(f"{self._out}/{name}", "wb", buffering=0) as file:  # faster than by a Path
                file.write(content)
        # The shortest text that reads as the same float32.
        cells = [[str(value) for value in column] for column in images.codes.values()]
        self._labels.write(csv_rows(zip(images.files, *cells, strict=True)).encode())

    def save(self) -> Saved:
        os.sync()  # thousands of files at once, where one fsync a file would take minutes
        return Saved(size=_flush(self._labels))

    def finish(self) -> list[Path]:
        return [self._out]

    def close(self) -> None:
        self._labels.close()


class _Shards:
    """Tar files: of each image a .png, the number of its class in .cls, every code in .json."""

    def __init__(self, out: Path, saved: Saved) -> None:
        self._out, self._whole = out, saved.shard
        self._open(saved.size)

    def _path(self, shard: int) -> Path:
        return self._out.with_name(f"{self._out.stem}-{shard:06d}.tar")

    def _open(self, size: int) -> None:
        path = self._path(self._whole)
        if path.exists():  # it was ended, which was not written down any more
            path.rename(_part(path))
        self._file = _open_at(_part(path), size)

    def write(self, images: LabeledImages) -> None:
        if self._file.tell() >= _SHARD:
            self._end()
            self._open(0)
        members: list[tuple[str, bytes]] = []
        rows = zip(images.numbers, images.contents, images.classes, _rows(images), strict=True)
        for number, content, index, codes in rows:
            text = json.dumps(codes, ensure_ascii=False).encode()
            for ending, data in (("png", content), ("cls", b"%d" % index), ("json", text)):
                members.append((f"{number:08d}.{ending}", data))
        headers = tar_headers(members)
        for header, (_, data) in zip(headers, members, strict=True):
            self._file.write(header + data + bytes(-len(data) % _RECORD))

    def save(self) -> Saved:
        return Saved(size=_flush(self._file), shard=self._whole)

    def _end(self) -> None:
        size = self._file.tell() + 2 * _RECORD
        self._file.write(bytes(2 * _RECORD + -size % tarfile.RECORDSIZE))
        _flush(self._file)
        self._file.close()
        path = self._path(self._whole)
        _part(path).rename(path)
        self._whole += 1

    def finish(self) -> list[Path]:
        self._end()
        return [self._path(shard) for shard in range(self._whole)]

    def close(self) -> None:
        self._file.close()


def tar_headers(members: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """Return the headers that tarfile writes for files by name and content, all at once.

    The names are ASCII, of at most 100 characters.
    """
    empty = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)
    blocks = np.tile(np.frombuffer(empty, dtype=np.uint8), (len(members), 1))
    names = np.array([name for name, _ in members], dtype="S100")
    sizes = np.array([len(data) for _, data in members], dtype=np.int64)
    blocks[:, :100] = names.view(np.uint8).reshape(-1, 100)
    blocks[:, 124:135] = _octal(sizes, 11)
    blocks[:, 148:156] = ord(" ")  # the checksum counts itself as spaces
    blocks[:, 148:154] = _octal(blocks.sum(1, dtype=np.int64), 6)
    blocks[:, 154] = 0
    return [block.tobytes() for block in blocks]


def _octal(numbers: NDArray[np.integer], digits: int) -> NDArray[np.integer]:
    """Write each number as a row of octal digits in ASCII."""
    places = 3 * np.arange(digits - 1, -1, -1)
    return ord("0") + (numbers[:, None] >> places & 7)


class _Parquet:
    """One Parquet file, a row an image. Until it is whole, its rows are a stream of Arrow."""

    def __init__(self, out: Path, columns: dict[str, bool], saved: Saved) -> None:
        import pyarrow as pa

        self._out, self._text = out, [name for name, has_classes in columns.items() if has_classes]
        taken = set(columns)
        types = {free_name(FILE, taken): pa.string(), free_name("image", taken): pa.binary()}
        types |= {name: pa.string() if name in self._text else pa.float32() for name in columns}
        self._schema = pa.schema(list(types.items()))
        self._is_whole = False
        self._stream = _open_at(_part(out), saved.size)
        if not saved.size:
            self._stream.write(self._schema.serialize())

    def write(self, images: LabeledImages) -> None:
        import pyarrow as pa

        cells = [images.files, images.contents, *images.codes.values()]
        arrays = [
            pa.array(cell, kind) for cell, kind in zip(cells, self._schema.types, strict=True)
        ]
        self._stream.write(pa.record_batch(arrays, schema=self._schema).serialize())

    def save(self) -> Saved:
        return Saved(size=_flush(self._stream))

    def finish(self) -> list[Path]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from ssgan.base.storage import replacing

        with (
            replacing(self._out) as path,
            pq.ParquetWriter(
                path, self._schema, compression="zstd", use_dictionary=self._text
            ) as writer,
            pa.OSFile(str(_part(self._out))) as stream,
        ):
            for batches in _groups(pa.ipc.open_stream(stream)):
                writer.write_table(pa.Table.from_batches(batches))
        self._is_whole = True
        return [self._out]

    def close(self) -> None:
        self._stream.close()
        if self._is_whole:  # and the journal says so
            _part(self._out).unlink()


def _groups(batches: Any) -> Iterator[list[Any]]:
    waiting: list[Any] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.nbytes for one in waiting) >= _GROUP:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _rows(images: LabeledImages) -> Iterator[dict[str, Any]]:
    columns = [
        column if isinstance(column, list) else [float(str(value)) for value in column]
        for column in images.codes.values()
    ]
    for row in zip(*columns, strict=True):
        yield dict(zip(images.codes, row, strict=True))


def _open_at(path: Path, size: int) -> IO[bytes]:
    """Open a file that grows at a size that it had, and cut off what lies behind."""
    file = path.open("r+b" if size else "w+b")
    if os.fstat(file.fileno()).st_size < size:
        file.close()
        raise BadInput(
            f"{path} is shorter than when it was written; delete what is there and begin again, "
            "or choose another --out"
        )
    file.truncate(size)
    file.seek(size)
    return file


def _flush(file: IO[bytes]) -> int:
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


def _part(path: Path) -> Path:
    return path.with_name(path.name + _PART)
