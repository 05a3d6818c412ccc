"""What people see: lines and progress bars on stderr, results on stdout, and a last screen."""

import contextlib
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssgan.base.errors import BadInput
from ssgan.base.progress import Advance

if TYPE_CHECKING:
    from rich.console import Console

    from ssgan.records.rundir import RunDir
    from ssgan.records.searchdir import SearchDir

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
        say(f"error: {visible(str(error))}", style="red")
        return True
    if not type(error).__module__.startswith("ssgan.") and not isinstance(error, OSError):
        traceback.print_exception(error)
    say(f"failed: {visible(str(error) or repr(error))}", style="red")
    return False


def visible(text: str) -> str:
    """Write control characters as escapes: what is quoted from a file must not reach a terminal."""
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode()
        for one in text
    )


def log_to_stderr() -> None:
    """Send ssgan's log lines, and warnings of libraries, to stderr."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Lines()], force=True)
    logging.getLogger("ssgan").setLevel(logging.INFO)


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
    path = Path(sys.executable).with_name(name)
    if shutil.which(name) is not None or not path.exists():
        return name
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def short(location: str) -> str:
    """Write a path relative to the working directory where that is shorter."""
    if "://" in location:
        return location
    relative = os.path.relpath(location)
    return relative if len(relative) < len(location) else str(Path(location))


def duration(seconds: float) -> str:
    """Write a length of time: ``1:02:03``, or ``4:05`` for minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def last_screen(title: str, *sections: list[Any]) -> Any:
    """Lay out what a run or a search reached: a rule with its name, then sections of lines."""
    from rich.console import Group
    from rich.rule import Rule

    first, *others = sections
    spaced = [line for section in others for line in ("", *section)]
    return Group(Rule(f"ssgan: {title}", align="left"), *first, *spaced)


def places(record: "RunDir | SearchDir", files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return rows that say where a run or search is, and those of its files that are there."""
    found = {title: record.locate(file) for title, file in files.items() if record.exists(file)}
    return [(what, short(where)) for what, where in {record.what: record.location, **found}.items()]


def aligned(rows: Sequence[tuple[str, ...]]) -> list[Any]:
    """Lay rows out in columns without cutting any: commands must stay whole to be copied."""
    from rich.text import Text

    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [Text(line, no_wrap=True, overflow="ignore") for line in lines]


@contextlib.contextmanager
def progress(title: str, unit: str = "images") -> Iterator[Advance]:
    """Show progress with rate and time left: a bar on a terminal, else a line now and then.

    It appears with the first call of what this yields. Lines that are said meanwhile appear above
    the bar.
    """
    if not console().is_terminal:
        yield _lines(title, unit)
        return
    bar = _bar(unit)

    def advance(done: int, total: int) -> None:
        if not bar.tasks:
            # What a resume finds done already must not count as speed: it is not a sample of it.
            bar.add_task(title, total=total, completed=done)
            bar.start()
        bar.update(bar.task_ids[0], completed=done, total=total)

    try:
        yield advance
    finally:
        bar.stop()


def waiting(title: str) -> contextlib.AbstractContextManager[Any]:
    """Show, on a terminal, that something whose length is unknown is going on."""
    return console().status(title) if console().is_terminal else contextlib.nullcontext()


class Screen(contextlib.ExitStack):
    """The bar of what is being prepared; those of trainings and searches show more."""

    _title: str | None = None
    _advance: Advance

    def prepare(self, title: str, done: int, total: int, unit: str = "images") -> None:
        """Show how far a step is, in place of the one before; this is a `PreparationProgress`."""
        if title != self._title:
            self.close()
            self._title = title
            self._advance = self.enter_context(progress(title, unit))
        self._advance(done, total)


def _lines(title: str, unit: str) -> Advance:
    """Show progress as lines of text, for logs."""
    start: tuple[float, int] | None = None
    last = 0.0

    def advance(done: int, total: int) -> None:
        nonlocal start, last
        now = time.monotonic()
        if start is None:
            start, last = (now, done), now
        ended = done >= total and now - start[0] > _SHORT
        if now - last < _LINE_EVERY and not ended:
            return
        last = now
        rate = (done - start[1]) / max(now - start[0], 1e-9)
        left = "" if done >= total or not rate else f", {duration((total - done) / rate)} left"
        say(f"{title}: {done:,} of {total:,} {unit}, {rate:,.0f} a second{left}")

    return advance


def _bar(unit: str) -> Any:
    from rich import progress as rich

    class Rate(rich.ProgressColumn):
        def render(self, task: rich.Task) -> str:
            return "" if not task.speed else f"{task.speed:,.0f} {unit}/s"

    return rich.Progress(
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
