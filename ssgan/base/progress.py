"""How work tells of its progress."""

from collections.abc import Callable

Advance = Callable[[int, int], None]
"""Called with what is done so far and what is to be done in all."""
