"""A folder of small files, local or on any pyarrow file system, whose files appear whole."""

import contextlib
import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from ssgan.base.errors import BadInput

_TEMPORARY = ".tmp"
# An object appears whole when its upload ends, and a rename there is a copy: write in place.
_OBJECT_STORES = frozenset({"s3", "gcs", "abfs"})


class Folder:
    """A folder. Files are named by their path relative to it, with slashes.

    The constructor touches nothing.

    Args:
        location: A local path, or a URI that pyarrow understands (``s3://bucket/runs/a``).
        filesystem: Use this file system, with `location` as the path inside it.
    """

    def __init__(self, location: str | Path, filesystem: pafs.FileSystem | None = None) -> None:
        if filesystem is None and "://" in str(location):
            filesystem, path = _from_uri(str(location))
        elif filesystem is None:
            filesystem, path = pafs.LocalFileSystem(), os.path.abspath(location)
        else:
            path = str(location)
        self._fs = filesystem
        self._path = path.rstrip("/")
        self._local = isinstance(filesystem, pafs.LocalFileSystem)
        # Workers have other working directories, so a local run is known by its absolute path.
        self.location: str = self._path if self._local else str(location).rstrip("/")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    @property
    def local_path(self) -> Path | None:
        """The directory as a local path, or None where it lives on another file system."""
        return Path(self._path) if self._local else None

    @property
    def base_name(self) -> str:
        """Last part of the location."""
        return self._path.rsplit("/", 1)[-1]

    def is_free(self) -> bool:
        """Whether nothing is at this location, or an empty folder."""
        kind = self._fs.get_file_info(self._path).type
        return bool(kind != pafs.FileType.File) and not self.list("")

    def exists(self, name: str) -> bool:
        """Whether a file or folder of that name is there."""
        return bool(self._kind(name) != pafs.FileType.NotFound)

    def list(self, prefix: str) -> list[str]:
        """Return the names of all files below a folder, sorted; empty where it is missing."""
        selector = pafs.FileSelector(
            self._join(prefix) if prefix else self._path, recursive=True, allow_not_found=True
        )
        start = len(self._path) + 1
        return sorted(
            entry.path[start:]
            for entry in self._fs.get_file_info(selector)
            if entry.type == pafs.FileType.File and not entry.path.endswith(_TEMPORARY)
        )

    def folders(self, name: str) -> Sequence[str]:
        """Return the names of the folders directly in a folder, sorted, without their parents."""
        selector = pafs.FileSelector(self._join(name), allow_not_found=True)
        return sorted(
            entry.base_name
            for entry in self._fs.get_file_info(selector)
            if entry.type == pafs.FileType.Directory
        )

    def read_bytes(self, name: str) -> bytes:
        """Read one file whole (`FileNotFoundError` if it is not there)."""
        with self._fs.open_input_stream(self._join(name), compression=None) as stream:
            return bytes(stream.readall())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write one file; a reader sees all of it or what was there before.

        Locally the bytes are on the disk when this returns (fsync, then rename).

        Raises:
            OSError: It cannot be written; nothing half-written stays behind.
        """
        target = self._join(name)
        if self._local:
            _write_local(Path(target), data)
            return
        self._fs.create_dir(target.rsplit("/", 1)[0], recursive=True)
        if self._fs.type_name in _OBJECT_STORES:
            self._put(target, data)
            return
        temporary = _temporary(target)
        try:
            self._put(temporary, data)
            self._fs.move(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.delete_file(temporary)
            raise

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON file, indented for people, atomically."""
        text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
        self.write_bytes(name, f"{text}\n".encode())

    def try_writing(self) -> None:
        """Write a file and delete it, to find out whether that works.

        The file is this call's own: other processes may try the same folder at the same time.

        Raises:
            OSError: It does not.
        """
        probe = f".ssgan-write-test-{uuid.uuid4().hex}"
        self.write_bytes(probe, b"")
        self.delete(probe)

    def delete(self, name: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing where it is missing."""
        kind = self._kind(name)
        if kind == pafs.FileType.File:
            self._fs.delete_file(self._join(name))
        elif kind == pafs.FileType.Directory:
            self._fs.delete_dir(self._join(name))

    def put_folder(self, source: str | Path, name: str) -> None:
        """Copy a local folder with all files in it to `name`; each file is written atomically."""
        root = Path(source)
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            self.write_bytes(f"{name}/{file.relative_to(root).as_posix()}", file.read_bytes())

    def _join(self, name: str) -> str:
        parts = name.split("/")
        if not name or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{name!r} is no name inside a run directory")
        return f"{self._path}/{name}"

    def _kind(self, name: str) -> pafs.FileType:
        return self._fs.get_file_info(self._join(name)).type

    def _put(self, path: str, data: bytes) -> None:
        with self._fs.open_output_stream(path, compression=None) as stream:
            stream.write(data)


def _from_uri(uri: str) -> tuple[pafs.FileSystem, str]:
    try:
        filesystem, path = pafs.FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise BadInput(f"{uri} is no place that pyarrow can write to: {error}") from error
    return filesystem, path


def _write_local(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(_temporary(target.name))
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)  # the rename lasts once the folder is on disk
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _temporary(name: str) -> str:
    return f"{name}.{uuid.uuid4().hex}{_TEMPORARY}"


def default_cache() -> Path:
    """Return ``$SSGAN_CACHE``, or ``ssgan`` in the user's cache folder (XDG). It may not exist."""
    chosen = os.environ.get("SSGAN_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ssgan"
