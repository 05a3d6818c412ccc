"""Names of classes: which are one, which cannot be written down, and the keys that stand for them.

Two names that differ only in case, in spaces or in their Unicode form are one class.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from ssgan.base.errors import BadInput
from ssgan.data.sources.cells import as_number
from ssgan.method.codes import NONE_OF_THESE

KEYS = "1234567890abcdefghijklmopqrstvwyz"
"""Keys for classes, in the order in which they are given away: all that mean nothing else."""
LONGEST = 100
"""Characters of a class's name, at most."""
_OWN_KEY = re.compile(f"[{KEYS}]")


def plain(name: str) -> str:
    """Return what names of one class have in common."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def find_class(name: str, classes: Iterable[str]) -> str | None:
    """Return the class that a name means, however it is written; None if it is a new one."""
    wanted = plain(name)
    return next((known for known in classes if plain(known) == wanted), None)


def check_class(name: str, unknown: Collection[str]) -> str:
    """Return the name of a new class as it is written down.

    Args:
        name: What was typed.
        unknown: Words that stand for an unknown label in the file (`data.source.unknown`).

    Raises:
        BadInput: It is empty, too long, or would be read as something else.
    """
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or not name.isprintable() or len(name) > LONGEST:
        raise BadInput(f"a class needs a name of 1 to {LONGEST} visible characters")
    if plain(name) == plain(NONE_OF_THESE):
        raise BadInput(f"{name!r} has a key of its own, x; take another name for a class")
    if name in unknown:
        raise BadInput(f"{name!r} means that a label is not known; take another name for a class")
    return name


def find_doubles(cells: Iterable[str]) -> list[list[str]]:
    """Return names that differ only in case, spaces or Unicode form, the commonest first."""
    counts = Counter(cells)
    groups: dict[str, list[str]] = {}
    for name, _ in counts.most_common():
        groups.setdefault(plain(name), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def give_keys(classes: Sequence[str]) -> dict[str, str]:
    """Return the key of each class, as far as there are keys.

    A class whose name is a key has that one if it is free, so that 7 stands for 7. Classes that are
    added at the end change no key.
    """
    keys: dict[str, str] = {}
    for name in classes:
        free = [key for key in KEYS if key not in keys.values()]
        if not free:
            break
        own = plain(name)
        keys[name] = own if _OWN_KEY.fullmatch(own) and own in free else free[0]
    return keys


def are_numbers(classes: Iterable[str]) -> bool:
    """Whether all names read as numbers, which a CSV takes for values unless it is told."""
    return all(as_number(name) is not None for name in classes)
