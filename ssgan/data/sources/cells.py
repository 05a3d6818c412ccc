"""Cells of label columns: which are unknown, which are numbers, which words are one."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

Cell = str | int | float | bool | None
Marker = int | float | str

UNKNOWN_WORDS = (
    "",
    "NA",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "None",
    "NULL",
    "null",
    "<NA>",
    "#N/A",
    "#NA",
    "#N/A N/A",
    "-NaN",
    "-nan",
    "1.#IND",
    "-1.#IND",
    "1.#QNAN",
    "-1.#QNAN",
)
"""What spreadsheets and pandas write into a cell that is not known (pandas' own list)."""
_DECIMAL_COMMA = re.compile(r"[-+]?\d+(,\d+)?")
_SHOWN = 5


@dataclass(frozen=True)
class RawColumn:
    """A column as its table has it: cells, and what the table itself says about them."""

    cells: Sequence[Cell]
    """None is an unknown label."""
    is_text: bool = False
    """Whether the cells are text because the format knows nothing else (a CSV), so that they may
    stand for numbers."""
    words: bool = True
    """Whether `UNKNOWN_WORDS` are unknown labels here; they are not where cells are names."""
    comma: bool = False
    """Whether a comma inside a number can only be a decimal one, since cells are divided by
    something else."""
    classes: tuple[str, ...] = ()
    """The classes 0, 1, 2 ... as the table names them."""

    def spread(self, rows: Sequence[int], count: int) -> "RawColumn":
        """Put the cells into these rows of a column of `count`; the others are unknown."""
        cells: list[Cell] = [None] * count
        for row, cell in zip(rows, self.cells, strict=True):
            cells[row] = cell
        return replace(self, cells=cells)


def drop_markers(
    cells: Iterable[Cell], markers: Collection[Marker], kept: Collection[str] = ()
) -> tuple[list[Cell], Counter[str]]:
    """Replace unknown labels by None: NaN, and markers but those that are `kept`.

    A marker that is a number stands for all ways to write it (``-1``, ``-1.0``).

    Returns:
        The cells, and how many there were of each marker.
    """
    texts = {str(marker) for marker in markers}
    numbers = {float(marker) for marker in markers if not isinstance(marker, str)}
    found: Counter[str] = Counter()
    read: list[Cell] = []
    for cell in cells:
        text = None if cell is None or cell != cell else str(cell)
        if text is not None and text not in kept:
            number = as_number(text) if numbers and not isinstance(cell, bool) else None
            if text in texts or (number is not None and number in numbers):
                found[text or "empty"] += 1
                text = None
        read.append(None if text is None else cell)
    return read, found


def compose(cells: Iterable[Cell]) -> tuple[list[Cell], list[str]]:
    """Give words their composed form (NFC); also return those that were written in both forms."""
    forms: dict[str, str] = {}
    read: list[Cell] = []
    for cell in cells:
        if isinstance(cell, str):
            if cell not in forms:
                forms[cell] = unicodedata.normalize("NFC", cell)
            cell = forms[cell]
        read.append(cell)
    return read, [word for word, count in Counter(forms.values()).items() if count > 1]


def as_number(text: str) -> float | None:
    """Read a number; None where the text is something else."""
    if "_" in text:  # Python takes 1_000 for a number, people write names so
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_number(cell: Cell) -> bool:
    """Return whether a cell is a number, or text that reads as one."""
    return cell is not None and as_number(str(cell)) is not None


def not_numbers(cells: Sequence[Cell]) -> list[int]:
    """Return the rows of known cells that do not read as numbers."""
    return [row for row, cell in enumerate(cells) if cell is not None and not is_number(cell)]


def with_points(cells: Sequence[Cell], comma: bool) -> list[Cell] | None:
    """Write the decimal commas of a column of numbers as points; None where it has none.

    Where cells are divided by commas (not `comma`), ``1,234`` may be a thousand and more: there
    some cell has to have other than three digits behind the comma.
    """
    known = [cell for cell in cells if cell is not None]
    written = [cell for cell in known if isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell)]
    behind = {len(cell.partition(",")[2]) for cell in written if "," in cell}
    if len(written) < len(known) or not behind or (behind == {3} and not comma):
        return None
    return [cell if cell is None else str(cell).replace(",", ".") for cell in cells]


def as_whole(cell: Cell) -> Cell:
    """Read a whole number as an integer, also where a gap in the column made it a float."""
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return int(cell) if cell.is_integer() else cell
    return cell


def quote_cells(cells: Sequence[Cell], rows: Sequence[int], row_name: Callable[[int], str]) -> str:
    """Name some cells, each with its place, and count the rest."""
    named = [f"{_short(cells[row])} ({row_name(row)})" for row in rows[:_SHOWN]]
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return ", ".join(named) + more


def _short(cell: Cell) -> str:
    text = repr(cell)
    return text if len(text) <= 80 else f"{text[:76]} ..."
