"""The base of every configuration class, and the hash by which configurations are compared."""

import hashlib
import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen piece of configuration. Unknown fields are errors; docstrings describe fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def canonical_hash(value: Any) -> str:
    """Hash JSON-able data independently of key order and white space.

    Returns:
        The SHA-256 of the canonical JSON, as 64 hexadecimal digits.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name closest to a misspelt one, as a clause to end an error with.

    Returns:
        ``"; did you mean 'x'?"``, or the list of known names when none is close.
    """
    known = sorted(known)
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known) or 'none'}"
