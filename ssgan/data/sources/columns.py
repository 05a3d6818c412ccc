"""Label columns: from the cells of a table, or of a CSV, to codes and a code table.

Text makes a categorical code, and so do the integers and booleans of a typed table; numbers with
a fraction make a continuous one, unless there are only two of them. A cell that is empty, or says
so (`UNKNOWN_WORDS`), is an unknown label. One that says *none of these* is known.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssgan.base.config import Config, nearest
from ssgan.base.errors import BadInput
from ssgan.data.sources.base import FOREIGN, Labels
from ssgan.data.sources.cells import (
    UNKNOWN_WORDS,
    Cell,
    Marker,
    RawColumn,
    as_number,
    as_whole,
    compose,
    drop_markers,
    is_number,
    not_numbers,
    quote_cells,
    with_points,
)
from ssgan.method.codes import Code

Kind = Literal["categorical", "continuous"]

MAX_CLASSES = 1000
"""More distinct values than this are an identifier, not a class."""
_LARGEST = float(np.finfo(np.float32).max)
_NO_YES = ({0, 1}, {-1, 1})


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
    unknown: tuple[Marker, ...] | None = None
    """Cells that mean "not known", as ``[-1, "NA"]``; null for the words that spreadsheets and
    pandas use (NA, N/A, NaN, None, null ...), ``[]`` to make classes of these. Empty cells are
    unknown always, and a word that `classes` names is a class."""
    foreign: tuple[Marker, ...] = ()
    """Cells that say that an image is none of the classes, as ``["none of these"]``, which is what
    `ssgan label` writes. It is a label like others; G is not to draw such images. In a column of
    numbers they are unknown, and a word that `classes` names is a class."""
    one_hot: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Codes that are spread over columns, a column a class: one of them is 1 in each labeled row
    and the others 0."""

    def parameters(self) -> dict[str, Any]:
        """Return what a fingerprint is made of; stores of before `foreign` came stay found."""
        without = set() if self.foreign else {"foreign"}
        return self.model_dump(mode="json", exclude=without)

    def check(self, columns: Sequence[str], available: Iterable[str], where: str) -> None:
        """Check the names of the label columns in use before any cell is read.

        Raises:
            BadInput: A column or code does not exist, or two columns make the same code.
        """
        spread = [column for columns in self.one_hot.values() for column in columns]
        for column in (*columns, *spread, *self.names):
            if column not in available:
                raise BadInput(f"{where} has no column {column!r}{nearest(column, available)}")
        codes = [self.names.get(column, column) for column in columns] + [*self.one_hot]
        for field, named in (("kinds", self.kinds), ("classes", self.classes)):
            for name in named:
                if name not in codes:
                    raise BadInput(
                        f"data.source.{field} names the code {name!r}, which no label column "
                        f"makes{nearest(name, codes)}"
                    )
        for column in spread:
            if [*columns, *spread].count(column) > 1:
                raise BadInput(
                    f"data.source.one_hot: the column {column!r} stands in two codes; name it once"
                )
        for name in codes:
            if codes.count(name) > 1:
                raise BadInput(f"two label columns make the code {name!r}; rename one of them")
            if name in self.classes and self.kinds.get(name) == "continuous":
                raise BadInput(f"the continuous code {name!r} takes no classes")


class ReadColumns(NamedTuple):
    """What the label columns of a table are."""

    codes: tuple[Code, ...]
    """K codes."""
    labels: Labels
    """float32 (N, K): class index or value in the user's units; NaN = not known, `FOREIGN` = none
    of the classes."""
    notes: tuple[str, ...]
    """What was left out, converted or guessed on the way, a line each."""


def read_columns(
    config: ColumnsConfig,
    table: Mapping[str, RawColumn],
    train: NDArray[np.bool_],
    where: str,
    row_name: Callable[[int], str],
) -> ReadColumns:
    """Read all label columns of a table.

    Args:
        config: Names, kinds, classes and markers; `ColumnsConfig.check` has passed.
        table: The label columns, of N cells each, with those that `config.one_hot` names.
        train: bool (N,): rows of the train split, over which ranges of values are taken.
        where: The table, for messages.
        row_name: Names a row by its index, for messages.

    Raises:
        BadInput: Cells do not fit the column's kind or classes, or tell nothing apart.
    """
    codes, labels, notes = [], [], []
    for column, raw in _joined(config, table, where, row_name).items():
        read = _Reading(config, column, raw, f"{where}, column {column!r}", row_name)
        code, values = read.code(train)
        codes.append(code)
        labels.append(values)
        notes += [f"{code.name}: {note}" for note in read.notes]
    table_of_codes = np.array(labels, dtype=np.float32).reshape(len(codes), len(train)).T
    return ReadColumns(tuple(codes), np.ascontiguousarray(table_of_codes), tuple(notes))


