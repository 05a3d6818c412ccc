"""What `ssgan init` finds in a folder of pictures and a CSV of labels, and what it proposes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Literal, NamedTuple

import numpy as np

from ssgan.base.errors import BadInput
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
from ssgan.data.sources.headers import Headers, read_headers
from ssgan.data.sources.label_table import LabelTable
from ssgan.data.sources.layout import (
    class_folders,
    find_label_files,
    find_pictures,
    split_folders,
)
from ssgan.data.sources.matching import match_pictures

_SIZES = (8, 16, 24, 28, 32, 40, 48, 56, 64)  # pixels that the networks take
_SIZE = 32  # what larger pictures are scaled to, and a CPU trains in an hour or so
_MOST_CLASSES = 50
_NUMBERED = 10  # rows from which numbers that rise are no accident
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
    notes: tuple[str, ...] = ()
    """What is left out, converted or guessed when it is read."""
    spread: tuple[str, ...] = ()
    """The columns of the table that it is spread over, a column a class; empty where it is one."""
    present: tuple[bool, ...] = ()
    """Which rows of the table have a value."""


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
    """The label file, or a pattern below the root for several; None without."""
    file_column: str | None
    """The column that names the pictures, where it must be written down."""
    columns: tuple[Column, ...]
    """The label columns of the label file."""
    folders: Column | None
    """The code that folder names make, or None."""
    test: tuple[str, ...]
    """The folders below the root that are the test split."""
    held_out: int
    """The pictures in them."""
    complete: bool
    """Whether most pictures with a label have all of them, so that combinations can be counted."""
    notes: tuple[str, ...]
    """What was taken for what, a line each."""

    @property
    def chosen(self) -> tuple[Column, ...]:
        """The columns that become supervised codes."""
        own = tuple(column for column in self.columns if column.kind is not None)
        return own if self.folders is None else (*own, self.folders)


def inspect_folder(given: Path, csv: Path | None) -> Inspection:
    """Look at a folder of pictures and its labels: without a name, the label file that fits them.

    Raises:
        BadInput: There are no pictures, several CSVs, or a CSV that does not fit the pictures.
    """
    root, names = _descend(given, find_pictures(given))
    headers = read_headers((name, root / name) for name in names)
    if not headers.sizes:
        raise BadInput(f"none of the {len(names)} pictures in {root} can be read")
    notes = [] if root == given else [f"the folders of classes are those in {root}"]
    files = [csv] if csv is not None else find_label_files(given, root, names)
    columns: tuple[Column, ...] = ()
    complete, labeled, file_column = True, set[int](), None
    if files:
        table = LabelTable.read(files)
        matched = match_pictures(table, names, root)
        notes += [f"labels are in {_place(files, given)}", *table.notes, *matched.notes]
        columns = _columns(table, matched.column)
        if matched.column not in ("file", next(iter(table.columns))):
            file_column = matched.column
        known = [*zip(*(one.present for one in columns if one.kind), strict=True)]
        complete = 2 * sum(map(all, known)) > sum(map(any, known))
        labeled = {
            picture for picture, row in zip(matched.rows, known or [()], strict=False) if any(row)
        }
    stored = (given / "dataset.json").is_file()  # StyleGAN's tools number their folders
    folders = None if stored else _folders(names, {column.name for column in columns})
    if stored:
        notes.append("folders are how the tools that wrote dataset.json store pictures, no classes")
    if folders is not None:
        labeled |= {row for row, name in enumerate(class_folders(names)) if name is not None}
    test, of_splits = _splits(names, labeled)
    tops = [name.partition("/")[0] for name in names]
    return Inspection(
        root=root,
        count=len(headers.sizes),
        broken=headers.broken,
        gray=headers.gray,
        framing=_frame(headers),
        csv=None if not files else files[0] if len(files) == 1 else Path("**") / files[0].name,
        file_column=file_column,
        columns=columns,
        folders=folders,
        test=test,
        held_out=sum(
            top in test and name in headers.sizes for top, name in zip(tops, names, strict=True)
        ),
        complete=complete,
        notes=(*notes, *of_splits),
    )


def _place(files: Sequence[Path], given: Path) -> str:
    if len(files) > 1:
        return f"{len(files)} files {files[0].name} below the folder"
    path = files[0]
    inside = path.absolute().is_relative_to(given.absolute())
    return f"{path.relative_to(given) if path.is_relative_to(given) else path.name}" + (
        "" if inside else ", which lies outside the folder"
    )


def _descend(root: Path, names: list[str]) -> tuple[Path, list[str]]:
    """Step into folders that hold all pictures in folders of their own: those are the classes."""
    while True:
        tops = {name.partition("/")[0] for name in names}
        below = [name.partition("/")[2] for name in names]
        if len(tops) > 1 or not all("/" in name for name in below):
            return root, names
        root, names = root / tops.pop(), below


def _splits(names: Sequence[str], labeled: Set[int]) -> tuple[tuple[str, ...], list[str]]:
    """Return the folders of the test split, and what is said about folders that are splits."""
    train, held_out = split_folders(names)
    if not held_out:
        return (), []
    tops = [name.partition("/")[0] for name in names]
    with_labels = {tops[row] for row in labeled}
    test = tuple(top for top in held_out if top in with_labels)
    notes = []
    for top in (*train, *held_out):
        role = "the test split" if top in test else "the train split"
        why = ", since none of them has a label" if top in held_out and top not in test else ""
        notes.append(f"folder {top}: {tops.count(top):,} pictures, taken for {role}{why}")
    return test, notes


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


def _columns(table: LabelTable, file_column: str) -> tuple[Column, ...]:
    """Say what the source makes of all columns; those that are exclusive become one."""
    raws = {name: raw for name, raw in table.columns.items() if name != file_column}
    place = table.places.__getitem__
    spread = _exclusive(raws)
    columns = []
    for name, raw in raws.items():
        if name == table.index:
            found = "a column without a name, which numbers the rows"
            columns.append(Column(name, None, found, len(raw.cells)))
        elif name not in spread:
            columns.append(_column(name, raw, table.where, place))
    if spread:
        taken = {column.name for column in columns}
        name = next(name for name in ("class", "category", "one_of") if name not in taken)
        columns.append(_proposed(name, {each: raws[each] for each in spread}, table.where, place))
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

    Raises:
        BadInput: Numbers are infinite or too large.
    """
    cells, _ = drop_markers(raw.cells, UNKNOWN_WORDS)
    cells = with_points(cells, raw.comma) or cells
    known = [cell for cell in cells if cell is not None]
    distinct = len({*known})
    if distinct < 2:
        found = f"only {known[0]!r}" if known else "nothing"
        return Column(name, None, f"{found} in it, which tells no picture from another", len(known))
    odd = not_numbers(cells)
    if odd and len(odd) < len(known) / 2:
        found = f"numbers, but also {quote_cells(cells, odd, row_name)}; correct the cells, or"
        return Column(name, None, f"{found} list them in data.source.unknown", len(known))
    if odd and distinct > min(_MOST_CLASSES, max(5, len(known) / 2)):
        return Column(name, None, f"{distinct} different texts in {len(known)} cells", len(known))
    if not odd and len(known) >= _NUMBERED and _counts_rows(known):
        found = f"whole numbers that only rise from row to row, {known[0]} to {known[-1]}"
        return Column(name, None, f"{found}: they number the rows, it seems", len(known))
    numbers = {None if cell is None or odd else as_number(str(cell)) for cell in cells} - {None}
    declared: Kind | None = None
    if raw.is_text and _are_class_numbers(numbers):
        declared = "categorical"
    elif numbers and not raw.is_text and distinct > _MOST_CLASSES:
        declared = "continuous"
    return _proposed(name, {name: raw}, where, row_name, declared)


def _proposed(
    name: str,
    table: Mapping[str, RawColumn],
    where: str = "the labels",
    row_name: Callable[[int], str] = str,
    declared: Kind | None = None,
) -> Column:
    """Read a code's column, or columns, as the source will, and describe what comes of it."""
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


def _folders(names: Sequence[str], taken: Set[str]) -> Column | None:
    """Propose folder names as classes, where the pictures of the train split lie in folders."""
    cells = class_folders(names)
    _, held_out = split_folders(names)
    trained = [
        cell
        for cell, name in zip(cells, names, strict=True)
        if name.partition("/")[0] not in held_out
    ]
    if None in trained or not 2 <= len({*trained}) <= _MOST_CLASSES:
        return None
    if not held_out or any("/" in name.partition("/")[2] for name in names):
        name = next(name for name in ("folder", "category", "in_folder") if name not in taken)
        return _proposed(name, {name: RawColumn(cells, words=False)})
    return None
