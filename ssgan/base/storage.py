"""Storage: folders, local or on any pyarrow file system, and files that appear whole.

A location is a local path or a URI. The query of a URI holds the options of its file system
(``s3://bucket/runs?region=eu-west-1``) and stays at its end; use `join` and `split`, not slashes.
Locations are written into records and shown, so keys never stand in them: they come from the
environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``) or from the machine's role.

On an object store a small file is written by one request, and folders are made by nobody.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import pyarrow.fs as pafs

from ssgan.base.errors import BadInput

_TEMPORARY = ".tmp"
_UNFINISHED = re.compile(r".+\.[0-9a-f]{32}\.tmp")  # as `Folder.write_bytes` names them
_OBJECT_STORES = ("s3", "gcs", "abfs")
_PAUSES = (0.1, 0.5)  # seconds before a file is read again

Parsed = TypeVar("Parsed")


class Folder:
    """A folder. Files are named by their path relative to it, with slashes.

    The constructor touches nothing.

    Args:
        location: A local path, or a URI that pyarrow understands: ``s3://bucket/runs/a``,
            ``s3://bucket/runs/a?endpoint_override=http://localhost:9000``.
        filesystem: Use this file system, with `location` as the path inside it.
    """

    def __init__(self, location: str | Path, filesystem: pafs.FileSystem | None = None) -> None:
        if filesystem is None and _is_uri(location):
            filesystem, path = _open(str(location))
        elif filesystem is None:
            filesystem, path = pafs.LocalFileSystem(), os.path.abspath(location)
        else:
            path = str(location)
        self._fs = filesystem
        self._path: str = path.rstrip("/")
        self._local = isinstance(filesystem, pafs.LocalFileSystem)
        self.is_object_store: bool = filesystem.type_name in _OBJECT_STORES
        """Whether each file costs a request over the network, and folders exist by their files."""
        # Workers have other working directories, so a local run is known by its absolute path.
        self.location: str = self._path if self._local else "".join(_parts(location))

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

    def locate(self, name: str) -> str:
        """Return the location of a file or folder in this one."""
        return join(self.location, name)

    def is_free(self, but: Callable[[str], bool] = lambda name: False) -> bool:
        """Whether nothing is at this location, or an empty folder, `but` files of some names."""
        kind = self._fs.get_file_info(self._path).type
        return bool(kind != pafs.FileType.File) and all(map(but, self.list("")))

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

    def times(self, prefix: str, suffix: str, folder: str = "") -> dict[str, float]:
        """Return when some files directly in this folder were written, named by how they are.

        Seconds by the clock of the storage, which is the same for all that ask. Where a `folder`
        in this one is named, they are the files directly in there, without its name.
        """
        path = self._join(folder) if folder else self._path
        selector = pafs.FileSelector(path, allow_not_found=True)
        return {
            entry.base_name: entry.mtime_ns / 1e9
            for entry in self._fs.get_file_info(selector)
            if entry.type == pafs.FileType.File
            if entry.base_name.startswith(prefix) and entry.base_name.endswith(suffix)
        }

    def read_bytes(self, name: str) -> bytes:
        """Read one file whole (`FileNotFoundError` if it is not there)."""
        for pause in _PAUSES if self.is_object_store else ():
            try:
                return self._read(name)
            except FileNotFoundError:
                raise
            except OSError:  # AWS's client does not ask again where a 503 is longer than the file
                time.sleep(pause)
        return self._read(name)

    def find_bytes(self, name: str) -> bytes | None:
        """Read one file whole; None where it is missing."""
        try:
            return self.read_bytes(name)
        except FileNotFoundError:
            return None

    def read_parsed(self, name: str, parse: Callable[[bytes], Parsed]) -> Parsed:
        """Read and parse one file that may be replaced meanwhile (`ValueError` if it is damaged).

        Of an object pyarrow asks for the size first, and then for so many bytes: where it is
        replaced by another one in between, the end is cut off, or is what was in memory before.
        """
        for pause in _PAUSES if self.is_object_store else ():
            try:
                return parse(self.read_bytes(name))
            except ValueError:
                time.sleep(pause)
        return parse(self.read_bytes(name))

    def size(self, name: str) -> int:
        """Return the bytes of one file; 0 where it is missing."""
        return self._fs.get_file_info(self._join(name)).size or 0

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write one file; a reader sees all of it or what was there before.

        Locally the bytes are on the disk when this returns (fsync, then rename).

        Raises:
            OSError: It cannot be written; nothing half-written stays behind.
        """
        target = self._join(name)
        writer = uuid.uuid4().hex
        if self._local:
            with replacing(Path(target), writer) as file:
                file.write_bytes(data)
            return
        if self.is_object_store:
            # An object appears whole when its upload ends, and a rename there is a copy.
            self._put(target, data)
            return
        self._fs.create_dir(target.rsplit("/", 1)[0], recursive=True)
        temporary = f"{target}.{writer}{_TEMPORARY}"
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

        The file is this call's own: other processes may try the same folder at the same time. A
        local one has no name, so that no kill leaves it behind.

        Raises:
            OSError: It does not.
        """
        if self._local:
            os.makedirs(self._path, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._path):
                return
        probe = f".ssgan-write-test-{uuid.uuid4().hex}"
        self.write_bytes(probe, b"")
        self.delete(probe)

    def delete(self, name: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing where it is missing."""
        if self.is_object_store:
            try:
                self._fs.delete_file(self._join(name))
            except FileNotFoundError:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.delete_dir(self._join(name))
            return
        kind = self._kind(name)
        with contextlib.suppress(FileNotFoundError):  # somebody else is deleting it, too
            if kind == pafs.FileType.File:
                self._fs.delete_file(self._join(name))
            elif kind == pafs.FileType.Directory:
                self._fs.delete_dir(self._join(name))

    def remove_unfinished(self, but: Callable[[str], bool] = lambda name: False) -> None:
        """Delete what writers left that were killed, `but` files of some names.

        Nobody else may be writing in this folder.
        """
        if self.is_object_store:  # where an object appears whole or never
            return
        selector = pafs.FileSelector(self._path, recursive=True, allow_not_found=True)
        for entry in self._fs.get_file_info(selector):
            is_file, name = entry.type == pafs.FileType.File, entry.base_name
            if is_file and _UNFINISHED.fullmatch(name) and not but(name):
                with contextlib.suppress(FileNotFoundError):
                    self._fs.delete_file(entry.path)

    @contextlib.contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        """Give a local path to a folder in this one, to be read only.

        Where this folder is local that is the folder itself, elsewhere a copy that is deleted when
        the context ends; empty if there is none.
        """
        if self._local:
            yield Path(self._join(name))
            return
        with tempfile.TemporaryDirectory() as scratch:
            for file in self.list(name):
                target = Path(scratch) / Path(file).relative_to(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.read_bytes(file))
            yield Path(scratch)

    def _join(self, name: str) -> str:
        parts = name.split("/")
        if not name or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{name!r} is not a name inside a folder")
        return f"{self._path}/{name}"

    def _kind(self, name: str) -> pafs.FileType:
        return self._fs.get_file_info(self._join(name)).type

    def _read(self, name: str) -> bytes:
        with self._fs.open_input_stream(self._join(name), compression=None) as stream:
            return bytes(stream.readall())

    def _put(self, path: str, data: bytes) -> None:
        with self._fs.open_output_stream(path, compression=None) as stream:
            stream.write(data)


