"""The search directory: the record of a search, local or on any pyarrow file system.

    search.yaml    the resolved search             search.json    identity of the search
    trials/        run directories, stage one      finals/        run directories, stage two
    trials.json    the table of all trials         report/        pages and charts
    judges/        the judges of both stages       summary.json   what the search reached

The driver alone writes what is not a run's own. Everything that shows a search (MLflow, the
pages, the screen) is made from this directory, while the search goes on and afterwards.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow.fs as pafs
from pydantic import Field, ValidationError

from ssgan.config import Config
from ssgan.errors import BadInput, Damaged
from ssgan.folder import Folder
from ssgan.rundir import RunDir

_IDENTITY = "search.json"
_SEARCH = "search.yaml"
_TABLE = "trials.json"
_SUMMARY = "summary.json"

Stage = Literal["search", "final"]
"""Stage one chooses among all configurations; stage two runs the best again with fresh seeds."""
Status = Literal["PENDING", "RUNNING", "PAUSED", "FINISHED", "STOPPED", "FAILED"]
"""STOPPED by the scheduler, FAILED by an error, FINISHED all its epochs."""


class Exploit(Config):
    """One take-over of population based training."""

    epoch: int = Field(ge=0)
    """Epoch of the checkpoint that was taken over."""
    donor: str
    """Name of the trial that it came from."""
    values: dict[str, Any]
    """The searched fields as they were perturbed."""


class TrialRow(Config):
    """One line of the table of trials."""

    trial: str
    """Name of the trial, and of its run directory: ``00003``, in stage two ``00003-s7``."""
    stage: Stage
    """Which stage it belongs to."""
    values: dict[str, Any]
    """The searched fields by dotted name; of stage two those of the trial that it repeats."""
    seed: int
    """The run's seed."""
    status: Status = "PENDING"
    """Where it stands."""
    reason: str | None = None
    """Why it ended before its time: what stopped it, or the error in one line."""
    epoch: int = Field(default=0, ge=0)
    """Epochs trained and reported."""
    metric: float | None = None
    """Last value of the search's metric."""
    images_per_second: float | None = None
    """Speed of the last epoch."""
    lineage: tuple[Exploit, ...] = ()
    """What it took over from other trials, in order."""

    @property
    def run(self) -> str:
        """The run directory, relative to the search directory."""
        return f"{'trials' if self.stage == 'search' else 'finals'}/{self.trial}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ("FINISHED", "STOPPED", "FAILED")


class SearchInfo(Config):
    """Identity of a search, fixed when its directory is made."""

    search_id: str = Field(pattern="^[0-9a-f]{32}$")
    """A random UUID, 32 hexadecimal digits."""
    name: str
    """Name that the user gave; also that of the MLflow experiment."""
    created: str
    """When the directory was made, ISO 8601 in UTC."""


class SearchDir(Folder):
    """A search directory: `create` makes a search, `open` checks that one is there."""

    @classmethod
    def create(
        cls,
        location: str | Path,
        search_yaml: str,
        name: str | None = None,
        filesystem: pafs.FileSystem | None = None,
    ) -> Self:
        """Make the directory of a new search.

        Raises:
            BadInput: Something is there already, or it cannot be written.
        """
        search = cls(location, filesystem)
        search.refuse_taken()
        info = SearchInfo(
            search_id=uuid.uuid4().hex,
            name=name or search.base_name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        try:
            search.write_bytes(_SEARCH, search_yaml.encode())
            search.write_json(_IDENTITY, info.model_dump())
        except OSError as error:
            raise BadInput(
                f"cannot write the search directory {search.location}: {error}; "
                "choose a writable folder with --out"
            ) from error
        return search

    @classmethod
    def open(cls, location: str | Path, filesystem: pafs.FileSystem | None = None) -> Self:
        """Open the directory of an existing search.

        Raises:
            BadInput: There is none at `location`.
            Damaged: Its search.json cannot be read.
        """
        search = cls(location, filesystem)
        if not search.exists(_IDENTITY):
            raise BadInput(
                f"{search.location} is no search directory (it has no {_IDENTITY}); give the "
                "folder that tune/run.py wrote, DIR/NAME"
            )
        _ = search.info
        return search

    def refuse_taken(self) -> None:
        """Raise `BadInput` if a search or anything else is here already."""
        if self.exists(_IDENTITY):
            raise BadInput(
                f"a search is already at {self.location}; go on with it by --resume "
                f"{self.base_name}, or choose another --name"
            )
        if not self.is_free():
            raise BadInput(
                f"{self.location} is taken, but not by a search; choose another --name or --out"
            )

    @cached_property
    def info(self) -> SearchInfo:
        """Identity of the search."""
        try:
            return SearchInfo.model_validate_json(self.read_bytes(_IDENTITY))
        except ValidationError as error:
            raise Damaged(f"{self.location}/{_IDENTITY} cannot be read: {error}") from error

    def search_yaml(self) -> str:
        """Return the resolved search as it was written at the start."""
        return self.read_bytes(_SEARCH).decode()

    def rows(self) -> Sequence[TrialRow]:
        """Return the table of trials, stage one first, by name; empty before the first trial.

        Raises:
            Damaged: It cannot be read.
        """
        if not self.exists(_TABLE):
            return ()
        try:
            table = json.loads(self.read_bytes(_TABLE))
            return tuple(TrialRow.model_validate(row) for row in table)
        except ValueError as error:
            raise Damaged(f"{self.location}/{_TABLE} cannot be read: {error}") from error

    def write_rows(self, rows: Iterable[TrialRow]) -> None:
        """Replace the table; readers see the old one or the new one, whole."""
        ordered = sorted(rows, key=lambda row: (row.stage != "search", row.trial))
        self.write_json(_TABLE, [row.model_dump(mode="json") for row in ordered])

    def run(self, row: TrialRow) -> RunDir:
        """Return a trial's run directory, whether it is there yet or not."""
        return RunDir(f"{self.location}/{row.run}")

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json. NaN and infinity are no JSON: pass None instead."""
        self.write_json(_SUMMARY, dict(summary))

    def summary(self) -> dict[str, Any] | None:
        """Return summary.json, or None before the search has ended."""
        if not self.exists(_SUMMARY):
            return None
        return dict(json.loads(self.read_bytes(_SUMMARY)))
