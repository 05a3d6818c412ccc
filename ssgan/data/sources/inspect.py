"""What `ssgan init` finds in a folder of pictures and a CSV of labels, and what it proposes."""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Literal, NamedTuple

import numpy as np

from ssgan.base.errors import BadInput
from ssgan.data.sources.columns import (
    Cell,
    ColumnsConfig,
    Kind,
    LabelCsv,
    guess_kind,
    read_columns,
)
from ssgan.data.sources.folder import Headers, find_pictures, folder_cells, read_headers

_SIZES = (8, 16, 24, 28, 32, 40, 48, 56, 64)  # pixels that the networks take
_SIZE = 32  # what larger pictures are scaled to, and a CPU trains in an hour or so
_MOST_CLASSES = 50
_SHOWN = 12
_CROPPED = 1.5  # pictures longer than this times their width lose too much to a central square


class Framing(NamedTuple):
    """How pictures become images of one size."""

    size: int
    """Height and width in pixels."""
    resize: Literal["crop", "pad"] | None
    """The rule for pictures that are not square; None where all are."""
    reason: str


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


@dataclass(frozen=True)
class Inspection:
    """What there is in a folder."""

    root: Path
    count: int
    """Pictures that can be read."""
    broken: tuple[str, ...]
    """Names of those that cannot."""
    gray: bool
    """Whether all of them are gray."""
    framing: Framing
    csv: Path | None
    columns: tuple[Column, ...]
    """The label columns of the CSV."""
    folders: Column | None
    """The code that folder names make, or None."""
    complete: bool
    """Whether most pictures with a label have all of them, so that combinations can be counted."""

    @property
    def chosen(self) -> tuple[Column, ...]:
        """The columns that become supervised codes."""
        own = tuple(column for column in self.columns if column.kind is not None)
        return own if self.folders is None else (*own, self.folders)


def inspect_folder(root: Path, csv: Path | None) -> Inspection:
    """Look at a folder of pictures and its CSV of labels: without a name, the only one in it.

    Raises:
        BadInput: There are no pictures, several CSVs, or a CSV that does not fit the pictures.
    """
    names = find_pictures(root)
    headers = read_headers(root, names)
    if not headers.sizes:
        raise BadInput(f"none of the {len(names)} pictures in {root} can be read")
    csv = csv or _find_csv(root)
    columns: tuple[Column, ...] = ()
    complete = True
    if csv is not None:
        table = LabelCsv.read(csv)
        table.refuse_unknown(names)
        columns = tuple(_column(table, name) for name in table.table)
        rows = zip(*(table.table[one.name] for one in columns if one.kind), strict=True)
        known = [[bool(cell) for cell in row] for row in rows]
        complete = 2 * sum(map(all, known)) > sum(map(any, known))
    return Inspection(
        root=root,
        count=len(headers.sizes),
        broken=headers.broken,
        gray=headers.gray == len(headers.sizes),
        framing=_frame(headers),
        csv=csv,
        columns=columns,
        folders=_folders(names, {column.name for column in columns}),
        complete=complete,
    )


def _find_csv(root: Path) -> Path | None:
    found = sorted(root.glob("*.csv"))
    if len(found) > 1:
        raise BadInput(
            f"{root} holds several CSVs ({', '.join(file.name for file in found)}); say which one "
            "holds the labels with --csv"
        )
    return found[0] if found else None


def _frame(headers: Headers) -> Framing:
    sizes = Counter(headers.sizes.values())
    shorter = sorted(min(size) for size in headers.sizes.values())
    (width, height), _ = sizes.most_common(1)[0]
    one = len(sizes) == 1
    what = f"all are {width}x{height}" if one else f"they are of {len(sizes)} sizes"
    if one and width == height and width in _SIZES:
        return Framing(width, None, f"{what}, which suits the networks")
    typical = shorter[len(shorter) // 10]  # a few tiny pictures do not decide for all
    size = min(_SIZE, max((s for s in _SIZES if s <= typical), default=_SIZES[0]))
    larger = f"; up to {min(64, typical)} would show more and take longer" if typical > size else ""
    ratios = [max(size) / min(size) for size in headers.sizes.values()]
    if max(ratios) == 1:
        return Framing(size, None, f"{what}, all square; {size} pixels{larger}")
    lost = mean(1 - 1 / ratio for ratio in ratios)
    if median(ratios) <= _CROPPED:
        why = f"not all square; the central squares leave out {lost:.0%} of them{larger}"
        return Framing(size, "crop", f"{what}, {why}")
    why = f"most far from square; black bars keep all, crop would leave out {lost:.0%}{larger}"
    return Framing(size, "pad", f"{what}, {why}")


def _column(table: LabelCsv, name: str) -> Column:
    """Say what the source makes of a column, or why it is better left out.

    Numbers that count are proposed as classes, which the source has to be told: it takes all
    numbers for values.
    """
    text = table.table[name]
    known = [cell for cell in text if cell]
    distinct = len(set(known))
    if distinct < 2:
        found = f"only {known[0]!r}" if known else "nothing"
        return Column(name, None, f"{found} in it, which tells no picture from another", len(known))
    kind, odd = guess_kind(text)
    if kind is None:
        found = f"numbers, but also {text[odd[0]]!r}; correct the cells"
        return Column(name, None, found, len(known))
    if kind == "categorical" and distinct > min(_MOST_CLASSES, max(5, len(known) / 2)):
        return Column(name, None, f"{distinct} different texts in {len(known)} cells", len(known))
    cells = table.cells(name, None)
    try:
        return _proposed(
            name, cells, kind == "continuous" and _are_class_numbers({*cells} - {None})
        )
    except BadInput:
        return Column(name, None, "numbers, but not all are finite; correct the cells", len(known))


def _proposed(name: str, cells: Sequence[Cell], declared: bool = False) -> Column:
    """Read a column as the source will, and describe what comes of it."""
    config = ColumnsConfig(kinds={name: "categorical"} if declared else {})
    everything = np.ones(len(cells), dtype=np.bool_)
    (code,), labels = read_columns(config, {name: cells}, everything, "the labels", str)
    known = labels[~np.isnan(labels)]
    found = f"{code.low:g} to {code.high:g}"
    if code.is_categorical:
        counts = np.bincount(known.astype(int), minlength=code.size)
        listed = [f"{each}: {n}" for each, n in zip(code.classes, counts, strict=True)]
        more = f" ... {len(listed)} classes" if len(listed) > _SHOWN else ""
        found = ", ".join(listed[:_SHOWN]) + more
    return Column(name, code.kind, found, len(known), declared)


def _are_class_numbers(values: Set[Cell]) -> bool:
    """Whether numbers count classes: 0, 1, 2 ... or 1, 2, 3 ... without a gap, and not many."""
    count = len(values)
    return count <= 20 and values in ({*range(count)}, {*range(1, count + 1)})


def _folders(names: Sequence[str], taken: Set[str]) -> Column | None:
    """Propose folder names as classes, where every picture lies in a folder below the root."""
    cells = folder_cells(names)
    if None in cells or not 2 <= len(set(cells)) <= _MOST_CLASSES:
        return None
    name = next(name for name in ("folder", "category", "in_folder") if name not in taken)
    return _proposed(name, cells)
