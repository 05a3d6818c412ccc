"""Signals that the main thread handles for a while."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def handling(
    number: signal.Signals, handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Handle a signal until the block ends.

    Outside the main thread, where Python allows no handlers, nothing is handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Take a signal, SIGTERM say, for a Ctrl-C.

    A job that a script starts in the background ignores SIGINT, and would ignore this too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def raise_once(flag: threading.Event, before: Any) -> Callable[[int, FrameType | None], None]:
    """Return a handler that raises a flag, and then gives the signal back to the handler before."""

    def handler(number: int, frame: FrameType | None) -> None:
        flag.set()
        signal.signal(number, before)

    return handler


@contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM (a spot instance that ends, Slurm's time limit) into a flag.

    A second one does what it did before. Outside the main thread the flag stays down.
    """
    raised = threading.Event()
    handler = raise_once(raised, signal.getsignal(signal.SIGTERM))
    with handling(signal.SIGTERM, handler):
        yield raised.is_set
