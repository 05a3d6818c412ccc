"""The search directory: the record of a search, local or on any pyarrow file system.

    search.yaml    the resolved search             search.json    identity of the search
    trials/        run directories, stage one      finals/        run directories, stage two
    trials.json    the table of all trials         report/        pages and charts
    judges/        the judges of both stages       summary.json   what the search reached
    best.yaml      the best configuration          export/        the winner's generator
    ray/           what Ray Tune keeps

The driver alone writes what is not a run's own. Everything that shows a search (MLflow, the
pages, the screen) is made from this directory, while the search runs and afterwards.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow.fs as pafs
from pydantic import Field, ValidationError

from ssgan.base.config import STORED, Config, Formerly, in_a_line
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.json_text import read_json
from ssgan.base.lease import Lease, hold, is_part_of_lease
from ssgan.base.storage import split
from ssgan.records.recorddir import Identity, RecordDir
from ssgan.records.rundir import RunDir

BEST = "best.yaml"
"""File of the best configuration, which `ssgan train` takes."""
_TABLE = "trials.json"

Stage = Literal["search", "final"]
"""Stage one chooses among all configurations; stage two runs the best again with fresh seeds."""
FOLDERS: dict[Stage, str] = {"search": "trials", "final": "finals"}
"""Where the run directories of each stage are, below the search directory."""
Status = Literal["PENDING", "RUNNING", "PAUSED", "FINISHED", "STOPPED", "FAILED"]
"""STOPPED by the scheduler, FAILED by an error, FINISHED all its epochs."""


class Exploit(Config):
    """One exploit of population-based training: a trial continues with a better one's state."""

    epoch: int = Field(ge=0)
    """Epoch of the checkpoint that was loaded."""
    source_trial: Annotated[str, Formerly("donor")]
    """Name of the source trial, whose checkpoint that is."""
    values: dict[str, Any]
    """The searched fields as they were perturbed."""


class TrialRow(Config):
    """One line of the table of trials."""

    trial: str
    """Name of the trial, and of its run directory: ``00003``, in stage two ``00003-s7``."""
    stage: Stage
    values: dict[str, Any]
    """The searched fields by dotted name; of stage two those of the trial that it repeats."""
    seed: int
    status: Status = "PENDING"
    reason: str | None = None
    """Why it ended before its time: what stopped it, or the error in one line."""
    epoch: int = Field(default=0, ge=0)
    """Epochs trained and reported."""
    metric: float | None = None
    """Last value of the search's metric."""
    images_per_second: float | None = None
    """Speed of the last epoch."""
    curve: tuple[tuple[int, float], ...] = ()
    """Epochs and values of the search's metric, as far as Ray Tune was told; empty in a table that
    0.1 wrote."""
    lineage: tuple[Exploit, ...] = ()
    """Its exploits, in order."""

    @property
    def run(self) -> str:
        """The run directory, relative to the search directory."""
        return f"{FOLDERS[self.stage]}/{self.trial}"

    @property
    def is_scored(self) -> bool:
        """Whether it has a value of the metric that counts."""
        return self.metric is not None and self.status != "FAILED"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ("FINISHED", "STOPPED", "FAILED")


class SearchIdentity(Identity):
    """Identity of a search; its name is also that of the MLflow experiment."""

    search_id: str = Field(pattern="^[0-9a-f]{32}$")


