"""How work tells of its progress."""

from collections.abc import Callable

Advance = Callable[[int, int], None]
"""Called with what is done so far and what is to be done in all."""

PreparationProgress = Callable[[str, int, int, str], None]
"""Told what is being prepared, how much of it is done, how much there is, and of what."""


def of_step(progress: PreparationProgress | None, name: str, unit: str) -> Advance | None:
    """Return what is told of one step of a preparation; None where nobody is told."""
    if progress is None:
        return None
    return lambda done, total: progress(name, done, total, unit)
