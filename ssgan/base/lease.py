"""Lease: one process at a time writes a folder, wherever the folder lives.

Who writes holds a lease: a file ``lease-ID.json`` in the folder, which a thread writes again every
20 seconds. The lease of a holder that crashed runs out after 2 minutes; on the machine that it ran
on it is seen at once that its process is gone. Ages are told by the clock of the storage alone.

No storage is asked for more than to list what was written before: who wants the lease writes a
claim, and then looks for others. Two that come at once see each other, or the later one sees the
earlier, and it is for the smaller id to wait for what becomes of the other's claim.
"""

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ssgan.base.config import Config
from ssgan.base.errors import BadInput, LeaseLost
from ssgan.base.json_text import read_json
from ssgan.base.storage import Folder

BEAT = 20.0
"""Seconds between two writes of a lease, which on an object store are two requests."""
RUNS_OUT = 120.0
"""Seconds after the last write until nobody holds it any more."""
_PATIENCE = 0.5  # seconds between two looks at the claim of another
_PREFIX, _SUFFIX = "lease-", ".json"
_SLACK = 5.0  # seconds by which two readings of one process's start may differ

_log = logging.getLogger(__name__)


def is_lease(name: str) -> bool:
    """Whether a file of a folder is a lease on it, by its name."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX) and "/" not in name


def is_part_of_lease(name: str) -> bool:
    """Whether a file of a folder is a lease on it, or is to become one, by its name."""
    return name.startswith(_PREFIX)


class _Holder(Config):
    """Who holds or claims a lease."""

    host: str
    process: int
    machine: str
    """What two processes that see each other's numbers have in common."""
    started: float
    """When the process started, seconds since 1970 UTC."""
    since: str
    """When it came for the lease, ISO 8601 in UTC."""
    folder: str
    """The folder itself, whatever it is called: a copy of it is another one."""
    state: Literal["claims", "holds"]

    def is_gone(self, folder: Folder) -> bool:
        """Whether it is known, because it ran on this machine, that nobody holds the lease."""
        if self.machine != _machine():
            return False
        return self.folder != _identify(folder) or not _runs(self.process, self.started)

    def __str__(self) -> str:
        return f"process {self.process} on host {self.host} (since {self.since})"


class Lease:
    """The right to write a folder, held by this process; `hold` gets one."""

    def __init__(self, folder: Folder, what: str, name: str | None = None) -> None:
        self._folder, self._what, self._name = folder, what, name
        self._own = f"{_PREFIX}{uuid.uuid4().hex}{_SUFFIX}"
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._past: set[str] = set()  # leases that had run out when this one was claimed
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self.on_loss: Callable[[], object] = lambda: None
        """Called once if the lease is lost."""

    @property
    def is_lost(self) -> bool:
        """Whether another process holds it now, because this one stood still for too long.

        Or whether the folder was moved or removed.
        """
        return self._lost.is_set() or self._is_away()

    def check(self) -> None:
        """Raise `LeaseLost` if another process holds it now, or the folder is away."""
        if self._is_away():
            raise LeaseLost(
                f"the {self._what} {self._folder.location} was moved or removed while it was "
                "written; nothing more was written, and it can be resumed where it is now"
            )
        if self._lost.is_set():
            raise LeaseLost(
                f"this process stood still, and another one writes {self._folder.location} now; "
                "nothing more was written"
            )

    def claim(self) -> None:
        """Get the lease and keep it until `release`.

        Raises:
            BadInput: Another process holds it; the message names it.
            OSError: The folder cannot be written.
        """
        if (place := self._folder.local_path) is not None:
            place.mkdir(parents=True, exist_ok=True)
        try:
            self._write("claims")
            while (other := self._find_other()) is not None:
                name, holder = other
                if holder is None or holder.state == "holds" or name < self._own:
                    raise BadInput(self._refusal(holder))
                time.sleep(_PATIENCE)
                self._write("claims")
            self._write("holds")
        except BaseException:
            with contextlib.suppress(OSError):
                self._folder.delete(self._own)
            raise
        self._thread.start()

    def release(self) -> None:
        """Let others have it."""
        self._over.set()
        self._thread.join()
        try:
            self._folder.delete(self._own)
        except OSError as error:
            _log.warning(
                "the lease on %s stays until it runs out: %s", self._folder.location, error
            )

    def move(self, rename: Callable[[], Path | None]) -> bool:
        """Move the folder, and the lease in it, by a function that returns where it went.

        Returns whether it was moved. It was not where the function returns None.
        """
        with self._lock:
            moved = rename()
            if moved is not None:
                self._folder = Folder(moved)
            return moved is not None

    def _is_away(self) -> bool:
        place = self._folder.local_path
        with contextlib.suppress(OSError):  # nobody knows
            return place is not None and not place.exists()
        return False

    def _write(self, state: Literal["claims", "holds"]) -> None:
        holder = _Holder(
            host=socket.gethostname(),
            process=os.getpid(),
            machine=_machine(),
            started=_started(),
            since=self._since,
            folder=_identify(self._folder),
            state=state,
        )
        self._folder.write_json(self._own, holder.model_dump(mode="json"))

    def _find_other(self) -> tuple[str, _Holder | None] | None:
        """Find another process's lease or claim; delete those that have run out."""
        times = self._folder.times(_PREFIX, "")
        now = times.pop(self._own, None)
        for name, written in times.items():
            is_old = now is not None and now - written > RUNS_OUT
            if not is_lease(name):  # it is being written, or its writer was killed
                if is_old:
                    self._folder.delete(name)
                continue
            holder = _read_holder(self._folder, name)
            if is_old or (holder is not None and holder.is_gone(self._folder)):
                self._past.add(name)
                self._folder.delete(name)
            elif holder is not None or self._folder.exists(name):
                return name, holder
        return None

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with self._lock, contextlib.suppress(OSError):  # of which training will say more
                if self._is_away():
                    self.on_loss()
                    return
                if (other := self._find_heir()) is None:
                    self._write("holds")
                    continue
                self._lost.set()
                _log.error("%s is written by %s now", self._folder.location, other)
                self.on_loss()
                return

    def _find_heir(self) -> _Holder | None:
        """Find who took the lease over while this process stood still."""
        for name in self._folder.times(_PREFIX, _SUFFIX).keys() - {self._own}:
            if name in self._past:  # its holder stood still, and will notice
                self._folder.delete(name)
                continue
            holder = _read_holder(self._folder, name)
            if holder is not None and holder.state == "holds":
                return holder
        return None

    def _refusal(self, holder: _Holder | None) -> str:
        return (
            f"the {self._what} {self._name or self._folder.location} is being written by "
            f"{holder or 'another process'}; wait for its end, or stop it. If it crashed on "
            f"another host, its lease runs out after {RUNS_OUT:.0f} seconds"
        )


