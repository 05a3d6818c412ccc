"""Where a run or a search goes: its name in the folder of runs, when that is taken, what to do."""

import itertools
import logging
import re
from pathlib import Path

from ssgan.base import storage
from ssgan.base.errors import BadInput
from ssgan.base.lease import is_claimed
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir

Kind = type[RunDir] | type[SearchDir]

_LONGEST_NAME = 120  # bytes: file systems take 255, and files are named after runs

_log = logging.getLogger(__name__)


def settle_name(
    out: str, name: str | None, usual: str, *, kind: Kind = RunDir, replace: bool = False
) -> str:
    """Return the name of a new run or search in `out`, which is free then.

    It is the user's name, by default the usual one, or the first free one with a number. With
    `replace`, what has the name is to be moved aside (`move_aside`).

    What another process is about to write is not free; where the user names it, it is for the
    lease on it to say so (`ssgan.records.searchdir.hold_record`).

    Raises:
        BadInput: The user's name cannot be one, or is taken, or cannot be moved aside.
    """
    if replace:
        _local_path(join(out, name or usual))
        return name or usual
    if name is not None:
        taken = kind(join(out, name))
        if not taken.is_free() and not is_claimed(taken):
            raise BadInput(
                f"{taken.location} is taken; choose another --name, resume that {kind.what} by "
                f"--resume {_resumed_by(out, name, kind)}, or move it aside with --replace"
            )
        return name
    numbered = (f"{usual}-{number}" for number in itertools.count(2))
    candidates = itertools.chain([usual], numbered)
    places = ((candidate, kind(join(out, candidate))) for candidate in candidates)
    free = next(one for one, place in places if place.is_free() and not is_claimed(place))
    if free != usual:
        _log.info(
            "%s is taken, so this %s goes to %s (to resume a %s: --resume %s)",
            *(join(out, usual), kind.what, join(out, free)),
            *(kind.what, _resumed_by(out, usual, kind)),
        )
    return free


def check_writable(out: str) -> None:
    """Find out, before any work starts, whether runs can be written to a folder.

    Raises:
        BadInput: They cannot; the message says why.
    """
    folder = storage.Folder(out)
    try:
        folder.try_writing()
    except OSError as error:
        raise BadInput(
            f"cannot write to {folder.location}: {error}; choose a writable folder with --out"
        ) from error


def join(out: str, name: str) -> str:
    """Return the location of a run.

    Raises:
        BadInput: That cannot be a name.
    """
    if not re.fullmatch(r"[\w.][\w.+ -]*", name) or set(name) == {"."}:
        raise BadInput(
            f"{name!r} cannot name a run; use letters, digits, dots, hyphens and underscores"
        )
    if len(name.encode()) > _LONGEST_NAME:
        raise BadInput(
            f"the name {name[:20]}... is too long, {len(name.encode())} bytes; a run's has up to "
            f"{_LONGEST_NAME} (--name)"
        )
    return storage.join(out, name)


def move_aside(location: str) -> Path | None:
    """Rename what is there to the first free NAME.1, NAME.2 ...; delete nothing.

    Returns where it went; None if nothing was there.

    Raises:
        BadInput: It cannot be renamed.
    """
    place = _local_path(location)
    if RunDir(location).is_free():
        return None
    numbered = (place.with_name(f"{place.name}.{number}") for number in itertools.count(1))
    target = next(path for path in numbered if not path.exists())
    try:
        place.rename(target)
    except OSError as error:
        raise BadInput(
            f"cannot move {place} aside to {target}: {error.strerror}; choose another name"
        ) from error
    _log.info("moved %s aside to %s", place, target)
    return target


def _local_path(location: str) -> Path:
    place = RunDir(location).local_path
    if place is None:
        raise BadInput(f"--replace works on this machine only, not on {location}; use --name")
    return place


def _resumed_by(out: str, name: str, kind: Kind) -> str:
    """Return what the verb's ``--resume`` takes: a run's directory, a search's name."""
    return name if kind is SearchDir else join(out, name)
