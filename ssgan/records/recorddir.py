"""A directory that records something: made once, found again, closed by a summary.

Run directories and search directories are records; what else they hold is their own.
"""

import errno
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import pyarrow.fs as pafs
from pydantic import ValidationError

from ssgan.base.config import Config, in_a_line
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.json_text import read_json
from ssgan.base.lease import is_lease
from ssgan.base.storage import Folder
from ssgan.base.yaml_text import read_yaml

_SUMMARY = "summary.json"


class Identity(Config):
    """Who a record is, fixed when its directory is made."""

    name: str
    created: str
    """When the directory was made, ISO 8601 in UTC."""


Info = TypeVar("Info", bound=Identity)
Definition = TypeVar("Definition", bound=Config)


class RecordDir(Folder, Generic[Info]):
    """A directory that `create` makes and `open` finds."""

    what: ClassVar[str]
    """What it records, in a word."""
    written_by: ClassVar[str]
    """The program that writes it."""
    identity_file: ClassVar[str]
    """File of its identity, whose presence says what the directory is."""
    definition_file: ClassVar[str]
    """File of what it was started with."""
    _info: ClassVar[type[Any]]
    _id: ClassVar[str]  # field of the identity that holds its UUID

    is_held = False
    """Whether this process holds the lease, so that the directory is there while it writes."""

    @classmethod
    def create(
        cls,
        location: str | Path,
        definition: str,
        name: str | None = None,
        filesystem: pafs.FileSystem | None = None,
    ) -> Self:
        """Make a new directory for what is started: its resolved `definition` as YAML.

        Its name is the last part of `location` when not given.

        Raises:
            BadInput: Something is there already, or it cannot be written.
        """
        made = cls(location, filesystem)
        made.refuse_taken(definition)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        info = {cls._id: uuid.uuid4().hex, "name": name or made.base_name, "created": created}
        try:
            made.write_definition(definition)
            made.write_json(cls.identity_file, info)
        except OSError as error:
            raise BadInput(
                f"cannot write the {cls.what} directory {made.location}: {error}; "
                "choose a writable folder with --out"
            ) from error
        return made

    @classmethod
    def open(cls, location: str | Path, filesystem: pafs.FileSystem | None = None) -> Self:
        """Open an existing directory.

        Raises:
            BadInput: There is none at `location`.
            CorruptFile: Its identity cannot be read.
        """
        found = cls(location, filesystem)
        if not found.exists(cls.identity_file):
            raise BadInput(
                f"{found.location} is not a {cls.what} directory (it has no {cls.identity_file}); "
                f"give the folder that {cls.written_by} wrote, DIR/NAME"
            )
        _ = found.info
        return found

    def is_free(self, but: Callable[[str], bool] = is_lease) -> bool:
        """Whether nothing is at this location, or an empty folder; leases do not count."""
        return super().is_free(but)

    def refuse_taken(self, definition: str) -> None:
        """Raise `BadInput` if such a record or anything else is here already.

        What `create` had begun with the same definition, when it was killed, does not count.
        """

        def is_begun(name: str) -> bool:
            is_same = name == self.definition_file and self.find_bytes(name) == definition.encode()
            return is_lease(name) or is_same

        if self.exists(self.identity_file):
            raise BadInput(
                f"a {self.what} is already at {self.location}; resume it with --resume "
                f"{self.resumed_by}, or start another with --name"
            )
        if not self.is_free(but=is_begun):
            raise BadInput(
                f"{self.location} is taken, but not by a {self.what}; choose another --name or "
                "--out"
            )

    @property
    def resumed_by(self) -> str:
        """What ``--resume`` takes."""
        return self.location

    @cached_property
    def info(self) -> Info:
        """Its identity."""
        try:
            info: Info = self._info.model_validate(self.read_json(self.identity_file))
        except ValidationError as error:
            raise self._damaged(self.identity_file, in_a_line(error)) from error
        return info

    def definition(self) -> str:
        """Return what it was started with, YAML.

        Raises:
            CorruptFile: The file is missing, or is not text.
        """
        try:
            return self.read_bytes(self.definition_file).decode()
        except FileNotFoundError as error:
            raise self._damaged(self.definition_file, "it is missing") from error
        except UnicodeDecodeError as error:
            raise self._damaged(self.definition_file, str(error)) from error

    def read_definition(self, kind: type[Definition]) -> Definition:
        """Read what it was started with.

        Raises:
            CorruptFile: The file is missing, or holds something else.
        """
        text = self.definition()
        try:
            return kind.from_yaml(text)
        except BadInput as error:
            raise self._damaged(self.definition_file, str(error)) from error

    def definition_tree(self) -> dict[str, Any]:
        """Read what it was started with as plain data, whatever version wrote it.

        Raises:
            CorruptFile: The file is missing, or holds something else.
        """
        text = self.definition()
        try:
            tree = read_yaml(text, self.definition_file)
        except BadInput as error:
            raise self._damaged(self.definition_file, str(error)) from error
        if not isinstance(tree, dict):
            raise self._damaged(self.definition_file, "it holds no fields")
        return tree

    def read_json(self, name: str) -> Any:
        """Read one JSON file (`FileNotFoundError` if it is missing).

        Raises:
            CorruptFile: It is not JSON.
        """
        try:
            return self.read_parsed(name, read_json)
        except ValueError as error:
            raise self._damaged(name, str(error)) from error

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write one file as `Folder.write_bytes` does.

        Raises:
            OSError: It cannot be written, or the directory was moved or removed: it is not made
                again, to hold one half of what there is.
        """
        place = self.local_path
        if self.is_held and place is not None and not place.exists():
            told = f"the {self.what} was moved or removed while it was written"
            raise FileNotFoundError(errno.ENOENT, told, str(place))
        super().write_bytes(name, data)

    def write_definition(self, definition: str) -> None:
        """Replace what it was started with."""
        self.write_bytes(self.definition_file, definition.encode())

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json. JSON has no NaN or infinity: pass None instead."""
        self.write_json(_SUMMARY, dict(summary))

    def summary(self) -> dict[str, Any] | None:
        """Return summary.json, or None before it has come to its end."""
        try:
            summary = self.read_json(_SUMMARY)
        except FileNotFoundError:
            return None
        except CorruptFile:
            summary = None
        if not isinstance(summary, dict):
            raise CorruptFile(
                f"{self.locate(_SUMMARY)} is not a summary; delete it, and resume the {self.what} "
                f"with --resume {self.resumed_by}, which writes it again"
            )
        return summary

    def _damaged(self, name: str, problem: str) -> CorruptFile:
        return CorruptFile(
            f"{self.locate(name)} cannot be read: {problem}; restore it from a copy, or start "
            f"another {self.what} with --name"
        )
