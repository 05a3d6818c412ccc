"""What people see: lines and progress bars on stderr, results on stdout."""

import contextlib
import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssgan.base.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[[int, int], None]
"""Called with what is done so far and what is to be done in all."""

_LINE_EVERY = 10.0  # seconds between lines of progress where there is no terminal
_SHORT = 2.0  # seconds below which a step needs no progress


@cache
def console() -> "Console":
    """Return the console on stderr; it follows redirections of `sys.stderr`."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str, style: str | None = None) -> None:
    """Print a line on stderr, above a progress bar if there is one."""
    console().print(text, style=style, markup=False)


def report_failure(error: Exception) -> bool:
    """Explain on stderr why a verb failed; return whether the user's input was at fault.

    Expected failures are one readable text; a traceback means an error in ssgan.
    """
    if isinstance(error, BadInput):
        say(f"error: {error}", style="red")
        return True
    if not type(error).__module__.startswith("ssgan.") and not isinstance(error, OSError):
        traceback.print_exception(error)
    say(f"failed: {error or repr(error)}", style="red")
    return False


def log_to_stderr(quiet: bool = False) -> None:
    """Send ssgan's log lines, and warnings of libraries, to stderr.

    Args:
        quiet: Leave out all below warnings.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[_Lines()], force=True)
    logging.getLogger("ssgan").setLevel(logging.WARNING if quiet else logging.INFO)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            warning = record.levelno >= logging.WARNING
            prefix = f"{record.levelname.lower()}: " if warning else ""
            say(prefix + record.getMessage(), style="yellow" if warning else "dim")
            if record.exc_info:
                traceback.print_exception(*record.exc_info)


@contextlib.contextmanager
def nothing_on_stdout() -> Iterator[None]:
    """Send to stderr what libraries and child processes print meanwhile: stdout is for results."""
    sys.stdout.flush()
    try:
        output = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # closed
        output = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if output is not None:
            os.dup2(output, 1)
            os.close(output)


def show(result: Any) -> None:
    """Print a result on stdout: text, a rich table or panel."""
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(result, markup=False)


def show_json(result: Mapping[str, Any]) -> None:
    """Print a result on stdout as JSON."""
    print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))


def table(*columns: str, title: str | None = None) -> Any:
    """Return an empty rich table; columns whose name ends in a space are aligned right."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in columns:
        made.add_column(name.strip(), justify="right" if name.endswith(" ") else "left")
    return made


def program(name: str) -> str:
    """Return how to call a program of this environment from here, as short as it works."""
    beside = Path(sys.executable).with_name(name)
    if shutil.which(name) is not None or not beside.exists():
        return name
    with contextlib.suppress(ValueError):
        return str(beside.relative_to(Path.cwd()))
    return str(beside)


@contextlib.contextmanager
def progress(title: str, unit: str = "images") -> Iterator[Advance]:
    """Show progress with rate and time left: a bar on a terminal, else a line now and then.

    It appears with the first call of what this yields. Lines that are said meanwhile stand above
    the bar.
    """
    shown = _Terminal(title, unit) if console().is_terminal else _Plain(title, unit)
    try:
        yield shown.advance
    finally:
        shown.close()


class _Plain:
    """Progress as lines of text, for logs."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._start: tuple[float, int] | None = None
        self._last = 0.0

    def advance(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._start is None:
            self._start, self._last = (now, done), now
        ended = done >= total and now - self._start[0] > _SHORT
        if now - self._last < _LINE_EVERY and not ended:
            return
        self._last = now
        rate = (done - self._start[1]) / max(now - self._start[0], 1e-9)
        left = "" if done >= total or not rate else f", {duration((total - done) / rate)} left"
        say(f"{self._title}: {done:,} of {total:,} {self._unit}, {rate:,.0f} a second{left}")

    def close(self) -> None:
        """Nothing is left to be cleaned up."""


class _Terminal:
    """Progress as a bar of rich."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._bar: Any = None
        self._task: Any = None

    def advance(self, done: int, total: int) -> None:
        if self._bar is None:
            self._open(done, total)
        self._bar.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()

    def _open(self, done: int, total: int) -> None:
        from rich import progress as rich

        class Rate(rich.ProgressColumn):
            def render(self, task: rich.Task) -> str:
                return "" if not task.speed else f"{task.speed:,.0f} {unit}/s"

        unit = self._unit
        self._bar = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(bar_width=20),  # all else must fit into 80 columns
            rich.TaskProgressColumn(),
            Rate(),
            rich.TimeRemainingColumn(compact=True),
            rich.TextColumn("left"),
            console=console(),
            transient=True,
            speed_estimate_period=60.0,
        )
        # What a resume finds done already must not count as speed: it is no sample of the task.
        self._task = self._bar.add_task(self._title, total=total, completed=done)
        self._bar.start()


@contextlib.contextmanager
def waiting(title: str) -> Iterator[None]:
    """Show that something whose length is unknown is going on, and for how long."""
    shown = console()
    if not shown.is_terminal:
        yield
        return
    with shown.status(title):
        yield


def duration(seconds: float) -> str:
    """Write a length of time: ``1:02:03``, or ``4:05`` for minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
