"""Partial labels that lie with pictures: CSV, JSON lines, dataset.json, a file for each picture."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ssgan.base.errors import BadInput
from ssgan.base.json_text import read_json
from ssgan.data.sources.cells import Cell, RawColumn
from ssgan.data.sources.tree import read_regular

_ASK = "run `ssgan label FILE.yaml`, which writes your answers to it"
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"-?\d{1,15}", re.ASCII)

OF_ONE_PICTURE = (".cls", ".json", ".txt")
"""Endings of files that describe one picture, whose name they have: WebDataset's."""

Read = Callable[[Path], bytes]
"""Reads a file."""


@dataclass(frozen=True)
class LabelTable:
    """The rows of one label file, or of several of one kind (a metadata.csv in each folder)."""

    where: str
    """The file or files, for messages."""
    columns: dict[str, RawColumn]
    """All columns by name, that of the pictures' names among them."""
    places: tuple[str, ...]
    """Where each row stands, for messages."""
    folders: tuple[Path, ...]
    """The folder of each row's file."""
    index: str | None = None
    """The column that had no name: the row numbers that pandas writes; or None."""
    notes: tuple[str, ...] = ()
    """What was left out or named, a line each."""

    @classmethod
    def read(cls, paths: Sequence[Path], read: Read = read_regular) -> "LabelTable":
        """Read label files; `read` gives their contents.

        Raises:
            BadInput: There is none, one cannot be read, or they have different columns.
        """
        own = [path for path in paths if path.suffix in OF_ONE_PICTURE and not _is_stylegan(path)]
        if own and (len(paths) > 1 or own[0].suffix != ".json"):
            return _read_own(paths, read)
        parts = [_read(path, read) for path in paths]
        first = parts[0]
        if len(parts) == 1:
            return first
        for path, part in zip(paths, parts, strict=True):
            if {*part.columns} != {*first.columns}:
                raise BadInput(
                    f"{path} has other columns than {paths[0]}: {_quote(part.columns)} and "
                    f"{_quote(first.columns)}; give them the same, or name one file in "
                    "data.source.csv"
                )
        return replace(
            first,
            where=f"{paths[0]} and {len(parts) - 1} more",
            columns={
                name: replace(
                    raw, cells=[cell for one in parts for cell in one.columns[name].cells]
                )
                for name, raw in first.columns.items()
            },
            places=tuple(
                f"{path.parent.name}/{path.name} {place}"
                for path, part in zip(paths, parts, strict=True)
                for place in part.places
            ),
            folders=tuple(folder for part in parts for folder in part.folders),
        )


def _read(path: Path, read: Read) -> LabelTable:
    text = _read_text(path, read)
    try:
        if path.suffix.lower() == ".jsonl":
            return _read_lines(path, text)
        if path.suffix.lower() == ".json":
            return _read_stylegan(path, text)
        return _read_csv(path, text)
    except csv.Error as error:
        raise BadInput(f"{path} cannot be read as a UTF-8 CSV: {error}") from error
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"{path} cannot be read as JSON: {str(error)[:200]}") from error