class SearchDir(RecordDir[SearchIdentity]):
    """A search directory: `create` makes a search, `open` checks that one is there."""

    what = "search"
    written_by = "`ssgan search`"
    identity_file = "search.json"
    definition_file = "search.yaml"
    _info = SearchIdentity
    _id = "search_id"

    def __init__(self, location: str | Path, filesystem: pafs.FileSystem | None = None) -> None:
        super().__init__(location, filesystem)
        self._lines: dict[str, TrialRow] = {}  # of the table that was read last
        self._written: dict[str, tuple[TrialRow, str]] = {}  # and of that which was written last

    @property
    def resumed_by(self) -> str:
        """What ``--resume`` takes."""
        return self.base_name

    def rows(self) -> Sequence[TrialRow]:
        """Return the table of trials, stage one first, by name (`CorruptFile` if it is not one).

        Lines that are as they were at the last call are the same objects as then.
        """
        if not self.exists(_TABLE):
            return ()
        try:
            table = self.read_parsed(_TABLE, _parse_table)
            self._lines = {line: self._lines.get(line) or _read_row(line) for line in table}
        except (ValueError, TypeError) as error:
            told = in_a_line(error) if isinstance(error, ValidationError) else error
            raise CorruptFile(f"{self.locate(_TABLE)} cannot be read: {told}") from error
        return tuple(self._lines.values())

    def write_rows(self, rows: Iterable[TrialRow]) -> None:
        """Replace the table, one line a trial; readers see the old one or the new one, whole."""
        ordered = sorted(rows, key=lambda row: (row.stage != "search", row.trial))
        for row in ordered:
            known = self._written.get(row.run)
            if known is None or known[0] is not row:
                self._written[row.run] = row, row.model_dump_json()
        lines = ",\n".join(self._written[row.run][1] for row in ordered)
        self.write_bytes(_TABLE, f"[\n{lines}\n]\n".encode())

    def run(self, row: TrialRow) -> RunDir:
        """Return a trial's run directory, whether it is there yet or not."""
        return self.run_of(row.stage, row.trial)

    def run_of(self, stage: Stage, trial: str) -> RunDir:
        """Return a trial's run directory by the trial's stage and name."""
        return RunDir(self.locate(f"{FOLDERS[stage]}/{trial}"))

    def summary(self) -> dict[str, Any] | None:
        """Return summary.json, with the places of today, or None before it has come to its end."""
        summary = super().summary()
        if summary is not None and "search_dir" in summary:
            summary["search_dir"] = self.location
            if summary.get("winner") is not None and "run_dir" in summary:
                export = f"{summary['winner']}/export" if summary.get("export") else None
                summary["run_dir"] = self.locate(summary["winner"])
                summary["export"] = None if export is None else self.locate(export)
        return summary

    def winner(self) -> RunDir:
        """Return the run that stands for the search: the one that was registered.

        Raises:
            BadInput: The search has no winner.
        """
        summary = self.summary()
        if summary is None:
            raise BadInput(
                f"{self.location} is a search that is not over; resume it with --resume "
                f"{self.resumed_by}, or name one of its runs: {self.locate('trials/NAME')}"
            )
        if summary.get("winner") is None:
            raise BadInput(f"{self.location} is a search without a winner: no trial has a value")
        return RunDir.open(self.locate(summary["winner"]))


def _parse_table(content: bytes) -> list[str]:
    """Return the lines of the table, each a row as JSON."""
    text = content.decode()
    lines = text.splitlines()
    if text.startswith("[\n{") and lines[-1] == "]":
        return [line.rstrip(",") for line in lines[1:-1]]
    return [json.dumps(row) for row in read_json(text)]  # as 0.1 wrote it, or somebody else


def _read_row(line: str) -> TrialRow:
    return TrialRow.model_validate_json(line, context=STORED)


def open_run(location: str) -> RunDir:
    """Open a run directory, or of a search directory the run that won it.

    Raises:
        BadInput: There is neither, or the search has no winner.
    """
    search = SearchDir(location)
    return search.winner() if search.exists(search.identity_file) else RunDir.open(location)


def search_of(run: RunDir) -> tuple[SearchDir, Stage] | None:
    """Return the search that a run directory belongs to, and its stage; None where there is none.

    It is found by where the directory is, so that a search works where it was moved.
    """
    folder, name = split(split(run.location)[0])
    for stage, trials in FOLDERS.items():
        if name == trials and (search := SearchDir(folder)).exists(search.identity_file):
            return search, stage
    return None


@contextlib.contextmanager
def hold_record(record: RunDir | SearchDir) -> Iterator[Lease]:
    """Be the only process that writes a run or a search, until the context ends.

    With the run of a trial goes its search, whose driver has all of its runs written.

    Raises:
        BadInput: Another process writes it (the message names host and process), or it cannot be
            written.
    """
    with contextlib.ExitStack() as stack:
        try:
            found = search_of(record) if isinstance(record, RunDir) else None
            if found is not None:
                stack.enter_context(hold(found[0], found[0].what))
            lease = stack.enter_context(hold(record, record.what))
            record.remove_unfinished(but=is_part_of_lease)
            record.is_held = True
        except OSError as error:
            raise BadInput(
                f"cannot write the {record.what} directory {record.location}: {error}; "
                "choose a writable folder with --out"
            ) from error
        try:
            yield lease
        finally:
            record.is_held = False
