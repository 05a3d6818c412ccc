"""Where the runs of a round are: a folder of this machine, or a prefix of a bucket.

Paths are relative to the round's own folder or prefix, as ``runs/run``.
"""

import contextlib
import hashlib
import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from ssgan.base.json_text import read_json
from ssgan.base.lease import is_part_of_lease
from ssgan.base.storage import Folder
from tests.helpers.buckets import Bucket


class Place(ABC):
    """A place that runs can be moved in, and looked at from outside."""

    poll: float
    """Seconds between two looks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        """Working directory of the programs."""
        root.mkdir(parents=True)

    @abstractmethod
    def locate(self, path: str) -> str:
        """Return the location that programs are given."""

    @abstractmethod
    def files(self, path: str) -> dict[str, str]:
        """Return the digests of all files below a path, by their names from there on."""

    @abstractmethod
    def count_writes(self, path: str) -> int:
        """Count what was written so far below a path, leases left out."""

    @abstractmethod
    def copy(self, old: str, new: str) -> None:
        """Copy all that is below a path, as ``cp -r``."""

    @abstractmethod
    def move(self, old: str, new: str) -> None:
        """Move all that is below a path, as ``mv``."""

    @abstractmethod
    def leftovers(self, path: str) -> list[str]:
        """Return what no file's name tells: empty folders, and files that storage hides."""

    def exists(self, path: str) -> bool:
        """Whether there is a file at a path."""
        folder, _, name = path.rpartition("/")
        return Folder(self.locate(folder)).exists(name)

    def holders(self, path: str) -> set[int]:
        """Return the numbers of the processes that hold a lease on a directory."""
        folder = Folder(self.locate(path))
        found: set[int] = set()
        for name in folder.times("lease-", ".json"):
            holder: dict[str, Any] = {}
            with contextlib.suppress(FileNotFoundError):
                holder = folder.read_parsed(name, read_json)
            if holder.get("state") == "holds":
                found.add(int(holder["process"]))
        return found


class FolderPlace(Place):
    """A folder."""

    poll = 0.01

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._seen: dict[str, set[str]] = {}

    def locate(self, path: str) -> str:
        return str(self.root / path)

    def files(self, path: str) -> dict[str, str]:
        place = self.root / path
        return {
            file.relative_to(place).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(place.rglob("*"))
            if file.is_file()
        }

    def count_writes(self, path: str) -> int:
        # Every look sees what is there at the time; what was replaced between two is not counted.
        seen = self._seen.setdefault(path, set())
        for folder, _, names in os.walk(self.root / path):
            seen.update(f"{folder}/{name}" for name in names if not is_part_of_lease(name))
        return len(seen)

    def copy(self, old: str, new: str) -> None:
        shutil.copytree(self.root / old, self.root / new)

    def move(self, old: str, new: str) -> None:
        (self.root / new).parent.mkdir(parents=True, exist_ok=True)
        (self.root / old).rename(self.root / new)

    def leftovers(self, path: str) -> list[str]:
        place = self.root / path
        empty = [file for file in place.rglob("*") if file.is_dir() and not any(file.iterdir())]
        return [f"{file.relative_to(place)}/" for file in empty]


class BucketPlace(Place):
    """A prefix of a bucket."""

    poll = 0.05

    def __init__(self, root: Path, bucket: Bucket) -> None:
        super().__init__(root)
        self.bucket = bucket
        self._prefix = root.name

    def locate(self, path: str) -> str:
        return self.bucket.locate(f"{self._prefix}/{path}")

    def files(self, path: str) -> dict[str, str]:
        return {key.removeprefix(f"{self._key(path)}/"): tag for key, tag in self._list(path)}

    def count_writes(self, path: str) -> int:
        start = f"/{self.bucket.name}/{self._key(path)}/"
        asked = list(self.bucket.requests)
        puts = (one.path for one in asked if one.method == "PUT" and one.path.startswith(start))
        return sum(not is_part_of_lease(name.removeprefix(start)) for name in puts)

    def copy(self, old: str, new: str) -> None:
        for key, _ in self._list(old):
            target = f"{self._key(new)}{key.removeprefix(self._key(old))}"
            source = {"Bucket": self.bucket.name, "Key": key}
            self.bucket.client.copy_object(Bucket=self.bucket.name, Key=target, CopySource=source)

    def move(self, old: str, new: str) -> None:
        self.copy(old, new)
        for key, _ in self._list(old):
            self.bucket.client.delete_object(Bucket=self.bucket.name, Key=key)

    def leftovers(self, path: str) -> list[str]:
        found = self.bucket.client.list_multipart_uploads(Bucket=self.bucket.name)
        return [f"the upload of {one['Key']}" for one in found.get("Uploads", ())]

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}"

    def _list(self, path: str) -> list[tuple[str, str]]:
        """List keys of files, without the marks of folders, and their digests."""
        pages = self.bucket.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket.name, Prefix=f"{self._key(path)}/"
        )
        found = [one for page in pages for one in page.get("Contents", ())]
        return [(one["Key"], one["ETag"]) for one in found if not one["Key"].endswith("/")]
