"""Checkpoints of a run: save, verify, load, prune, and where to resume.

A checkpoint is a folder ``checkpoints/<step>/`` of a run directory, and its location is its
address. Its files come first; the manifest with their hashes comes last and is the commit mark, so
a folder without one is what a crash left and counts for nothing. A committed checkpoint is never
rewritten, because others may point at it: a step that is saved again with other content (a resume
with another number of workers) goes to ``<step>-1``, ``<step>-2`` and so on. Folders of other names
are somebody else's: they do not count, and are not deleted.
"""

import contextlib
import errno
import hashlib
import logging
import math
from collections.abc import Callable

from pydantic import Field, ValidationError

from ssgan.base.config import Config, canonical_hash, in_a_line
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.json_text import read_json
from ssgan.records.checkpoint_address import NAME, ROOT, parse_location, step_at, step_of
from ssgan.records.rundir import RunDir
from ssgan.records.saved_state import State, pack, unpack

Accept = Callable[[State], None]
"""Looks at a state that was read, and raises `ValueError` if it cannot be used."""

_STATE = "state.pt"
_MANIFEST = "MANIFEST.json"
_HELD = "held-by-"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)


class FileHash(Config):
    """Size and SHA-256, hexadecimal, of one file of a checkpoint."""

    bytes: int = Field(ge=0)
    sha256: str


class CheckpointManifest(Config):
    """The commit mark of a checkpoint."""

    step: int = Field(ge=0)
    """Updates made."""
    serial: int = Field(ge=0)
    """Position in the order of saving within the run; `step` may go back, this does not."""
    metric: float | None
    """What `keep_best` compares; lower is better."""
    files: dict[str, FileHash]
    """The other files of the folder."""


