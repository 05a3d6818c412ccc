"""Label columns: from the cells of a table to a named code and a column of the code table.

Text makes a categorical code, and so do the integers and booleans of a typed table; numbers with
a fraction make a continuous one. An empty cell is an unknown label.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssgan.base.config import Config, nearest
from ssgan.base.errors import BadInput
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

    def code_name(self, column: str) -> str:
        """Return the code's name for a column of the table."""
        return self.names.get(column, column)

    def check(self, columns: Sequence[str], available: Sequence[str], where: str) -> None:
        """Check names before any cell is read.

        Args:
            columns: The label columns in use.
            available: All columns of the table.
            where: The table, for messages.

        Raises:
            BadInput: A column or code does not exist, or two columns make the same code.
        """
        for column in (*columns, *self.names):
            if column not in available:
                raise BadInput(f"{where} has no column {column!r}{nearest(column, available)}")
        codes = [self.code_name(column) for column in columns]
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


@dataclass(frozen=True)
class LabelColumn:
    """One label column, read.

    Attributes:
        code: What the column stands for.
        values: float32 (N,): class index or value in the user's units; NaN = not known.
    """

    code: Code
    values: NDArray[np.float32]


def read_columns(
    config: ColumnsConfig,
    table: Mapping[str, Sequence[Cell]],
    train: NDArray[np.bool_],
    where: str,
    row_name: Callable[[int], str],
) -> tuple[LabelColumn, ...]:
    """Read all label columns of a table.

    Args:
        config: Names, kinds and classes; `ColumnsConfig.check` has passed.
        table: The cells of each label column, N each.
        train: bool (N,): rows of the train split, over which ranges of values are taken.
        where: The table, for messages.
        row_name: Names a row by its index, for messages.

    Raises:
        BadInput: Cells do not fit the column's kind or classes, or tell nothing apart.
    """
    columns = []
    for column, cells in table.items():
        name = config.code_name(column)
        place = f"{where}, column {column!r}"
        classes = config.classes.get(name, ())
        kind = config.kinds.get(name) or ("categorical" if classes else guess_kind(cells))
        if kind == "continuous":
            columns.append(_continuous(name, cells, train, place, row_name))
        else:
            columns.append(_categorical(name, cells, classes, place, row_name))
    return tuple(columns)


def guess_kind(cells: Sequence[Cell]) -> Kind:
    """Guess a column's kind from its cells: any float makes it continuous."""
    return "continuous" if any(isinstance(cell, float) for cell in cells) else "categorical"


def _continuous(
    name: str,
    cells: Sequence[Cell],
    train: NDArray[np.bool_],
    place: str,
    row_name: Callable[[int], str],
) -> LabelColumn:
    values = np.full(len(cells), np.nan)
    wrong = []
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            values[row] = float(cell)
        except ValueError:
            wrong.append((row, cell))
        else:
            if math.isinf(values[row]):
                wrong.append((row, cell))
    _refuse(
        wrong,
        len(cells),
        place,
        row_name,
        "are no finite numbers",
        f"or make {name!r} a categorical code",
    )
    known = values[train & ~np.isnan(values)]
    if len(set(known.tolist())) < 2:
        found = f"only the value {known[0]:g}" if len(known) else "no value"
        raise BadInput(
            f"{place}: {found} in the train split; a continuous code needs two or more. Label "
            "more images, or leave the column out of data.source.labels"
        )
    code = Code(name=name, kind="continuous", low=float(known.min()), high=float(known.max()))
    return LabelColumn(code, values.astype(np.float32))


def _categorical(
    name: str,
    cells: Sequence[Cell],
    classes: tuple[str, ...],
    place: str,
    row_name: Callable[[int], str],
) -> LabelColumn:
    known: list[Any] = [_whole(cell) for cell in cells]
    distinct = {cell for cell in known if cell is not None}
    index: dict[Any, int]
    if classes and all(str(value) in classes for value in distinct):
        index = {value: classes.index(str(value)) for value in distinct}
    elif classes:
        index = {name: position for position, name in enumerate(classes)}
        index.update({position: position for position in range(len(classes))})
    else:
        if len(distinct) > MAX_CLASSES:
            raise BadInput(
                f"{place}: {len(distinct)} distinct values are too many for classes (at most "
                f"{MAX_CLASSES}); leave it out of data.source.labels, or set "
                f"data.source.kinds.{name}=continuous if it holds numbers"
            )
        if all(isinstance(value, bool) for value in distinct) and distinct:
            index, classes = {False: 0, True: 1}, ("no", "yes")
        else:
            ordered = sorted(distinct, key=_order)
            index = {value: position for position, value in enumerate(ordered)}
            classes = tuple(str(value) for value in ordered)
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no label"
        raise BadInput(
            f"{place}: {found}; a code needs two classes or more. Label more images, or leave the "
            "column out of data.source.labels"
        )
    values = np.full(len(cells), np.nan, dtype=np.float32)
    wrong = []
    for row, cell in enumerate(known):
        if cell is None:
            continue
        if cell in index:
            values[row] = index[cell]
        else:
            wrong.append((row, cells[row]))
    _refuse(
        wrong,
        len(cells),
        place,
        row_name,
        f"are none of the classes {', '.join(classes)}",
        "or add them",
    )
    return LabelColumn(Code(name=name, kind="categorical", classes=classes), values)


def _whole(cell: Cell) -> Cell:
    """Read whole numbers as integers, also where a gap in the column made them floats."""
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return int(cell) if cell.is_integer() else cell
    return cell


def _order(value: Any) -> tuple[int, Any]:
    # Numbers, also written as text ("2" before "10"), come before words.
    try:
        return 0, float(value)
    except ValueError:
        return 1, value


def _refuse(
    wrong: Sequence[tuple[int, Cell]],
    count: int,
    place: str,
    row_name: Callable[[int], str],
    what: str,
    remedy: str,
) -> None:
    if not wrong:
        return
    shown = ", ".join(f"{cell!r} ({row_name(row)})" for row, cell in wrong[:_SHOWN])
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    raise BadInput(
        f"{place}: {len(wrong)} of {count} cells {what}: {shown}{more}; mend the cells {remedy}"
    )
