"""Label columns as `ssgan init` proposes them: their kinds, and what is found in them."""

from collections.abc import Callable, Mapping, Sequence, Set
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ssgan.data.sources.cells import (
    UNKNOWN_WORDS,
    Cell,
    RawColumn,
    as_number,
    drop_markers,
    not_numbers,
    quote_cells,
    with_points,
)
from ssgan.data.sources.columns import ColumnsConfig, Kind, read_columns

MOST_CLASSES = 50
_NUMBERED = 10  # rows from which numbers that rise are no accident
_SHOWN = 12


class Column(NamedTuple):
    """A label column, as it is proposed; the code gets its name."""

    name: str
    kind: Kind | None
    """What it becomes; None leaves it out."""
    found: str
    """Labels and their counts, the range of values, or why it is left out."""
    known: int
    """Pictures that have a value."""
    declared: bool = False
    """Whether the kind must be written down, since the cells do not show it."""
    notes: tuple[str, ...] = ()
    """What is left out, converted or guessed when it is read."""
    spread: tuple[str, ...] = ()
    """The columns of the table that it is spread over, a column a class; empty where it is one."""
    present: tuple[bool, ...] = ()
    """Which rows of the table have a value."""


def propose_all(
    raws: Mapping[str, RawColumn],
    where: str,
    row_name: Callable[[int], str],
    index: str | None = None,
) -> tuple[Column, ...]:
    """Say what the source makes of all columns; those that are exclusive become one.

    Args:
        raws: The columns by name.
        where: Their table, for messages.
        row_name: Names a row by its number, for messages.
        index: The column that had no name, since it numbers the rows; None without.

    Raises:
        BadInput: Numbers are infinite or too large.
    """
    spread = _exclusive(raws)
    columns = []
    for name, raw in raws.items():
        if name == index:
            found = "a column without a name, which numbers the rows"
            columns.append(Column(name, None, found, len(raw.cells)))
        elif name not in spread:
            columns.append(_column(name, raw, where, row_name))
    if spread:
        taken = {column.name for column in columns}
        name = next(name for name in ("class", "category", "one_of") if name not in taken)
        columns.append(propose(name, {each: raws[each] for each in spread}, where, row_name))
    return tuple(columns)


def _exclusive(raws: Mapping[str, RawColumn]) -> tuple[str, ...]:
    """Return the columns of 0 and 1 if exactly one of them is 1 in every labeled row."""
    flags = {}
    for name, raw in raws.items():
        cells, _ = drop_markers(raw.cells, UNKNOWN_WORDS)
        marks = [None if cell is None else as_number(str(cell)) for cell in cells]
        if not not_numbers(cells) and {*marks} - {None} == {0, 1}:
            flags[name] = marks
    sums = {
        None if None in row and len({*row}) == 1 else sum(mark or 0 for mark in row)
        for row in zip(*flags.values(), strict=True)
    }
    return tuple(flags) if len(flags) > 1 and sums - {None} == {1} else ()


def _column(name: str, raw: RawColumn, where: str, row_name: Callable[[int], str]) -> Column:
    """Say what the source makes of a column, or why it is better left out.

    Numbers that count are proposed as classes, which the source has to be told: it takes all
    numbers for values.
    """
    markers = (*UNKNOWN_WORDS, -1) if raw.classes else UNKNOWN_WORDS
    cells, _ = drop_markers(raw.cells, markers)
    cells = with_points(cells, raw.comma) or cells
    known = [cell for cell in cells if cell is not None]
    distinct = len({*known})
    if distinct < 2:
        found = f"only {known[0]!r}" if known else "nothing"
        return Column(name, None, f"{found} in it, which tells no picture from another", len(known))
    if raw.classes:
        return propose(name, {name: raw}, where, row_name)
    odd = not_numbers(cells)
    if odd and len(odd) < len(known) / 2:
        found = f"numbers, but also {quote_cells(cells, odd, row_name)}; correct the cells, or"
        return Column(name, None, f"{found} list them in data.source.unknown", len(known))
    if odd and distinct > min(MOST_CLASSES, max(5, len(known) / 2)):
        return Column(name, None, f"{distinct} different texts in {len(known)} cells", len(known))
    if not odd and len(known) >= _NUMBERED and _counts_rows(known):
        found = f"whole numbers that only rise from row to row, {known[0]} to {known[-1]}"
        return Column(name, None, f"{found}: they number the rows, it seems", len(known))
    numbers = {None if cell is None or odd else as_number(str(cell)) for cell in cells} - {None}
    declared: Kind | None = None
    has_floats = any(isinstance(cell, float) for cell in known)  # a gap makes them of integers
    if (raw.is_text or has_floats) and _are_class_numbers(numbers):
        declared = "categorical"
    elif numbers and not raw.is_text and distinct > MOST_CLASSES:
        declared = "continuous"
    return propose(name, {name: raw}, where, row_name, declared)


def propose(
    name: str,
    table: Mapping[str, RawColumn],
    where: str = "the labels",
    row_name: Callable[[int], str] = str,
    declared: Kind | None = None,
) -> Column:
    """Read a code's column, or columns, as the source will, and describe what comes of it.

    Raises:
        BadInput: As `read_columns`.
    """
    spread = () if {*table} == {name} else tuple(table)
    config = ColumnsConfig(
        kinds={name: declared} if declared else {}, one_hot={name: spread} if spread else {}
    )
    everything = np.ones(len(next(iter(table.values())).cells), dtype=np.bool_)
    read = read_columns(config, table, everything, where, row_name)
    (code,) = read.codes
    present = ~np.isnan(read.labels[:, 0])
    known = read.labels[present, 0]
    found = f"{code.low:g} to {code.high:g}"
    if code.is_categorical:
        counts = np.bincount(known.astype(int), minlength=code.size)
        listed = [f"{each}: {n}" for each, n in zip(code.classes, counts, strict=True)]
        more = f" ... {len(listed)} classes" if len(listed) > _SHOWN else ""
        found = ", ".join(listed[:_SHOWN]) + more
    notes = [note.removeprefix(f"{name}: ") for note in read.notes]
    if spread:
        notes.append(f"one of {', '.join(spread[:_SHOWN])} is 1 in every labeled row")
    return Column(
        name,
        code.kind,
        found,
        len(known),
        declared is not None,
        tuple(notes),
        spread,
        tuple(present.tolist()),
    )


def _counts_rows(known: Sequence[Cell]) -> bool:
    """Whether cells are whole numbers, each larger than the one before."""
    numbers = [as_number(str(cell)) or 0.0 for cell in known]
    return all(map(float.is_integer, numbers)) and all(
        low < high for low, high in pairwise(numbers)
    )


def _are_class_numbers(values: Set[Cell]) -> bool:
    """Whether numbers count classes: 0, 1, 2 ... or 1, 2, 3 ... without a gap, and not many.

    Two numbers are classes anyway.
    """
    count = len(values)
    return 2 < count <= 20 and values in ({*range(count)}, {*range(1, count + 1)})
