"""The store: decoded images and label columns in Parquet shards, with a manifest of hashes."""

import hashlib
import io
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from pydantic import Field, ValidationError

from ssgan.base.config import Config, canonical_hash, in_a_line
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.json_text import read_json
from ssgan.base.progress import Advance
from ssgan.base.storage import Folder, default_cache, replacing
from ssgan.data.memmap import Split, hash_content, map_split
from ssgan.data.sources import SourceConfig
from ssgan.data.sources.base import Chunk, Source
from ssgan.method.codes import Code

MANIFEST = "manifest.json"
IMAGE_COLUMN = "image"
SHARD_ROWS = 10_000
SHARD_BYTES = 64 * 2**20
_FLAT = 8  # standard deviation of pixels, of 255, below which there is hardly anything to see

_log = logging.getLogger(__name__)


def stored_name(split: str) -> str:
    """Return what manifests call a split: the test split is ``judge``, as in the first version.

    The names are part of `Manifest.hash`, by which runs and label budgets know their data.
    """
    return {"test": "judge"}.get(split, split)


def split_name(stored: str) -> str:
    """Return the split that manifests call so, the opposite of `stored_name`."""
    return {"judge": "test"}.get(stored, stored)


class Shard(Config):
    """One Parquet file of a split."""

    file: str
    """Path relative to the store."""
    rows: int
    """Images in the file."""
    sha256: str
    """Hash of the file's bytes."""


class SplitManifest(Config):
    """One split: its size, its content, its files."""

    count: int
    """Images in the split."""
    content: str
    """Hash of all pixels and labels in order, however they are cut into files or compressed."""
    shards: tuple[Shard, ...]
    """The files, in the order of their rows."""
    known: tuple[int, ...] = ()
    """How many images each column labels, *none of these* among it."""


class Manifest(Config):
    """Everything about a store but the images."""

    format: Literal["ssgan-store-1"] = "ssgan-store-1"
    """Version of the layout."""
    name: str
    """Short name of the data set."""
    shape: tuple[int, int, int]
    """Channels, height and width of every image."""
    columns: tuple[Code, ...]
    """Label columns. `low` and `high` of a continuous one are its range over the train split."""
    splits: dict[str, SplitManifest]
    """The train split and, where there is one, the test split, by `stored_name`."""
    provenance: dict[str, str] = Field(default_factory=dict)
    """Where the images came from, and how they were divided and changed."""
    broken: tuple[str, ...] = ()
    """Files of the source that could not be read and were left out."""

    @cached_property
    def hash(self) -> str:
        """Identify the data: shape, columns, pixels and labels; not files or provenance."""
        return canonical_hash(
            {
                "shape": self.shape,
                "columns": [column.model_dump(mode="json") for column in self.columns],
                "splits": {
                    name: {"count": split.count, "content": split.content}
                    for name, split in self.splits.items()
                },
            }
        )

    def to_json(self) -> str:
        """Write the manifest together with a hash of itself."""
        content = self.model_dump(mode="json")
        return json.dumps({"sha256": canonical_hash(content), "manifest": content}, indent=1)

    @classmethod
    def from_json(cls, text: str, where: str) -> "Manifest":
        """Read what `to_json` wrote; messages name `where` it was found.

        Raises:
            CorruptFile: The text is not a manifest, or not the one that was written.
        """
        try:
            whole = read_json(text)
            manifest = cls.model_validate(whole["manifest"])
            intact = whole["sha256"] == canonical_hash(manifest.model_dump(mode="json"))
        except (ValueError, KeyError, TypeError) as error:
            told = in_a_line(error) if isinstance(error, ValidationError) else error
            raise CorruptFile(
                f"{where} is not a readable manifest ({told}); prepare the store again"
            ) from error
        if not intact:
            raise CorruptFile(f"{where} was changed after it was written; prepare the store again")
        return manifest


