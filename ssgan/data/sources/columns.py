"""Label columns: from the cells of a table, or of a CSV, to codes and a code table.

Text makes a categorical code, and so do the integers and booleans of a typed table; numbers with
a fraction make a continuous one. An empty cell is an unknown label.
"""

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssgan.base.config import Config, nearest
from ssgan.base.errors import BadInput
from ssgan.data.sources.base import Labels
from ssgan.method.codes import Code

Kind = Literal["categorical", "continuous"]
Cell = str | int | float | bool | None

MAX_CLASSES = 1000
"""More distinct values than this are an identifier, not a class."""
_SHOWN = 5


class ColumnsConfig(Config):
    """Which columns of a table are labels, and how they are read."""

    labels: tuple[str, ...] = ()
    """Columns of the table that hold labels."""
    names: dict[str, str] = Field(default_factory=dict)
    """Names of codes, by column, where the column's own name should not be used."""
    kinds: dict[str, Kind] = Field(default_factory=dict)
    """Kinds of codes, by code name, where the type of the cells misleads: for example class
    numbers in a CSV."""
    classes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Class names of categorical codes, by code name. They fix the order of the classes; where
    the cells are whole numbers or booleans they name 0, 1, 2 ..."""

    def check(self, columns: Sequence[str], available: Iterable[str], where: str) -> None:
        """Check the names of the label columns in use before any cell is read.

        Raises:
            BadInput: A column or code does not exist, or two columns make the same code.
        """
        for column in (*columns, *self.names):
            if column not in available:
                raise BadInput(f"{where} has no column {column!r}{nearest(column, available)}")
        codes = [self.names.get(column, column) for column in columns]
        for field, named in (("kinds", self.kinds), ("classes", self.classes)):
            for name in named:
                if name not in codes:
                    raise BadInput(
                        f"data.source.{field} names the code {name!r}, which no label column "
                        f"makes{nearest(name, codes)}"
                    )
        for name in codes:
            if codes.count(name) > 1:
                raise BadInput(f"two label columns make the code {name!r}; rename one of them")
            if name in self.classes and self.kinds.get(name) == "continuous":
                raise BadInput(f"the continuous code {name!r} takes no classes")


def read_columns(
    config: ColumnsConfig,
    table: Mapping[str, Sequence[Cell]],
    train: NDArray[np.bool_],
    where: str,
    row_name: Callable[[int], str],
) -> tuple[tuple[Code, ...], Labels]:
    """Read all label columns of a table.

    Args:
        config: Names, kinds and classes; `ColumnsConfig.check` has passed.
        table: The cells of each label column, N each.
        train: bool (N,): rows of the train split, over which ranges of values are taken.
        where: The table, for messages.
        row_name: Names a row by its index, for messages.

    Returns:
        K codes, and float32 (N, K): class index or value in the user's units; NaN = not known.

    Raises:
        BadInput: Cells do not fit the column's kind or classes, or tell nothing apart.
    """
    codes = []
    labels = np.full((len(train), len(table)), np.nan, dtype=np.float32)
    for k, (column, cells) in enumerate(table.items()):
        name = config.names.get(column, column)
        place = f"{where}, column {column!r}"
        classes = config.classes.get(name, ())
        kind = config.kinds.get(name)
        if kind is None:  # any float makes it continuous
            has_floats = any(isinstance(cell, float) for cell in cells)
            kind = "continuous" if has_floats and not classes else "categorical"
        if kind == "continuous":
            values, wrong = _read(cells, _finite)
            what, remedy = "are not finite numbers", f"or make {name!r} a categorical code"
        else:
            whole = [_whole(cell) for cell in cells]
            classes, index = _index_classes(name, whole, classes, place)
            values, wrong = _read(whole, index.__getitem__)
            what, remedy = f"are none of the classes {', '.join(classes)}", "or add them"
        if wrong:
            raise BadInput(
                f"{place}: {len(wrong)} of {len(cells)} cells {what}: "
                f"{_shown((cells[row], row_name(row)) for row in wrong)}; correct them {remedy}"
            )
        if kind == "continuous":
            low, high = _range(values[train], place)
            codes.append(Code(name=name, kind=kind, low=low, high=high))
        else:
            codes.append(Code(name=name, kind=kind, classes=classes))
        labels[:, k] = values
    return tuple(codes), labels


def _read(
    cells: Sequence[Cell], read: Callable[[Any], float]
) -> tuple[NDArray[np.float64], list[int]]:
    """Read cells one by one; also return the rows of those that cannot be read."""
    values = np.full(len(cells), np.nan)
    wrong = []
    for row, cell in enumerate(cells):
        if cell is not None:
            try:
                values[row] = read(cell)
            except (ValueError, KeyError):
                wrong.append(row)
    return values, wrong


def _finite(cell: Any) -> float:
    value = float(cell)
    if math.isinf(value):
        raise ValueError(value)
    return value


def _range(values: NDArray[np.float64], place: str) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if len(set(known.tolist())) < 2:
        found = f"only the value {known[0]:g}" if len(known) else "no value"
        raise BadInput(
            f"{place}: {found} in the train split; a continuous code needs two or more. Label "
            "more images, or leave the column out of data.source.labels"
        )
    return float(known.min()), float(known.max())


def _index_classes(
    name: str, cells: Sequence[Cell], classes: tuple[str, ...], place: str
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Return the classes of a column and the index of each value in them."""
    distinct = {cell for cell in cells if cell is not None}
    if classes and all(str(value) in classes for value in distinct):
        index: dict[Any, int] = {value: classes.index(str(value)) for value in distinct}
    elif classes:
        index = {value: k for k, name in enumerate(classes) for value in (name, k)}
    elif distinct and all(isinstance(value, bool) for value in distinct):
        index, classes = {False: 0, True: 1}, ("no", "yes")
    elif len(distinct) > MAX_CLASSES:
        raise BadInput(
            f"{place}: {len(distinct)} distinct values are too many for classes (at most "
            f"{MAX_CLASSES}); leave it out of data.source.labels, or set "
            f"data.source.kinds.{name}=continuous if it holds numbers"
        )
    else:  # numbers, also written as text ("2" before "10"), come before words
        ordered = sorted(distinct, key=lambda v: (0, float(v)) if is_number(v) else (1, v))
        index = {value: k for k, value in enumerate(ordered)}
        classes = tuple(map(str, ordered))
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no label"
        raise BadInput(
            f"{place}: {found}; a code needs two classes or more. Label more images, or leave the "
            "column out of data.source.labels"
        )
    return classes, index


