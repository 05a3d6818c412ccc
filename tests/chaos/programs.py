"""Processes of the real command line, ended from outside."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

PATIENCE = 150.0
"""Seconds until something that has to happen counts as hung."""


class Broken(AssertionError):
    """Something happened that must not."""


class Program:
    """A process of `ssgan`, whose output goes to a file."""

    def __init__(self, arguments: Sequence[str], folder: Path, log: Path, **more: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **more}
        self._log = log
        self._arguments = arguments
        self.began = time.monotonic()
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ssgan", *arguments],
                stdout=sink,
                stderr=sink,
                cwd=folder,
                env=environment,
            )
        self.pid = self._process.pid

    def __str__(self) -> str:
        told = [part for part in self._arguments if "=" not in part]
        return f"`ssgan {' '.join(told)}` ({self._log.name})"

    @property
    def said(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    @property
    def said_in_a_line(self) -> str:
        """What it has printed, whatever the width of the screen."""
        return " ".join(self.said.split())

    def workers(self) -> list[psutil.Process]:
        """Return the processes that it has started, and they, which may write its directory.

        Ray's agents are none; they outlive it by a minute.
        """
        children = psutil.Process(self.pid).children(recursive=True)
        return [child for child in children if "agent" not in _command(child)]

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing if it is over."""
        self._process.send_signal(number)

    def stop(self) -> bool:
        """Let it stand still, until `SIGCONT`; return whether it does, and is not over."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self.is_over or self._stands(), f"{self} does not stop")
        return not self.is_over

    def wait(self) -> int:
        """Wait for its end, and return its exit status; below 0 is the signal that ended it."""
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Broken(f"{self} does not end:\n{self.said[-2000:]}") from None
        if "Traceback (most recent call last)" in self.said:
            raise Broken(f"{self} ended with {status} and a traceback:\n{self.said[-3000:]}")
        return status

    def kill(self) -> None:
        """End it and its children, whatever it does."""
        if self.is_over:
            return
        children = psutil.Process(self.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()

    def _stands(self) -> bool:
        return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).lower()
    except psutil.Error:  # it has ended, or is not to be asked any more
        return ""


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; nobody may have asked how a dead one ended."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(happens: Callable[[], bool], problem: str, poll: float = 0.01) -> None:
    """Wait until something happens."""
    deadline = time.monotonic() + PATIENCE
    while not happens():
        if time.monotonic() > deadline:
            raise Broken(problem)
        time.sleep(poll)
