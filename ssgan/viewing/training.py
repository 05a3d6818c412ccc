"""What a run says of its training at a moment: how far it is, what it measured, what to do."""

import shlex
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ssgan.base.errors import CorruptFile
from ssgan.base.lease import is_held
from ssgan.base.storage import split
from ssgan.experiment.tree import Experiment
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import search_of
from ssgan.viewing.curves import charts, health

_THREADS = 8  # records that are read at a time: a store on the network answers after a while
_FIRST = "samples_ema"  # of an epoch's pictures


class Training:
    """Reads a run again and again, and each record once unless it was written again.

    It writes nothing and takes no lease: a training goes on beside it.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._records: dict[int, tuple[float, Record | str]] = {}
        self._experiment: tuple[str, Experiment] | None = None

    def tell(self) -> dict[str, Any]:
        """Look, and return what there is, as JSON.

        Raises:
            BadInput: The run is not there any more, or its experiment cannot be read.
            OSError: The storage does not answer.
        """
        records, problems = self._read_records()
        pictured = next((record for record in reversed(records) if record.images), None)
        evaluated = next((record for record in reversed(records) if record.is_evaluated), None)
        return {
            "status": self._status(records[-1] if records else None),
            "problems": problems,
            "charts": [
                {"title": chart.title, "curves": [curve._asdict() for curve in chart.curves]}
                for chart in charts(records)
            ],
            "pictures": None if pictured is None else _describe_pictures(pictured),
            "health": None if evaluated is None else _describe_health(evaluated),
        }

    def picture(self, epoch: int, name: str) -> bytes | None:
        """Read a picture of an epoch, PNG; None if there is none.

        Raises:
            CorruptFile: The record of the epoch cannot be read.
        """
        known = self._records.get(epoch)
        record = known[1] if known is not None and isinstance(known[1], Record) else None
        record = record or self._run.record(epoch)
        if record is None or name not in record.images:
            return None
        try:
            return self._run.read_bytes(record.images[name])
        except (FileNotFoundError, KeyError, ValueError):  # anybody may have written the record
            return None

    def _read_records(self) -> tuple[list[Record], list[str]]:
        times = self._run.record_times()
        known = {epoch: one for epoch, one in self._records.items() if times.get(epoch) == one[0]}
        new = [epoch for epoch in sorted(times) if epoch not in known]
        with ThreadPoolExecutor(_THREADS, "records") as pool:
            for epoch, found in zip(new, pool.map(self._read, new), strict=True):
                if found is not None:
                    known[epoch] = times[epoch], found
        self._records = known
        found_all = [known[epoch][1] for epoch in sorted(known)]
        records = [one for one in found_all if isinstance(one, Record)]
        return records, [one for one in found_all if isinstance(one, str)]

    def _read(self, epoch: int) -> Record | str | None:
        """Read the record of an epoch; what is wrong with it in words, or None if it is gone."""
        try:
            return self._run.record(epoch)
        except CorruptFile as error:
            return str(error)

    def _status(self, last: Record | None) -> dict[str, Any]:
        """Say how far the run is, whether a process trains it, and what to do if none does."""
        text = self._run.definition()
        if self._experiment is None or self._experiment[0] != text:
            self._experiment = text, self._run.read_definition(Experiment)
        length = self._experiment[1].training
        found = search_of(self._run)
        is_running = is_held(self._run if found is None else found[0])
        epoch = 0 if last is None else last.epoch
        told = [f"epoch {epoch:,} of {length.epochs:,}"]
        if last is not None:
            told += [f"{last.step:,} updates", f"{last.images_seen:,} real images seen"]
            if (speed := last.metrics.get("images_per_second")) is not None:
                told.append(f"{speed:,.0f} images/s")
        is_over = epoch >= length.epochs
        command = ["ssgan", "train", "--resume", self._run.location]
        if found is not None:  # the trial of a search, which may have stopped it early
            search = found[0]
            is_over = is_over or search.summary() is not None
            out = split(search.location)[0]
            command = ["ssgan", "search", "--resume", search.resumed_by, "--out", out]
        state = "training" if is_running else "over" if is_over else "stopped"
        return {
            "state": state,
            "told": ", ".join(told),
            "resume": shlex.join(command) if state == "stopped" else None,
        }


def _describe_pictures(record: Record) -> dict[str, Any]:
    names = sorted(record.images, key=lambda name: (name != _FIRST, name))
    return {"epoch": record.epoch, "written": record.timestamp_ms, "names": names}


def _describe_health(record: Record) -> dict[str, Any]:
    found = health(record)
    return {**found._asdict(), "columns": [column._asdict() for column in found.columns]}