@dataclass(frozen=True)
class Store:
    """A prepared data set."""

    location: str
    """Local path, or URI of any pyarrow file system."""
    manifest: Manifest

    @classmethod
    def open(cls, location: str | Path) -> "Store":
        """Open a store by its location.

        Raises:
            BadInput: There is no store.
            CorruptFile: Its manifest is not the one that was written.
        """
        folder = _folder(location)
        try:
            text = folder.read_bytes(MANIFEST).decode(errors="replace")
        except FileNotFoundError:
            raise BadInput(
                f"{location} is not a store: it has no {MANIFEST}; write one with "
                "ssgan data prepare"
            ) from None
        return cls(str(location), Manifest.from_json(text, folder.locate(MANIFEST)))

    @property
    def has_test_split(self) -> bool:
        """Whether there is a test split, which judges learn from."""
        return stored_name("test") in self.manifest.splits

    def split(self, name: str, cache: Path | None = None) -> Split:
        """Map the split ``"train"`` or ``"test"``; the first to do so on a node decodes it.

        The decoded copy goes to a cache on the node's own disk; null is `default_cache`.

        Raises:
            BadInput: The store has no such split.
            CorruptFile: A shard is missing or differs from what was written.
        """
        manifest, stored = self.manifest, stored_name(name)
        if stored not in manifest.splits:
            raise BadInput(
                f"the store {self.location} has no {name} split, only "
                f"{' and '.join(map(split_name, manifest.splits))}"
            )
        folder = (cache or default_cache()) / "decoded" / manifest.hash
        shape = (manifest.splits[stored].count, *manifest.shape)
        content = manifest.splits[stored].content
        columns, chunks = len(manifest.columns), self.chunks(stored)
        return map_split(folder, stored, shape, columns, content, chunks)

    def chunks(self, name: str) -> Iterator[Chunk]:
        """Read a split shard by shard, checking each shard's hash before it is used.

        Yields:
            Images uint8 (n, C, H, W) and labels float32 (n, K).

        Raises:
            CorruptFile: A shard is missing or differs from what was written.
        """
        folder = _folder(self.location)
        for shard in self.manifest.splits[name].shards:
            where = folder.locate(shard.file)
            try:
                content = folder.read_bytes(shard.file)
            except FileNotFoundError:
                raise CorruptFile(f"shard {where} is missing; prepare the store again") from None
            if hashlib.sha256(content).hexdigest() != shard.sha256:
                raise CorruptFile(
                    f"shard {where} was changed after it was written (its hash differs from the "
                    "manifest's); prepare the store again"
                )
            yield self._decode(content)

    def _decode(self, content: bytes) -> Chunk:
        table = pq.read_table(pa.BufferReader(content)).combine_chunks()
        pixels = table.column(IMAGE_COLUMN).chunk(0)
        flat = np.frombuffer(pixels.buffers()[1], dtype=np.uint8)
        images = flat.reshape(len(table), *self.manifest.shape)
        labels = np.empty((len(table), len(self.manifest.columns)), dtype=np.float32)
        for index, column in enumerate(self.manifest.columns):
            labels[:, index] = table.column(column.name).to_numpy()
        return images, labels


def write_store(location: str | Path, source: Source, progress: Advance | None = None) -> Store:
    """Write all splits of a source to a folder, local or on any pyarrow file system.

    The manifest comes last: a folder without one is not a store. `progress` is called after each
    chunk.

    Raises:
        BadInput: There already is a store, or the source cannot be stored.
    """
    folder = _folder(location)
    if folder.exists(MANIFEST):
        raise BadInput(f"{location} already holds a store; choose another folder or remove it")
    if IMAGE_COLUMN in {column.name for column in source.columns}:
        raise BadInput(
            f"a label column cannot be called {IMAGE_COLUMN!r}, which holds the pixels; rename it"
        )
    total, done = sum(source.counts.values()), 0
    sums = np.zeros(3, dtype=np.int64)  # of pixels: their number, values, squares

    def counted(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        nonlocal done
        for chunk in chunks:
            yield chunk
            done += len(chunk[0])
            squares = np.square(chunk[0], dtype=np.uint16).sum(dtype=np.int64)
            sums[:] += (chunk[0].size, chunk[0].sum(dtype=np.int64), squares)
            if progress is not None:
                progress(done, total)

    splits = {}
    for name, chunks in source.splits().items():
        stored = stored_name(name)
        splits[stored] = _write_split(folder, stored, source, counted(chunks))
        if not splits[stored].count:
            raise BadInput(f"{source.name}: the {name} split has no readable image")
    warning = _warn_of_flat(*sums.tolist())
    manifest = Manifest(
        name=source.name,
        shape=source.shape,
        columns=source.columns,
        splits=splits,
        provenance=dict(source.provenance) | ({"warning": warning} if warning else {}),
        broken=source.broken,
    )
    folder.write_bytes(MANIFEST, manifest.to_json().encode())
    return Store(str(location), manifest)


def _warn_of_flat(count: int, total: int, squares: int) -> str:
    """Warn of pixels that are all nearly alike: masks with class numbers, misjudged gray."""
    mean = total / count
    deviation = math.sqrt(max(0.0, squares / count - mean**2))
    if deviation >= _FLAT:
        return ""
    warning = (
        f"the images are nearly constant: pixels of {mean:.0f} ± {deviation:.1f} of 255; look at "
        "them (ssgan data show FILE --sheet sheet.png), and see data.source.levels for deep gray"
    )
    _log.warning("%s", warning)
    return warning


def prepare(
    config: SourceConfig, cache: Path | None = None, progress: Advance | None = None
) -> Store:
    """Find the store of a source in the cache, or build it there.

    Several processes may call this at once: one builds, the others wait for it. The cache is a
    folder; null for `default_cache`.

    Raises:
        BadInput: The source cannot be opened, or the cache cannot be written.
    """
    stores = (cache or default_cache()) / "stores"
    if (found := _find(stores, config)) is not None:
        return found
    try:
        stores.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"the cache {stores} cannot be written ({error.strerror}); set SSGAN_CACHE to a "
            "folder that can"
        ) from error
    source = config.open()
    # Only now is the fingerprint final: opening may have downloaded the files.
    folder = _place(stores, config)
    with FileLock(f"{folder}.lock"):
        if (found := _find(stores, config)) is not None:
            return found
        with replacing(folder) as new:
            write_store(new, source, progress)
    return Store.open(folder)


