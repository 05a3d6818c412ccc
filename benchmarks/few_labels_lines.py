"""What the runs on few labels came to: a JSON line a run, from which the page is made."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ssgan.base.storage import replacing

CHANCE = {
    "zero_one_loss_ema": 0.9,
    "zero_one_loss": 0.9,
    "second_zero_one_loss_ema": 0.9,
    "second_zero_one_loss": 0.9,
    "q_ss_accuracy": 0.1,
    "diversity": 0.0,
}
"""What a run that failed counts, of ten classes."""


@dataclass(frozen=True)
class Line:
    """One run."""

    cell: str
    draw: int
    commit: str | None
    """Of the checkout that trained it; ``+`` if it was changed."""
    machine: str
    fields: list[str]
    """What was set, but for the draw and the place of the data."""
    error: str | None
    """Why there is no generator."""
    measured: dict[str, float | None]
    """`benchmarks.few_labels.measure`; empty where there is an error."""

    @property
    def key(self) -> tuple[str, int]:
        """What there is one line of."""
        return self.cell, self.draw

    def value(self, name: str) -> float | None:
        """Return what was measured; chance where that is nothing."""
        found = self.measured.get(name)
        return CHANCE.get(name) if found is None else found


def read_lines(file: Path) -> list[Line]:
    """Read all lines of a file, none where it is missing."""
    if not file.exists():
        return []
    return [Line(**json.loads(line)) for line in file.read_text().splitlines()]


def add_line(file: Path, line: Line, lock: Path) -> None:
    """Write a line in the place of an earlier one of the same run; the file is whole all the time.

    Those who write it at once have the same file as `lock`.
    """
    with FileLock(lock):
        _write(file, [*(one for one in read_lines(file) if one.key != line.key), line])


@contextmanager
def alone_on(place: Path, told: str) -> Iterator[bool]:
    """Keep other processes from a run meanwhile; give False, and say so, if one is at work on it.

    Args:
        place: The run's folder; its lock is beside it.
        told: What the run is called on the screen.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(f"{place}.lock").acquire(timeout=0)
    except Timeout:
        print(f"{told}: another process has it", flush=True)
        yield False
        return
    with held:
        yield True


def _write(file: Path, lines: Iterable[Line]) -> None:
    with replacing(file) as new:
        new.write_text("".join(f"{json.dumps(asdict(line))}\n" for line in lines))
