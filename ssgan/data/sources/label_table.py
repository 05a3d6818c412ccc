"""Partial labels that lie with pictures: CSV, JSON lines, StyleGAN's dataset.json, .cls files."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ssgan.base.errors import BadInput
from ssgan.base.json_text import read_json
from ssgan.data.sources.cells import Cell, RawColumn

_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"-?\d{1,15}", re.ASCII)


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
    def read(cls, paths: Sequence[Path]) -> "LabelTable":
        """Read label files.

        Raises:
            BadInput: There is none, one cannot be read, or they have different columns.
        """
        parts = [_read(path) for path in paths]
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


def _read(path: Path) -> LabelTable:
    try:
        if not path.is_file():
            raise FileNotFoundError
        if path.suffix.lower() == ".jsonl":
            return _read_lines(path)
        if path.suffix.lower() == ".json":
            return _read_stylegan(path)
        if path.suffix.lower() == ".cls":
            return _read_class(path)
        return _read_csv(path)
    except FileNotFoundError:
        raise BadInput(
            f"there is no file {path}; set data.source.csv to your CSV of labels"
        ) from None
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path} cannot be read as a UTF-8 CSV: {error}") from error
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"{path} cannot be read as JSON: {str(error)[:200]}") from error


def _read_csv(path: Path) -> LabelTable:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        delimiter = max(",;\t", key=_QUOTED.sub("", stream.readline()).count)
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


def _read_lines(path: Path) -> LabelTable:
    rows: list[dict[str, Any]] = []
    places = []
    with path.open(encoding="utf-8-sig") as stream:
        for line, text in enumerate(stream, start=1):
            if text.strip():
                try:
                    row = read_json(text, nan_is_null=True)
                except ValueError as error:
                    raise ValueError(f"line {line}: {error}") from None
                if not isinstance(row, dict):
                    raise BadInput(f"{path}, line {line}: not an object of names and values")
                rows.append(row)
                places.append(f"line {line}")
    columns, notes = {}, []
    for name in dict.fromkeys(name for row in rows for name in row):
        cells: list[Cell] = [row.get(name) for row in rows]
        if any(isinstance(cell, dict | list) for cell in cells):
            notes.append(f"{name} is left out: its values have parts of their own")
        else:
            columns[name] = RawColumn(cells)
    if not columns:
        raise BadInput(f"{path} has no line with names and values")
    return _table(path, columns, places, None, notes)


def _read_stylegan(path: Path) -> LabelTable:
    """Read dataset.json of StyleGAN's tools: pairs of a file and a class number."""
    content = read_json(path.read_text(encoding="utf-8-sig"))
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


def _read_class(path: Path) -> LabelTable:
    """Read the class of one picture of WebDataset: a number, or a name."""
    text = path.read_text(encoding="utf-8-sig").strip()
    if len(text.splitlines()) > 1:
        raise BadInput(f"{path} has more than one line, where the class of a picture is expected")
    cell: Cell = int(text) if _NUMBER.fullmatch(text) else text or None
    columns = {"file": RawColumn([path.stem]), "class": RawColumn([cell])}
    return _table(path, columns, ["line 1"], None, [])


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