def _joined(
    config: ColumnsConfig,
    table: Mapping[str, RawColumn],
    where: str,
    row_name: Callable[[int], str],
) -> dict[str, RawColumn]:
    """Replace the columns of each one-hot code by one that counts its classes."""
    joined = dict(table)
    for name, columns in config.one_hot.items():
        raws = [joined.pop(column) for column in columns]
        known = [drop_markers(raw.cells, _markers(config, raw))[0] for raw in raws]
        rows = [*zip(*known, strict=True)]
        cells, wrong = _read(rows, _hot)
        if wrong:
            written: list[Cell] = [" ".join(map(str, row)) for row in rows]
            raise BadInput(
                f"{where}: {len(wrong)} of {len(rows)} rows do not have one 1 in the columns of "
                f"{name!r} ({', '.join(columns)}): {quote_cells(written, wrong, row_name)}; "
                "correct them, or leave the code out of data.source.one_hot"
            )
        joined[name] = RawColumn([as_whole(cell) for cell in cells.tolist()], classes=columns)
    return joined


def _hot(row: Sequence[Cell]) -> float:
    """Return the place of the 1 among zeros; NaN where the whole row is unknown."""
    marks = [None if cell is None else as_number(str(cell)) for cell in row if cell is not None]
    if not marks:
        return math.nan
    if sorted(mark is not None and mark for mark in marks) != [0] * (len(marks) - 1) + [1]:
        raise ValueError(row)
    return float([cell is not None and as_number(str(cell)) == 1 for cell in row].index(True))


def _markers(config: ColumnsConfig, raw: RawColumn) -> Sequence[Marker]:
    if config.unknown is not None:
        return config.unknown
    return UNKNOWN_WORDS if raw.words else ()