def _whole(cell: Cell) -> Cell:
    """Read whole numbers as integers, also where a gap in the column made them floats."""
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return int(cell) if cell.is_integer() else cell
    return cell


def _shown(cells: Iterable[tuple[Cell, str]]) -> str:
    """Name some cells, each with its place, and count the rest."""
    named = [f"{cell!r} ({place})" for cell, place in cells]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more


@dataclass(frozen=True)
class LabelCsv:
    """The content of a CSV of partial labels, as text: one row a file."""

    path: Path
    files: tuple[str, ...]
    """The labeled files, relative to the image folder, with forward slashes."""
    lines: tuple[int, ...]
    """The line of each row in the CSV, from 1."""
    table: dict[str, list[str]]
    """The stripped cells of the other columns, by name; "" where a label is not known."""

    @classmethod
    def read(cls, path: Path) -> "LabelCsv":
        """Read a CSV with a header; the column `file`, or else the first, names the files.

        Raises:
            BadInput: There is no such CSV, it cannot be read, or it names a file twice.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                delimiter = max(",;\t", key=stream.readline().count)
                stream.seek(0)
                reader = csv.reader(stream, delimiter=delimiter, strict=True)
                header = [name.strip() for name in next(reader, [])]
                rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
        except FileNotFoundError:
            raise BadInput(
                f"there is no {path}; set data.source.csv to your CSV of labels"
            ) from None
        except (csv.Error, UnicodeDecodeError, OSError) as error:
            raise BadInput(f"{path} cannot be read as a UTF-8 CSV: {error}") from error
        if not rows or len(set(header)) < len(header) or "" in header:
            raise BadInput(
                f"{path} needs a header of distinct column names and one row or more; its header "
                f"is {', '.join(header) or 'empty'}"
            )
        place = header.index("file") if "file" in header else 0
        seen: dict[str, int] = {}
        for line, row in rows:
            if len(row) != len(header):
                raise BadInput(
                    f"{path}, line {line}: {len(row)} cells where the header has {len(header)}"
                )
            file = str(PurePosixPath(row[place].strip().replace("\\", "/")))
            if file in seen:
                raise BadInput(
                    f"{path} labels {file} twice, in line {seen[file]} and line {line}; keep one "
                    "of them"
                )
            seen[file] = line
        columns = zip(*(row for _, row in rows), strict=True)
        table = {
            name: [cell.strip() for cell in column]
            for name, column in zip(header, columns, strict=True)
            if name != header[place]
        }
        return cls(path, tuple(seen), tuple(seen.values()), table)

    def cells(self, column: str, kind: Kind | None) -> list[Cell]:
        """Return a column's cells: floats where all of them are numbers, else text.

        The kind is what the user declared the column to be; null to go by the cells.

        Raises:
            BadInput: Most cells are numbers, some are not, and `kind` does not say what is meant.
        """
        text = self.table[column]
        guessed, odd = guess_kind(text)
        if guessed == "continuous":
            return [float(cell) if cell else None for cell in text]
        if guessed is None and kind is None:
            shown = _shown((text[row], f"line {self.lines[row]}") for row in odd)
            raise BadInput(
                f"{self.path}, column {column!r}: {len(odd)} of {sum(map(bool, text))} cells are "
                f"not numbers: {shown}; leave unknown cells empty, or set "
                f"data.source.kinds.{column}=categorical if they are class names"
            )
        return [cell or None for cell in text]

    def refuse_unknown(self, images: Iterable[str]) -> None:
        """Refuse rows whose file is not among the images.

        Raises:
            BadInput: With the first of them.
        """
        there = set(images)
        named = zip(self.files, self.lines, strict=True)
        missing = [f"{file} (line {line})" for file, line in named if file not in there]
        if missing:
            raise BadInput(
                f"{self.path} names files that are not in the image folder, {len(missing)} in all: "
                f"{', '.join(missing[:_SHOWN])}{' ...' if len(missing) > _SHOWN else ''}; paths "
                "are relative to data.source.root"
            )


def guess_kind(cells: Sequence[str]) -> tuple[Kind | None, list[int]]:
    """Guess the kind of a column of text, where "" is not known: continuous if all are numbers.

    The kind is None where most cells are numbers but some are not: the rows returned with it.
    """
    known = sum(map(bool, cells))
    odd = [row for row, cell in enumerate(cells) if cell and not is_number(cell)]
    if not odd:
        return "continuous", odd
    return (None if len(odd) < known / 2 else "categorical"), odd


def is_number(cell: Any) -> bool:
    """Return whether a cell reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
