"""A training of C that is not over: its state in one file, so that a crash does not cost hours.

The file is ``torch.save``'s, read with ``weights_only=True``, behind a hash of the judge's identity
and these bytes, so that one comparison finds a corrupt file and one of another judge. It appears
whole or not at all.
"""

import hashlib
import io
import logging
import time
from pathlib import Path
from typing import NamedTuple

import torch

from ssgan.base.errors import CorruptFile
from ssgan.base.storage import Folder
from ssgan.evaluation.fit import FitState

EVERY = 60.0
"""Seconds between two writes, at least. A training that is shorter writes nothing."""

_FORMAT = "ssgan-partial-judge-1"
_HASH = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


class _Kept(NamedTuple):
    state: FitState
    seconds: float


class PartialFit:
    """The file of one training; only who holds the judge's lock may use it.

    Args:
        file: Where it is, or will be. Its folder exists.
        identity: Of the judge that is trained.

    Attributes:
        state: Where training resumes; None if it starts. A file that cannot be used is warned of
            and deleted.
    """

    def __init__(self, file: Path, identity: str) -> None:
        self._file = file
        self._identity = identity
        kept = self._find()
        self.state = None if kept is None else kept.state
        self._before = 0.0 if kept is None else kept.seconds
        self._started = self._written = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time that the training took so far, with that of the attempts before this one.

        What an attempt did after its last write is lost and not counted.
        """
        return self._before + time.monotonic() - self._started

    def keep(self, state: FitState) -> None:
        """Write the state, unless the last write was less than `EVERY` seconds ago.

        A full disk is warned of: the training itself continues.
        """
        if time.monotonic() - self._written < EVERY:
            return
        buffer = io.BytesIO()
        torch.save(_Kept(state, self.seconds)._asdict(), buffer)
        data = buffer.getvalue()
        try:
            Folder(self._file.parent).write_bytes(self._file.name, self._hash(data) + data)
        except OSError as error:
            _log.warning("the training of the judge C continues, but is not kept: %s", error)
        self._written = time.monotonic()

    def delete(self) -> None:
        """Delete the file, and what a crash left of one that was being written."""
        for file in self._file.parent.glob(f"{self._file.name}*"):
            file.unlink()

    def _find(self) -> _Kept | None:
        if not self._file.exists():
            return None
        try:
            kept = self._read()
        except CorruptFile as error:
            _log.warning("%s; training the judge C from its start", error)
            self.delete()
            return None
        _log.info("resuming the training of the judge C after epoch %d", kept.state["epochs"])
        return kept

    def _read(self) -> _Kept:
        try:
            content = self._file.read_bytes()
        except OSError as error:
            raise CorruptFile(f"{self._file} cannot be read: {error}") from error
        data = content[_HASH:]
        if content[:_HASH] != self._hash(data):
            raise CorruptFile(f"{self._file} is corrupt, or of another judge")
        return _Kept(**torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))

    def _hash(self, data: bytes) -> bytes:
        return hashlib.sha256(f"{_FORMAT}/{self._identity}/".encode() + data).digest()