class Checkpoints:
    """The checkpoints of one run. One process saves (rank 0); any may read.

    The newest `keep_last`, 1 or more, are kept: with 2 there is one to fall back to when the newest
    is corrupt. So are the `keep_best` with the lowest metric.

    Who saves looks at the directory once, and remembers what it has saved since.
    """

    def __init__(self, run: RunDir, keep_last: int = 2, keep_best: int = 1) -> None:
        if keep_last < 1 or keep_best < 0:
            raise BadInput(f"keep_last={keep_last} must be at least 1, {keep_best=} at least 0")
        self._run = run
        self._keep_last = keep_last
        self._keep_best = keep_best
        self._saved: dict[str, CheckpointManifest] | None = None  # in the order of saving
        self._strays: set[str] = set()  # folders without a whole manifest, which a crash left

    def save(self, step: int, state: State, metric: float | None = None) -> str:
        """Commit a checkpoint after `step` updates, prune, and return the checkpoint's name.

        Raises what `commit` raises.
        """
        name = self.commit(step, state, metric)
        self.prune()
        return name

    def commit(
        self,
        step: int,
        state: State,
        metric: float | None = None,
        *,
        first: Callable[[], object] = lambda: None,
    ) -> str:
        """Save a checkpoint after `step` updates, and return its name.

        The metric is what `keep_best` compares, lower is better; None never counts as best. What
        has to be written `first` is called for between the state and the commit mark.

        Raises:
            OSError: It could not be written (disk full). Its partial files are gone and the
                checkpoints before it are untouched.
            TypeError: The state holds something else than `State` allows.
        """
        data = pack(state)
        files = {_STATE: FileHash(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())}
        saved = self._remember()
        name = self._place(step, files, saved)
        if name in saved:
            first()
            return name
        serial = max((manifest.serial for manifest in saved.values()), default=-1) + 1
        metric = metric if metric is not None and math.isfinite(metric) else None
        manifest = CheckpointManifest(step=step, serial=serial, metric=metric, files=files)
        body = manifest.model_dump(mode="json")
        folder = f"{ROOT}/{name}"
        try:
            if name in self._strays:
                self._run.delete(f"{folder}/{_MANIFEST}")
            self._run.write_bytes(f"{folder}/{_STATE}", data)
            first()
            self._run.write_json(f"{folder}/{_MANIFEST}", {**body, "sha256": canonical_hash(body)})
        except OSError as error:
            self._strays.add(name)
            raise self._not_saved(name, len(data), [*saved], error) from error
        self._strays.discard(name)
        saved[name] = manifest
        return name

    def prune(self, *, whole: bool = False) -> None:
        """Delete what is neither among the last nor the best, unless others hold on to it.

        On an object store, where a deletion is half a dozen requests, that is one checkpoint a
        call, the oldest, unless it is to be the `whole`.
        """
        saved = self._remember()
        keep = {*[*saved][-self._keep_last :], *_by_metric(saved)[: self._keep_best]}
        self._keep_only(keep, whole=whole or not self._run.is_object_store)

    def prune_to_best(self) -> None:
        """Keep the checkpoint with the lowest metric alone, or else the newest.

        For a run that is over. What others hold on to stays.
        """
        saved = self._remember()
        self._keep_only({*(_by_metric(saved) or [*saved][::-1])[:1]}, whole=True)

    def load(self, name: str, accept: Accept = lambda state: None) -> tuple[int, State]:
        """Read the step and the state (tensors on the CPU) of one checkpoint, hashes checked.

        Raises:
            CorruptFile: A file is missing, truncated or altered, holds a number that is NaN or
                infinite, or is not accepted; the message names it.
        """
        manifest = self._manifest(name)
        where = self._run.locate(f"{ROOT}/{name}/{_STATE}")
        data = self._verified(name, manifest).get(_STATE)
        if data is None:
            raise CorruptFile(f"{where} is not among the checkpoint's files")
        try:
            state = unpack(data)
            accept(state)
        except ValueError as error:
            raise CorruptFile(f"{where} cannot be used: {error}") from error
        return manifest.step, state

    def latest(self, accept: Accept = lambda state: None) -> tuple[int, State] | None:
        """Read the newest checkpoint that is whole; None if the run has none.

        Raises:
            CorruptFile: There are checkpoints, but none that is whole.
        """
        names = self._newest_first()
        return self._first_whole(names, accept)[1:] if names else None

    def usable(self, accept: Accept = lambda state: None) -> str | None:
        """Return the name of the newest checkpoint that is whole; None if the run has none.

        Raises:
            CorruptFile: There are checkpoints, but none that is whole.
        """
        names = self._newest_first()
        return self._first_whole(names, accept)[0] if names else None

    def newest(self) -> str | None:
        """Return the name of the newest checkpoint, whole or not; None if the run has none."""
        return next(iter(self._newest_first()), None)

    def manifests(self) -> dict[str, CheckpointManifest]:
        """Return the manifests that are whole by checkpoint name, in the order of saving."""
        found = {}
        for name in self._committed():
            with contextlib.suppress(CorruptFile):
                found[name] = self._manifest(name)
        return dict(sorted(found.items(), key=lambda item: item[1].serial))

    def best(self) -> str | None:
        """Return the name of the checkpoint with the lowest metric, or None."""
        return next(iter(_by_metric(self.manifests())), None)

    def location(self, name: str) -> str:
        """Return the checkpoint's address, which `restore` reads."""
        return self._run.locate(f"{ROOT}/{name}")

    def protect(self, name: str, holder: str) -> None:
        """Keep a checkpoint from being pruned while `holder` (another trial's id) points at it."""
        if name not in self._committed():
            raise BadInput(f"there is no checkpoint {self.location(name)} to hold on to")
        self._run.write_bytes(f"{ROOT}/{name}/{_HELD}{holder}", b"")

    def release(self, name: str, holder: str) -> None:
        """Undo `protect`: the next save prunes the checkpoint if nothing else keeps it."""
        self._run.delete(f"{ROOT}/{name}/{_HELD}{holder}")

    def forget(self, after: int) -> None:
        """Delete the checkpoints of later steps, whoever points at them.

        Only for a run that continues from there as another one (`RunDir.forget_records`).
        """
        for name in self._committed():
            if step_of(name) > after:
                self._delete(name)

    def _newest_first(self) -> list[str]:
        names = [*self.manifests()]
        # A corrupt manifest does not tell when it was written, so the name's step has to.
        for name in self._committed():
            if name not in names:
                names.insert(sum(other < name for other in names), name)
        return names[::-1]

    def _committed(self) -> list[str]:
        files = (file.split("/") for file in self._run.list(ROOT))
        return [one[1] for one in files if one[2:] == [_MANIFEST] and NAME.fullmatch(one[1])]

    def _manifest(self, name: str) -> CheckpointManifest:
        file = f"{ROOT}/{name}/{_MANIFEST}"
        try:
            body = read_json(self._run.read_bytes(file))
            recorded = body.pop("sha256")
            manifest = CheckpointManifest.model_validate(body)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            told = in_a_line(error) if isinstance(error, ValidationError) else repr(error)
            raise CorruptFile(f"{self._run.locate(file)} cannot be read: {told}") from error
        if canonical_hash(body) != recorded:
            raise CorruptFile(f"{self._run.locate(file)} does not match its own hash")
        return manifest

    def _verified(self, name: str, manifest: CheckpointManifest) -> dict[str, bytes]:
        contents = {}
        for file, expected in manifest.files.items():
            path = f"{ROOT}/{name}/{file}"
            try:
                # It may be more than memory holds; elsewhere its size would cost a request.
                size = expected.bytes if self._run.is_object_store else self._run.size(path)
                if size != expected.bytes:
                    raise CorruptFile(
                        f"{self._run.locate(path)} does not match its hash "
                        f"({size} bytes, {expected.bytes} were written)"
                    )
                data = self._run.read_bytes(path)
            except (OSError, MemoryError) as error:
                raise CorruptFile(f"{self._run.locate(path)} cannot be read: {error}") from error
            if hashlib.sha256(data).hexdigest() != expected.sha256:
                raise CorruptFile(
                    f"{self._run.locate(path)} does not match its hash "
                    f"({len(data)} bytes, {expected.bytes} were written)"
                )
            contents[file] = data
        return contents

    def _first_whole(self, names: list[str], accept: Accept) -> tuple[str, int, State]:
        problems = []
        for name, before in zip(names, [*names[1:], None], strict=True):
            try:
                return name, *self.load(name, accept)
            except CorruptFile as error:
                problems.append(str(error))
                if before is not None:
                    _log.warning("%s; going back to checkpoint %s", error, before)
        raise CorruptFile(
            f"no checkpoint of {self._run.location} can be used: {'; '.join(problems)}. "
            "Start from scratch under another --name"
        )

    def _place(
        self, step: int, files: dict[str, FileHash], saved: dict[str, CheckpointManifest]
    ) -> str:
        """Find the folder for this step: a name in `saved` has this very state already."""
        name, copy = f"{step:08d}", 0
        while name in saved:
            try:
                self._verified(name, saved[name])
            except CorruptFile:
                del saved[name]  # nobody can point at it any more
                self._strays.add(name)
                break
            if saved[name].files == files:
                break  # the step was run again after a crash
            copy += 1
            name = f"{step:08d}-{copy}"
        return name

    def _remember(self) -> dict[str, CheckpointManifest]:
        if self._saved is None:
            self._saved = self.manifests()
            ours = filter(NAME.fullmatch, self._run.folders(ROOT))
            self._strays = {*ours} - {*self._saved}
        return self._saved

    def _keep_only(self, keep: set[str], *, whole: bool) -> None:
        saved = self._remember()
        old = [name for name in (*self._strays, *saved) if name not in keep]
        if not old:
            return
        held = {file.split("/")[1] for file in self._run.list(ROOT) if f"/{_HELD}" in file}
        old = [name for name in old if name not in held]
        for name in old if whole else old[:1]:
            try:
                self._delete(name)
            except OSError as error:
                _log.warning("the old checkpoint %s stays: %s", self.location(name), error)
            else:
                saved.pop(name, None)
                self._strays.discard(name)

    def _delete(self, name: str) -> None:
        if not self._run.is_object_store:  # which deletes all files of a folder at once
            self._run.delete(f"{ROOT}/{name}/{_MANIFEST}")  # from here on it counts for nothing
        self._run.delete(f"{ROOT}/{name}")

    def _not_saved(self, name: str, size: int, saved: list[str], error: OSError) -> OSError:
        try:
            self._run.delete(f"{ROOT}/{name}")
        except OSError as second:
            _log.warning("the partial checkpoint %s stays: %s", self.location(name), second)
        cause = "the disk is full" if error.errno in _DISK_FULL else str(error)
        last = f"the last good one is {saved[-1]}" if saved else "there is none before it"
        return OSError(
            error.errno,
            f"checkpoint {self.location(name)} ({size / 2**20:.1f} MiB) was not saved: {cause}; "
            f"{last}. Free some space, then resume with --resume {self._run.location}",
        )