def _read_text(path: Path, read: Read) -> str:
    try:
        return read(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise BadInput(
            f"there is no file {path}; set data.source.csv to your CSV of labels, or {_ASK}"
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path} cannot be read as a UTF-8 CSV: {error}") from error


def find_delimiter(header: str) -> str:
    """Return what divides the cells of a CSV, by its first line."""
    return max(",;\t", key=_QUOTED.sub("", header).count)


def _read_csv(path: Path, text: str) -> LabelTable:
    stream = io.StringIO(text, newline="")
    delimiter = find_delimiter(stream.readline())
    stream.seek(0)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    header = [name.strip() for name in next(reader, [])]
    rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    for line, row in rows:
        if len(row) != len(header):
            raise BadInput(
                f"{path}, line {line}: {len(row)} cells where the header has {len(header)}"
            )
    index, notes = None, []
    while len(header) > 1 and not header[-1] and not any(row[-1].strip() for _, row in rows):
        header.pop()  # a separator at the end of each line
        rows = [(line, row[:-1]) for line, row in rows]
    if header and not header[0] and rows:
        index = next(name for name in ("index", "row", "column_1") if name not in header)
        header[0] = index
        notes.append(f"the first column has no name and is called {index}")
    if header and not rows:
        raise BadInput(f"{path} has no row yet, and needs one row or more: {_ASK}, or add some")
    if not rows or len(set(header)) < len(header) or "" in header:
        raise BadInput(
            f"{path} needs a header of distinct column names and one row or more; its header "
            f"is {_quote(header) or 'empty'}"
        )
    columns = {
        name: RawColumn(
            [cell.strip() or None for cell in column], is_text=True, comma=delimiter != ","
        )
        for name, column in zip(header, zip(*(row for _, row in rows), strict=True), strict=True)
    }
    places = [f"line {line}" for line, _ in rows]
    return _table(path, columns, places, index, notes)


def _read_lines(path: Path, content: str) -> LabelTable:
    rows: list[dict[str, Any]] = []
    places = []
    for line, text in enumerate(io.StringIO(content, newline=None), start=1):
        if text.strip():
            try:
                row = read_json(text, nan_is_null=True)
            except ValueError as error:
                raise ValueError(f"line {line}: {error}") from None
            if not isinstance(row, dict):
                raise BadInput(f"{path}, line {line}: not an object of names and values")
            rows.append(row)
            places.append(f"line {line}")
    columns, notes = _columns_of(rows)
    if not columns:
        raise BadInput(f"{path} has no line with names and values")
    return _table(path, columns, places, None, notes)


def _columns_of(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, RawColumn], list[str]]:
    """Return the columns of JSON objects, without those that have parts of their own."""
    columns, notes = {}, []
    for name in dict.fromkeys(name for row in rows for name in row):
        cells: list[Cell] = [row.get(name) for row in rows]
        if any(isinstance(cell, dict | list) for cell in cells):
            notes.append(f"{name[:80]} is left out: its values have parts of their own")
        else:
            columns[name] = RawColumn(cells)
    return columns, notes


def _is_stylegan(path: Path) -> bool:
    return path.name.lower() == "dataset.json"


def _read_stylegan(path: Path, text: str) -> LabelTable:
    """Read dataset.json of StyleGAN's tools: pairs of a file and a class number."""
    content = read_json(text)
    pairs = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and (pair[1] is None or type(pair[1]) is int)
        for pair in pairs
    ):
        raise BadInput(
            f'{path} is not a dataset.json of StyleGAN ("labels": pairs of a file and a class '
            "number); write a CSV with the columns file and label instead"
        )
    if not pairs:
        raise BadInput(f'{path} has no "labels"')
    columns = {"file": RawColumn([pair[0] for pair in pairs])}
    columns["label"] = RawColumn([pair[1] for pair in pairs])
    return _table(path, columns, [f"pair {k}" for k in range(len(pairs))], None, [])


def _read_own(paths: Sequence[Path], read: Read) -> LabelTable:
    """Read files of one picture each: its class (.cls), a text (.txt), names and values (.json).

    Those of one picture make one row.
    """
    rows: dict[Path, dict[str, Any]] = {}
    for path in paths:
        row = rows.setdefault(path.with_suffix(""), {"file": path.stem})
        text = _read_text(path, read).strip()
        if path.suffix == ".json":
            row |= _read_object(path, text)
            continue
        if len(text.splitlines()) > 1:
            what = "class" if path.suffix == ".cls" else "text"
            raise BadInput(
                f"{path} has more than one line, where the {what} of a picture is expected"
            )
        is_class = path.suffix == ".cls"
        is_number = is_class and _NUMBER.fullmatch(text)
        row["class" if is_class else "text"] = int(text) if is_number else text or None
    columns, notes = _columns_of([*rows.values()])
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return LabelTable(
        f"{paths[0]}{more}",
        columns,
        tuple(f"{path.parent.name}/{path.name}" for path in rows),
        tuple(path.parent for path in rows),
        notes=tuple(notes),
    )


def _read_object(path: Path, text: str) -> dict[str, Any]:
    """Read names and values; names that other files of the picture give get the file's ending."""
    try:
        values = read_json(text, nan_is_null=True)
    except ValueError as error:
        raise BadInput(f"{path} cannot be read as JSON: {str(error)[:200]}") from error
    if not isinstance(values, dict):
        raise BadInput(f"{path} is not an object of names and values")
    return {
        f"{name}.json" if name in ("file", "class", "text") else name: value
        for name, value in values.items()
    }


def _table(
    path: Path,
    columns: dict[str, RawColumn],
    places: Sequence[str],
    index: str | None,
    notes: Sequence[str],
) -> LabelTable:
    folders = (path.parent,) * len(places)
    return LabelTable(str(path), columns, tuple(places), folders, index, tuple(notes))


def _quote(names: Sequence[str] | dict[str, RawColumn]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 200 else f"{text[:196]} ..."
