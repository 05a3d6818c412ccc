"""One finding of `ssgan doctor`."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line of `ssgan doctor`."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    remedy: str = ""
    """What to do when it is not ok."""


def attempt(name: str, reach: Callable[[], str], remedy: str) -> Check:
    """Try something, and report what it says that it found, or what it raises."""
    try:
        return Check(name, True, reach())
    except Exception as error:  # whatever is wrong is what doctor is asked to find
        return Check(name, False, str(error) or repr(error), remedy)