def join(location: str | Path, name: str) -> str:
    """Return the location of a file or folder inside another, by its path with slashes.

    In a URI the path is percent-encoded, and the query stays at the end.
    """
    if not _is_uri(location):
        return str(Path(location) / name)
    path, query = _parts(location)
    plain = "/!$&'()*+,;=:@~"  # what the path of a URI takes unquoted, with letters and digits
    return f"{path}/{quote(name, safe=plain)}{query}"


def split(location: str | Path) -> tuple[str, str]:
    """Return the location of the folder that something is in, and its name there.

    The inverse of `join`. What has no parent folder (``/``, ``s3://bucket``) has no name either.
    """
    if not _is_uri(location):
        return str(Path(location).parent), Path(location).name
    path, query = _parts(location)
    parent, _, name = path.rpartition("/")
    if parent.endswith("/"):
        return f"{path}{query}", ""
    return f"{parent}{query}", unquote(name)


@contextlib.contextmanager
def replacing(target: Path, writer: str = "") -> Iterator[Path]:
    """Write a local file or folder that appears whole: give a path next to it to write to instead.

    When the context ends, what was written there is flushed to the disk and takes the place of
    `target`. If it raises, `target` is as before and nothing is left behind. Those who write the
    same target at the same time need different names as `writer`. By default only one may write
    (hold a lock), and what a killed one left is removed.
    """
    mark = f".{writer}" if writer else ""
    temporary = target.with_name(f"{target.name}{mark}{_TEMPORARY}")
    old = target.with_name(f"{target.name}{mark}.old{_TEMPORARY}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if old.exists() and not target.exists():  # killed between the two renames below
        old.rename(target)
    _remove(old)
    _remove(temporary)
    try:
        yield temporary
        for path in (*temporary.rglob("*"), temporary):
            _sync(path)
        if temporary.is_dir() and target.is_dir():  # a folder takes no other's place at once
            _remove(old)
            target.rename(old)
        temporary.replace(target)
        _remove(old)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        _remove(temporary)
        raise
    _sync(target.parent)  # the rename lasts once the folder is on disk


def with_fast_writes(location: str) -> str:
    """Return a location where pyarrow writes a small object by one request instead of three."""
    if not location.startswith("s3://") or "allow_delayed_open=" in location:
        return location
    return f"{location}{'&' if '?' in location else '?'}allow_delayed_open=true"


def _open(uri: str) -> tuple[pafs.FileSystem, str]:
    """Open the file system of a URI; return it and the path in there."""
    try:
        has_secret = urlsplit(uri).password is not None
    except ValueError:
        has_secret = False  # pyarrow says what is wrong
    if has_secret:
        raise BadInput(
            "a location with keys (SCHEME://KEY:SECRET@...) would write them into every record; "
            "leave them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    try:
        filesystem, path = pafs.FileSystem.from_uri(with_fast_writes(uri))
    except (ValueError, OSError) as error:
        raise BadInput(f"{uri} is not a place that pyarrow can write to: {error}") from error
    return filesystem, str(path)


def _is_uri(location: str | Path) -> bool:
    return "://" in str(location)


def _parts(location: str | Path) -> tuple[str, str]:
    """Part a location into its path, without a slash at its end, and a URI's query with its "?"."""
    if not _is_uri(location):
        return str(location).rstrip("/"), ""
    path, mark, query = str(location).partition("?")
    return path.rstrip("/"), mark + query


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def default_cache() -> Path:
    """Return ``$SSGAN_CACHE``, or ``ssgan`` in the user's cache folder (XDG). It may not exist."""
    chosen = os.environ.get("SSGAN_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ssgan"
