"""What a trial took over from others: ``lineage.json`` of its run directory.

The driver adds a line at each take-over of population based training; the trial marks in
``taken-over.json`` that it has made room for it, so that a second start does not do so again.
"""

import json
from collections.abc import Mapping
from typing import Any

from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import Exploit

_LINEAGE = "lineage.json"
_MARK = "taken-over.json"


def read_lineage(run: RunDir) -> tuple[Exploit, ...]:
    """Return all take-overs, in order."""
    if not run.exists(_LINEAGE):
        return ()
    return tuple(Exploit.model_validate(line) for line in json.loads(run.read_bytes(_LINEAGE)))


def add_exploit(run: RunDir, exploit: Exploit) -> None:
    """Add a take-over. Those of later epochs are of a past that was lost with a driver."""
    forget_exploits(run, exploit.epoch)
    _write(run, (*read_lineage(run), exploit))


def forget_exploits(run: RunDir, since: int) -> None:
    """Drop the take-overs of an epoch and later ones."""
    lineage = read_lineage(run)
    kept = tuple(line for line in lineage if line.epoch < since)
    if kept != lineage:
        _write(run, kept)


def mark_taken_over(run: RunDir, checkpoint: str, values: Mapping[str, Any]) -> None:
    """Write down that the run directory stands as a checkpoint of another trial left it."""
    run.write_json(_MARK, {"checkpoint": checkpoint, "values": dict(values)})


def is_taken_over(run: RunDir, checkpoint: str, values: Mapping[str, Any]) -> bool:
    """Whether that was written down for this very checkpoint and these values."""
    if not run.exists(_MARK):
        return False
    mark = json.loads(run.read_bytes(_MARK))
    return bool(mark == {"checkpoint": checkpoint, "values": dict(values)})


def _write(run: RunDir, lineage: tuple[Exploit, ...]) -> None:
    run.write_json(_LINEAGE, [line.model_dump(mode="json") for line in lineage])