def _write_split(
    folder: Folder, split: str, source: Source, chunks: Iterable[Chunk]
) -> SplitManifest:
    """Write a stream of chunks as shards, and hash pixels and labels on the way."""
    names = [IMAGE_COLUMN, *(column.name for column in source.columns)]
    width = math.prod(source.shape)
    shards: list[Shard] = []
    known = np.zeros(len(source.columns), dtype=np.int64)
    pixel_hash, label_hash = hashlib.sha256(), hashlib.sha256()
    for images, labels in _cut(chunks, max(1, min(SHARD_ROWS, SHARD_BYTES // width))):
        # One NaN and one zero, so that equal labels have equal bytes.
        labels = np.where(np.isnan(labels), np.float32(np.nan), labels + np.float32(0))
        known += (~np.isnan(labels)).sum(axis=0)
        pixels = images.tobytes()
        pixel_hash.update(pixels)
        label_hash.update(labels.tobytes())
        column = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width), len(images), [None, pa.py_buffer(pixels)]
        )
        arrays = [column, *(pa.array(values, from_pandas=True) for values in labels.T)]
        content = io.BytesIO()
        table = pa.Table.from_arrays(arrays, names=names)
        pq.write_table(table, content, compression="zstd", row_group_size=1000)
        file = f"{split}-{len(shards):05d}.parquet"
        folder.write_bytes(file, content.getvalue())
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        shards.append(Shard(file=file, rows=len(images), sha256=digest))
    return SplitManifest(
        count=sum(shard.rows for shard in shards),
        content=hash_content(pixel_hash.digest(), label_hash.digest()),
        shards=tuple(shards),
        known=tuple(known.tolist()),
    )


def _cut(chunks: Iterable[Chunk], rows: int) -> Iterator[Chunk]:
    """Cut a stream of chunks into chunks of so many rows."""
    pending: list[Chunk] = []
    for chunk in chunks:
        pending.append(chunk)
        while sum(len(images) for images, _ in pending) >= rows:
            images, labels = map(np.concatenate, zip(*pending, strict=True))
            yield images[:rows], labels[:rows]
            pending = [(images[rows:], labels[rows:])]
    if sum(len(images) for images, _ in pending):
        images, labels = map(np.concatenate, zip(*pending, strict=True))
        yield images, labels


def _folder(location: str | Path) -> Folder:
    return Folder(os.path.expanduser(location))


def _place(stores: Path, config: SourceConfig) -> Path:
    return stores / f"{config.kind}-{config.fingerprint()[:16]}"


def _find(stores: Path, config: SourceConfig) -> Store | None:
    folder = _place(stores, config)
    if not (folder / MANIFEST).exists():
        return None
    try:
        return Store.open(folder)
    except CorruptFile:
        return None  # it is built again