def restore(location: str, accept: Accept = lambda state: None) -> tuple[int, State]:
    """Read the checkpoint at an address, of whatever run, or the newest whole one saved before it.

    Warnings name what is corrupt. A checkpoint that was pruned meanwhile (a pointer that was late)
    is replaced by the newest.

    Raises:
        BadInput: It is not the address of a checkpoint, or the run has none at all.
        CorruptFile: Neither it nor any before it is whole.
    """
    run, name = parse_location(location)
    checkpoints = Checkpoints(RunDir(run))
    names = checkpoints._newest_first()
    if not names:
        raise BadInput(f"there is no checkpoint {location}, nor any other there")
    if name not in names:
        _log.warning("%s is gone; taking %s instead", location, names[0])
        name = names[0]
    return checkpoints._first_whole(names[names.index(name) :], accept)[1:]


def starting_point(run: RunDir, given: str | None = None) -> str | None:
    """Return the address of the checkpoint that a run resumes from; None to start from scratch.

    That is its newest, or another one that is `given`, of whatever run, until it has saved a later
    one itself.
    """
    checkpoints = Checkpoints(run)
    newest = checkpoints.newest()
    if newest is None:
        return given
    is_later = given is None or step_of(newest) > step_at(given)
    return checkpoints.location(newest) if is_later else given


def _by_metric(saved: dict[str, CheckpointManifest]) -> list[str]:
    """Names of those with a metric, the lowest first; of equals the newest first."""
    metrics = {n: m.metric for n, m in reversed(saved.items()) if m.metric is not None}
    return sorted(metrics, key=metrics.__getitem__)