@contextlib.contextmanager
def hold(folder: Folder, what: str = "folder", name: str | None = None) -> Iterator[Lease]:
    """Be the only process that writes a folder, until the context ends.

    The folder is made where it is missing, and is gone again if nothing else was written.

    Raises:
        BadInput: Another process writes it, on whatever host; the message says `what` it is, and
            by which `name` the user knows it, if not by its location.
        OSError: The folder cannot be written.
    """
    place = folder.local_path
    is_new = place is not None and not place.exists()
    lease = Lease(folder, what, name)
    try:
        lease.claim()
        try:
            yield lease
        finally:
            lease.release()
    finally:
        if is_new and place is not None:
            with contextlib.suppress(OSError):  # it is not empty
                place.rmdir()


def is_claimed(folder: Folder) -> bool:
    """Whether a process holds or claims a lease on a folder, or has crashed with one."""
    try:
        return bool(folder.times(_PREFIX, _SUFFIX))
    except NotADirectoryError:
        return False


def is_held(folder: Folder) -> bool:
    """Whether a process holds the lease on a folder, as far as reading alone tells.

    One that has crashed counts until it would run out, unless it ran on this machine. Its age is
    told by this machine's clock, since nothing is written to ask the storage for its own.
    """
    for name, written in folder.times(_PREFIX, _SUFFIX).items():
        holder = None if time.time() - written > RUNS_OUT else _read_holder(folder, name)
        if holder is not None and holder.state == "holds" and not holder.is_gone(folder):
            return True
    return False


def _read_holder(folder: Folder, name: str) -> _Holder | None:
    """Read a lease; None where it is no longer there, or another version's."""
    try:
        return _Holder.model_validate(folder.read_parsed(name, read_json))
    except (FileNotFoundError, ValueError):
        return None


def _machine() -> str:
    """Name the machine, since it was switched on, and the processes on it that see each other."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _identify(folder: Folder) -> str:
    if (place := folder.local_path) is None:
        return folder.location.partition("?")[0]
    found = place.stat()
    return f"{found.st_dev}:{found.st_ino}"


def _started() -> float:
    import psutil  # an export does without

    return float(psutil.Process().create_time())


def _runs(process: int, started: float) -> bool:
    """Whether a process of this machine is alive, and not another one of the same number."""
    import psutil

    if not psutil.pid_exists(process):
        return False
    try:
        found = psutil.Process(process)
        is_dead = found.status() == psutil.STATUS_ZOMBIE
        return not is_dead and abs(found.create_time() - started) <= _SLACK
    except psutil.Error:  # it is another user's
        return True