class _Reading:
    """Reads one column; `notes` says what it left out, converted or guessed."""

    def __init__(
        self,
        config: ColumnsConfig,
        column: str,
        raw: RawColumn,
        place: str,
        row_name: Callable[[int], str],
    ) -> None:
        self.name = config.names.get(column, column)
        self.kind = config.kinds.get(self.name)
        self.place, self.row_name = place, row_name
        self.notes: list[str] = []
        own = config.classes.get(self.name, ())
        named = () if own or self.kind == "continuous" else raw.classes
        self.classes = own or named
        markers = [*_markers(config, raw)]
        if config.unknown is None and raw.classes:
            markers.append(-1)  # what tables with names of classes write for none of them
        cells, foreign = drop_markers(raw.cells, config.foreign, own)
        self._foreign = [
            row
            for row, cell in enumerate(raw.cells)
            if cells[row] is None and cell is not None and cell == cell
        ]
        self.cells, dropped = drop_markers(cells, markers, own)
        if dropped:
            counts = ", ".join(f"{count:,} {text}" for text, count in dropped.items())
            otherwise = "" if named else "; data.source.unknown=[] makes classes of them"
            self.notes.append(f"{dropped.total():,} cells are unknown ({counts}){otherwise}")
        self.cells, merged = compose(self.cells)
        if merged:
            self.notes.append(
                f"two Unicode forms of {', '.join(map(repr, merged[:3]))}"
                f"{' ...' if len(merged) > 3 else ''} are one class"
            )
        if named:
            self.cells = [_named(cell, named) for cell in self.cells]
        elif raw.is_text:
            self._read_text(raw.comma)
        if self.kind is None:
            self.kind = "categorical" if self.classes else self._guess()
        if foreign:
            read_as = "none of the classes" if self.kind == "categorical" else "unknown"
            self.notes.append(f"{foreign.total():,} cells ({', '.join(foreign)}) are {read_as}")

    def _read_text(self, comma: bool) -> None:
        """Make numbers of text where all of it is."""
        if self.kind != "categorical" and not self.classes:
            points = with_points(self.cells, comma)
            if points is not None:
                self.cells = points
                self.notes.append("decimal commas are read as points")
        odd = not_numbers(self.cells)
        known = sum(cell is not None for cell in self.cells)
        if not odd:
            self.cells = [None if cell is None else float(cell) for cell in self.cells]
        elif len(odd) < known / 2 and self.kind is None:
            raise BadInput(
                f"{self.place}: {len(odd)} of {known} cells are not numbers: "
                f"{quote_cells(self.cells, odd, self.row_name)}; leave unknown cells empty or list "
                f"their markers in data.source.unknown, or set data.source.kinds.{self.name}="
                "categorical if they are class names"
            )

    def _guess(self) -> Kind:
        """Say what cells are that nobody declared: values if any has a fraction and not only two.

        Two numbers become classes here, so that no later step takes them for the ends of a range.
        """
        values: set[Any] = {as_whole(cell) for cell in self.cells} - {None}
        if not any(isinstance(cell, float) for cell in self.cells):
            self._ask_about_minus_one(values, "a class")
            return "categorical"
        if len(values) != 2 or any(abs(value) > _LARGEST for value in values):
            self._ask_about_minus_one(values, "a value")
            return "continuous"
        low, high = sorted(values)
        names = ("no", "yes") if values in _NO_YES else (str(low), str(high))
        self.notes.append(
            f"the only numbers are {low} and {high}: classes {' and '.join(names)}; "
            f"data.source.kinds.{self.name}=continuous makes them values"
        )
        index = {low: names[0], high: names[1]}
        self.cells = [index.get(as_whole(cell)) for cell in self.cells]
        self.classes = names
        return "categorical"

    def _ask_about_minus_one(self, values: set[Any], read_as: str) -> None:
        others = values - {-1}
        if len(others) < len(values) and len(others) > 1 and others == {*range(len(others))}:
            count = sum(cell == -1 for cell in self.cells)
            self.notes.append(
                f"-1 ({count:,} cells) is read as {read_as}; if it means unknown, set "
                "data.source.unknown=[-1]"
            )

    def code(self, train: NDArray[np.bool_]) -> tuple[Code, NDArray[np.float64]]:
        """Return the code, and float64 (N,): class index or value, NaN = not known."""
        if self.kind == "continuous":
            values, wrong = _read(self.cells, _finite)
            self._refuse(
                wrong, "are not finite numbers", f"or make {self.name!r} a categorical code"
            )
            beyond = np.abs(np.nan_to_num(values)) > _LARGEST
            self._refuse(
                beyond.nonzero()[0].tolist(),
                f"are beyond the range of float32 (±{_LARGEST:.1e})",
                "or list markers of unknown cells in data.source.unknown",
            )
            low, high = _range(values[train], self.place)
            return Code(name=self.name, kind="continuous", low=low, high=high), values
        whole = [as_whole(cell) for cell in self.cells]
        classes, index = _index_classes(self.name, whole, self.classes, self.place)
        values, wrong = _read(whole, index.__getitem__)
        self._refuse(wrong, f"are none of the classes {', '.join(classes)}", "or add them")
        values[self._foreign] = FOREIGN
        return Code(name=self.name, kind="categorical", classes=classes), values

    def _refuse(self, rows: list[int], what: str, remedy: str) -> None:
        if rows:
            raise BadInput(
                f"{self.place}: {len(rows)} of {len(self.cells)} cells {what}: "
                f"{quote_cells(self.cells, rows, self.row_name)}; correct them {remedy}"
            )


def _named(cell: Cell, classes: tuple[str, ...]) -> Cell:
    """Name a class by its number, where the table has names for them."""
    if cell is None or isinstance(cell, str):
        return cell
    number = int(cell)
    return classes[number] if 0 <= number < len(classes) else f"number {number}"


def _read(
    cells: Sequence[Any], read: Callable[[Any], float]
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
    if np.isinf(value):
        raise ValueError(value)
    return value


def _range(values: NDArray[np.float64], place: str) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if len({*known.astype(np.float32).tolist()}) < 2:
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
        ordered = sorted(distinct, key=lambda v: (0, float(v)) if is_number(v) else (1, str(v)))
        index = {value: k for k, value in enumerate(ordered)}
        classes = tuple(map(str, ordered))
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no label"
        raise BadInput(
            f"{place}: {found}; a code needs two classes or more. Label more images, or leave the "
            "column out of data.source.labels"
        )
    return classes, index
