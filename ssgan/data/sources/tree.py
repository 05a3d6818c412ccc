"""The files below a path: of a folder, of an archive, or of a folder of archives."""

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ssgan.data.sources.archives import Archive, is_archive, is_hidden

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
"""Endings of the files that are taken for pictures."""


class Tree:
    """Files below a root, hidden ones aside. Those in archives have paths that go on in there.

    The root is a folder, an archive, or a folder in an archive (``photos.zip/photos``). Archives in
    a folder count where it has no picture of its own; the picture ``cat/1.png`` in one of them is
    ``shards/0.tar/cat/1.png`` then.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        inside = divide(root)
        self.archives: tuple[Path, ...] = ()
        """The archives that hold the files; empty for a plain folder."""
        self._files: list[str] = []
        if inside is not None:
            self.archives = inside[:1] if is_archive(inside[0]) else ()
            return
        self._files = list_files(root)
        if not any(name.lower().endswith(SUFFIXES) for name in self._files):
            paths = (root / name for name in sorted(self._files) if is_archive(name))
            self.archives = tuple(path for path in paths if path.is_file())

    @property
    def origin(self) -> str:
        """What the files come from, in a few words."""
        if not self.archives:
            return f"folder {self.root.resolve().name}"
        if len(self.archives) == 1:
            return f"archive {self.archives[0].name}"
        return f"{len(self.archives):,} archives in {self.root.resolve().name}"

    @cached_property
    def names(self) -> Sequence[str]:
        """All files, relative to the root, with forward slashes.

        Raises:
            BadInput: An archive cannot be read in place.
            CorruptFile: It is damaged.
        """
        if not self.archives:
            return self._files
        names = [name for name in self._files if self.root / name not in self._opened]
        for path, archive in self._opened.items():
            if self.root == path:
                names += archive.members
            elif path in self.root.parents:
                inner = f"{self.root.relative_to(path).as_posix()}/"
                names += [name[len(inner) :] for name in archive.members if name.startswith(inner)]
            else:
                outer = path.relative_to(self.root).as_posix()
                names += [f"{outer}/{name}" for name in archive.members]
        return names

    def is_file(self, path: Path) -> bool:
        """Whether a path is a regular file, here or elsewhere, also in an archive."""
        found = self._find(path)
        return path.is_file() if found is None else found[1] in found[0].members

    def read(self, path: Path) -> bytes:
        """Read a file, here or elsewhere, also in an archive; threads may do so at once.

        Raises:
            FileNotFoundError: It is not there, or is not a regular file.
            OSError: It cannot be read.
        """
        found = self._find(path)
        return read_regular(path) if found is None else found[0].read(found[1])

    def open(self, path: Path) -> BinaryIO:
        """Open a file; of a member of an archive the whole content is read. Raises as `read`."""
        if (found := self._find(path)) is not None:
            return BytesIO(found[0].read(found[1]))
        _check_regular(path)
        return path.open("rb")

    def glob(self, pattern: str) -> list[Path]:
        """Return the files below the root that a pattern matches, as `Path.glob` does."""
        if not self.archives:
            return sorted(self.root.glob(pattern))
        parts = Path(pattern).parts
        return [self.root / name for name in sorted(self.names) if _fits(name.split("/"), parts)]

    @cached_property
    def _opened(self) -> dict[Path, Archive]:
        return {path: Archive.open(path) for path in self.archives}

    def _find(self, path: Path) -> tuple[Archive, str] | None:
        """Return the archive that a path goes on in, and the name there."""
        if self.archives:
            for parent in path.parents:
                if parent in self._opened:
                    return self._opened[parent], path.relative_to(parent).as_posix()
        if path.exists() or (inside := divide(path)) is None or not is_archive(inside[0]):
            return None
        return Archive.open(inside[0]), inside[1]


def list_files(root: Path) -> list[str]:
    """List all files of a folder and its sub-folders, hidden ones aside."""
    names: list[str] = []
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not is_hidden(f"{name}/x"))
        names.extend(
            (Path(folder) / name).relative_to(root).as_posix()
            for name in files
            if not is_hidden(name)
        )
    return names


def divide(path: Path) -> tuple[Path, str] | None:
    """Divide a path that ends at a file, or goes on behind it: the file, and what is behind."""
    for parent in (path, *path.parents):
        if parent.is_file():
            inner = path.relative_to(parent).as_posix()
            return parent, "" if inner == "." else inner
    return None


def read_regular(path: Path) -> bytes:
    """Read a file; to open a named pipe would wait for ever."""
    _check_regular(path)
    return path.read_bytes()


def _check_regular(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a regular file")


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
