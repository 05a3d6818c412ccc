"""Which pictures the rows of a label table are about: names, compared in several ways."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.data.sources.label_table import LabelTable
from ssgan.data.sources.tree import SUFFIXES

_UPLOAD = re.compile(r"[0-9a-fA-F]{6,}(-[0-9a-fA-F]{4,})*[-_](?=.)")
_SHOWN = 5
_SAMPLE = 200  # rows by which a column is judged


class Matched(NamedTuple):
    """The rows of a label table, and their pictures."""

    column: str
    """The column that names the pictures."""
    rows: tuple[int, ...]
    """The picture of each row, by its index among the names."""
    notes: tuple[str, ...]
    """What was guessed, a line each."""


class _Way(NamedTuple):
    """A way to compare a cell with the name of a picture: both have a key."""

    of_name: Callable[[str], str]
    of_cell: Callable[[str], str]
    how: str
    """In words; empty where nothing has to be said."""


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    """Cut off the ending of a picture."""
    return path.rpartition(".")[0] if path.lower().endswith(SUFFIXES) else path


_WAYS = (
    _Way(str, str, ""),
    _Way(_stem, _stem, "without their ending"),
    _Way(_last, _last, "by the last part of their paths"),
    _Way(
        lambda name: _stem(_last(name)),
        lambda cell: _stem(_last(cell)),
        "by the last part of their paths, without its ending",
    ),
    _Way(
        _last,
        lambda cell: _UPLOAD.sub("", _last(cell).rpartition("=")[2], count=1),
        "without the prefix of an upload",
    ),
)


@dataclass
class _Names:
    """The names of pictures, by their keys in every way."""

    root: Path
    names: Sequence[str]

    def __post_init__(self) -> None:
        self.by_key: list[dict[str, list[int]]] = []
        for way in _WAYS:
            rows = defaultdict(list)
            for row, name in enumerate(self.names):
                rows[way.of_name(_normal(name))].append(row)
            self.by_key.append(rows)

    def find(self, cell: str, folder: Path, way: int) -> list[int]:
        """Return the pictures that a cell may mean."""
        rows = self.by_key[way].get(_WAYS[way].of_cell(cell), [])
        if not rows and way <= 1:  # relative to the table's own folder
            path = os.path.relpath(os.path.join(folder, cell), self.root)
            rows = self.by_key[way].get(_WAYS[way].of_cell(_normal(path)), [])
        return rows


def match_pictures(
    table: LabelTable, names: Sequence[str], root: Path, file_column: str | None = None
) -> Matched:
    """Find the picture of every row.

    The column is `file_column`; else `file`, or else the first, where most of its cells name
    pictures; else the one that most do. All its cells are compared in one way, the one that finds
    most pictures.

    Args:
        table: The rows.
        names: The pictures, relative to `root`, with forward slashes.
        root: Their folder.
        file_column: The column that names the pictures; None to look for it.

    Raises:
        BadInput: There is no such column, or rows name no picture, several, or one twice.
    """
    known = _Names(root, names)
    column, way = _choose(table, known, file_column)
    cells = _cells(table, column)
    found = [
        known.find(cell, folder, way) for cell, folder in zip(cells, table.folders, strict=True)
    ]
    lost = [row for row, rows in enumerate(found) if len(rows) != 1]
    if lost:
        raise BadInput(_explain(table, known, cells, found, lost))
    seen: dict[int, int] = {}
    for row, (picture,) in enumerate(found):
        if picture in seen:
            raise BadInput(
                f"{table.where} labels {names[picture]} twice, in {table.places[seen[picture]]} "
                f"and {table.places[row]}; keep one of them"
            )
        seen[picture] = row
    notes = []
    if column not in ("file", next(iter(table.columns))) and file_column is None:
        notes.append(f"the column {column!r} names the pictures")
    if _WAYS[way].how:
        notes.append(
            f"{len(found):,} pictures are found {_WAYS[way].how}: {cells[0][:80]} is "
            f"{names[found[0][0]]}"
        )
    return Matched(column, tuple(seen), tuple(notes))


def fits(table: LabelTable, names: Sequence[str], root: Path) -> bool:
    """Return whether some column names a picture in most of its rows."""
    known = _Names(root, names)
    return any(_score(table, known, column)[0] >= 0.5 for column in table.columns)


def _choose(table: LabelTable, known: _Names, file_column: str | None) -> tuple[str, int]:
    """Return the column that names the pictures, and the way in which it does."""
    columns = [*table.columns]
    if file_column is not None:
        if file_column not in columns:
            raise BadInput(
                f"{table.where} has no column {file_column!r} (data.source.file_column)"
                f"{nearest(file_column, columns)}"
            )
        return file_column, _score(table, known, file_column)[1]
    scores = {}
    for column in ["file", columns[0]] if "file" in columns else columns[:1]:
        scores[column] = _score(table, known, column)
        if scores[column][0] >= 0.5 and (column == "file" or scores[column][1] == 0):
            return column, scores[column][1]
    scores |= {column: _score(table, known, column) for column in columns if column not in scores}
    best = max(scores, key=lambda column: (scores[column][0], -scores[column][1]))
    usual = next(iter(scores))
    chosen = best if scores[best][0] > 0 else usual
    return chosen, scores[chosen][1]


def _score(table: LabelTable, known: _Names, column: str) -> tuple[float, int]:
    """Return the share of cells that name a picture, and the way in which most do."""
    cells = _cells(table, column)
    step = max(1, len(cells) // _SAMPLE)
    sample = [*zip(cells, table.folders, strict=True)][::step]
    counts = [
        sum(len(known.find(cell, folder, way)) == 1 for cell, folder in sample)
        for way in range(len(_WAYS))
    ]
    best = max(counts)
    return best / len(sample), counts.index(best)


def _cells(table: LabelTable, column: str) -> list[str]:
    cells = table.columns[column].cells
    return [_normal("" if cell is None else str(cell)) for cell in cells]


def _normal(name: str) -> str:
    """Write a path with forward slashes, in Unicode's composed form."""
    path = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
    return str(PurePosixPath(path))


def _explain(
    table: LabelTable,
    known: _Names,
    cells: Sequence[str],
    found: Sequence[Sequence[int]],
    lost: Sequence[int],
) -> str:
    """Say which rows have no picture, and what is there that looks like the first of them."""
    first = lost[0]
    text = cells[first][:80]
    near = ""
    for way, (_, _, how) in enumerate(_WAYS):
        hits = found[first] or known.find(cells[first], table.folders[first], way)
        if len(hits) > 1:
            may_be = " or ".join(known.names[row] for row in hits[:3])
            return (
                f"{table.where}, {table.places[first]}: {text} may be {may_be}; write paths "
                "relative to data.source.root"
            )
        if hits:
            near = f" ({known.names[hits[0]]} is there: names {how}?)"
            break
    else:
        if close := get_close_matches(text, known.names[:5000], n=1, cutoff=0.8):
            near = f" ({close[0]} is there)"
    listed = ", ".join(f"{cells[row][:80]} ({table.places[row]})" for row in lost[:_SHOWN])
    return (
        f"{table.where} names files that are not in the image folder, {len(lost)} in all: {listed}"
        f"{' ...' if len(lost) > _SHOWN else ''}{near}; paths are relative to data.source.root, "
        "and data.source.file_column says which column holds them"
    )
