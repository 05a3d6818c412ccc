"""Damage to the bytes of a file, drawn by hypothesis, and what may come of it."""

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from ssgan.base.errors import BadInput

Result = TypeVar("Result")

_ODD = [
    b"\0",
    b"\xff",
    b"\n",
    b'"',
    b",",
    b";",
    b"[" * 50,
    b"9" * 40,
    b"1e999",
    b"NaN",
    b"\xe2\x80\xa8",
    b"\x7f\xff\xff\xff\xff\xff\xff\xff",
]
"""What readers stumble over."""


def damaged() -> st.SearchStrategy[list[tuple[str, float, Any]]]:
    """Draw one to four changes: what is done, where (0 to 1), and with what."""
    place = st.floats(0, 1, exclude_max=True)
    change = st.one_of(
        st.tuples(st.just("flip"), place, st.integers(1, 255)),
        st.tuples(
            st.just("insert"), place, st.one_of(st.sampled_from(_ODD), st.binary(max_size=9))
        ),
        st.tuples(st.just("drop"), place, st.integers(1, 40)),
        st.tuples(st.just("cut"), place, st.none()),
        st.tuples(st.just("double"), place, st.integers(1, 60)),
    )
    return st.lists(change, min_size=1, max_size=4)


def damage(content: bytes, changes: list[tuple[str, float, Any]]) -> bytes:
    """Apply changes in order."""
    for how, place, what in changes:
        at = int(place * len(content))
        match how:
            case "flip":
                flipped = bytes([content[at] ^ what]) if content else b""
                content = content[:at] + flipped + content[at + 1 :]
            case "insert":
                content = content[:at] + what + content[at:]
            case "drop":
                content = content[:at] + content[at + what :]
            case "cut":
                content = content[:at]
            case _:
                content = content[:at] + content[at : at + what] * 2 + content[at + what :]
    return content


def read_or_refused(read: Callable[[], Result]) -> Result | None:
    """Return what is read, or None where it is refused in a message of at most five lines."""
    try:
        return read()
    except BadInput as error:
        refused = str(error)
    assert 1 <= len(refused.splitlines()) <= 5, refused
    assert len(refused) < 2000, refused
    return None
