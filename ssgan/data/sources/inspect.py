"""What `ssgan init` finds in pictures, in a folder or an archive, or in Parquet files."""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Literal, NamedTuple

import numpy as np

from ssgan.base.errors import BadInput
from ssgan.data.sources.cells import RawColumn, drop_markers
from ssgan.data.sources.headers import Headers, read_headers
from ssgan.data.sources.label_table import LabelTable
from ssgan.data.sources.layout import (
    class_folders,
    find_label_files,
    find_pictures,
    find_tables,
    folders_of,
    pattern_of,
    split_folders,
    split_tables,
    top_of,
)
from ssgan.data.sources.matching import match_pictures
from ssgan.data.sources.proposals import MOST_CLASSES, Column, propose, propose_all
from ssgan.data.sources.shards import Shards, check_complete
from ssgan.data.sources.tree import Tree
from ssgan.method.codes import NONE_OF_THESE

_SIZES = (8, 16, 24, 28, 32, 40, 48, 56, 64)  # pixels that the networks take
_CROPPED = 1.5  # pictures longer than this times their width lose too much to a central square


class Framing(NamedTuple):
    """How pictures become images of one size."""

    size: int
    """Height and width in pixels."""
    resize: Literal["crop", "pad"] | None
    """The rule for pictures that are not square; None where all are."""
    reason: str


class Table(NamedTuple):
    """Parquet files: fields of their source."""

    train: Path
    """A file, a folder, or a pattern."""
    test: Path | None
    """The same for the test split; None without one."""
    image: str
    """The column of pictures."""


@dataclass(frozen=True)
class Inspection:
    """What there is in a folder, or in Parquet files."""

    root: Path
    count: int
    """Pictures that can be read."""
    broken: tuple[str, ...]
    """Names of those that cannot."""
    gray: bool
    """Whether all of them are gray."""
    framing: Framing
    table: Table | None
    """The Parquet files; None where the pictures are files of their own."""
    csv: Path | None
    """The label file, or a pattern below the root for several; None without."""
    file_column: str | None
    """The column that names the pictures, where it must be written down."""
    columns: tuple[Column, ...]
    """The label columns of the label file, or of the Parquet files."""
    folders: Column | None
    """The code that folder names make, or None."""
    test: tuple[str, ...]
    """The folders below the root that are the test split."""
    held_out: int
    """The pictures of the test split."""
    foreign: bool
    """Whether somebody answered *none of these*."""
    complete: bool
    """Whether most pictures with a label have all of them, so that combinations can be counted."""
    notes: tuple[str, ...]
    """What was taken for what, a line each."""

    @property
    def chosen(self) -> tuple[Column, ...]:
        """The columns that become supervised codes."""
        own = tuple(column for column in self.columns if column.kind is not None)
        return own if self.folders is None else (*own, self.folders)


def inspect_path(given: Path, csv: Path | None) -> Inspection:
    """Look at a folder or archive (`inspect_folder`), or at Parquet files (`inspect_tables`).

    Raises:
        BadInput: As these.
    """
    tables = find_tables(given)
    if not tables:
        return inspect_folder(given, csv)
    if csv is not None:
        raise BadInput(f"--csv has no effect: the labels of {given} are in its own columns")
    return inspect_tables(given, tables)


def inspect_tables(given: Path, files: Sequence[Path]) -> Inspection:
    """Look at the Parquet files of a path: one table, or one a split.

    Raises:
        BadInput: No column holds pictures, or none can be read.
    """
    groups: dict[str, list[Path]] = {}
    if given.is_dir():
        check_complete(files)
        groups = split_tables(files, given)
    found = [_specify(group, word) for word, group in groups.items()]
    specs = [spec for spec in found if spec is not None]
    whole = len(files) == 1 or len(specs) < max(1, len(found))
    train, *others = [files[0] if len(files) == 1 else given] if whole else specs
    shards = [Shards.find(str(train))]
    pictures = shards[0].picture_columns
    if not pictures:
        raise BadInput(
            f"{given} has no column of encoded pictures (binary, or a struct with bytes), only "
            f"{', '.join(shards[0].columns)[:200]}"
        )
    image = next((name for name in ("image", "img", "picture") if name in pictures), pictures[0])
    names = shards[0].label_columns
    notes = [f"pictures are in the column {image!r}"]
    if left := [name for name in shards[0].columns if name not in (*names, image)]:
        notes.append(f"left out, since their cells are no labels: {', '.join(left)[:200]}")
    columns = _propose_of(shards, names)
    chosen = [name for one in columns if one.kind for name in one.spread or (one.name,)]
    test: Path | None = None
    for spec in sorted(others, key=lambda spec: not spec.name.lower().startswith("test")):
        part = Shards.find(str(spec))
        use = "not used, since there is one test split"
        if not {image, *chosen} <= {*part.columns}:
            use = "not used, since columns are missing"
        elif chosen and not any(map(part.has_known_cells, chosen)):
            use = "not used, since none of them has a label"
        elif test is None:
            test, use = spec, "taken for the test split"
            shards.append(part)
        notes.append(f"{spec.relative_to(given)}: {part.rows:,} rows, {use}")
    if test is not None:
        columns = _propose_of(shards, [name for name in names if name in shards[1].columns])
    headers = _read_table_headers(shards, image)
    if not headers.sizes:
        raise BadInput(shards[0].explain_no_picture(image))
    notes += _deep(headers)
    return Inspection(
        root=given,
        count=len(headers.sizes),
        broken=headers.broken,
        gray=headers.gray,
        framing=_frame(headers),
        table=Table(train, test, image),
        csv=None,
        file_column=None,
        columns=columns,
        folders=None,
        test=(),
        held_out=shards[1].rows if test is not None else 0,
        foreign=False,
        complete=_is_complete(columns),
        notes=tuple(notes),
    )


def _specify(files: Sequence[Path], word: str) -> Path | None:
    """Return the file, the folder or the pattern that stands for these files and no others."""
    folder = files[0].parent
    for spec in (files[0], folder, folder / f"{word}*{files[0].suffix}"):
        if Shards.matching(str(spec)) == [*files]:
            return spec
    return None


def _propose_of(shards: Sequence[Shards], names: Sequence[str]) -> tuple[Column, ...]:
    raws = {name: Shards.join_column(shards, name) for name in names}
    return propose_all(raws, shards[0].where, lambda row: f"row {row}")


def _read_table_headers(shards: Sequence[Shards], image: str) -> Headers:
    return read_headers(
        (f"{part.name} row {picture.row}", picture.open)
        for part in shards
        for picture in part.pictures(image, np.ones(part.rows, dtype=np.bool_), 0)
    )


def inspect_folder(given: Path, csv: Path | None) -> Inspection:
    """Look at a folder or archive of pictures and its labels; unnamed, the file that fits them.

    Raises:
        BadInput: There are no pictures, several CSVs, or a CSV that does not fit the pictures.
    """
    tree = Tree(given)
    root, names = _descend(given, find_pictures(tree))
    headers = read_headers((name, partial(tree.open, root / name)) for name in names)
    if not headers.sizes:
        raise BadInput(f"none of the {len(names)} pictures in {root} can be read")
    notes = [] if root == given else [f"the folders of classes are those in {root}"]
    notes += _of_archives(tree) + _deep(headers)
    files = [csv] if csv is not None else find_label_files(tree, root, names)
    columns: tuple[Column, ...] = ()
    complete, labeled, file_column = True, set[int](), None
    foreign = False
    if files:
        table = LabelTable.read(files, tree.read)
        matched = match_pictures(table, names, root)
        notes += [f"labels are in {_place(files, given)}", *table.notes, *matched.notes]
        raws = {name: raw for name, raw in table.columns.items() if name != matched.column}
        foreign = any(NONE_OF_THESE in raw.cells for raw in raws.values())
        raws = {name: _without_foreign(raw) for name, raw in raws.items()}
        columns = propose_all(raws, table.where, table.places.__getitem__, table.index)
        if matched.column not in ("file", next(iter(table.columns))):
            file_column = matched.column
        complete = _is_complete(columns)
        labeled = {
            picture
            for picture, row in zip(matched.rows, _known(columns) or [()], strict=False)
            if any(row)
        }
    stored = tree.is_file(given / "dataset.json")  # StyleGAN's tools number their folders
    folders = None if stored else _folders(names, {column.name for column in columns})
    if stored:
        notes.append("folders are how the tools that wrote dataset.json store pictures, no classes")
    if folders is not None:
        labeled |= {row for row, name in enumerate(class_folders(names)) if name is not None}
    test, of_splits = _splits(names, labeled)
    tops = [*map(top_of, names)]
    return Inspection(
        root=root,
        count=len(headers.sizes),
        broken=headers.broken,
        gray=headers.gray,
        framing=_frame(headers),
        table=None,
        csv=pattern_of(files),
        file_column=file_column,
        columns=columns,
        folders=folders,
        test=test,
        held_out=sum(
            top in test and name in headers.sizes for top, name in zip(tops, names, strict=True)
        ),
        foreign=foreign,
        complete=complete,
        notes=(*notes, *of_splits),
    )


def _without_foreign(raw: RawColumn) -> RawColumn:
    return replace(raw, cells=drop_markers(raw.cells, (NONE_OF_THESE,))[0])


def _known(columns: Sequence[Column]) -> list[tuple[bool, ...]]:
    """Return of each row which labels it has."""
    return [*zip(*(one.present for one in columns if one.kind), strict=True)]


def _is_complete(columns: Sequence[Column]) -> bool:
    known = _known(columns)
    return 2 * sum(map(all, known)) > sum(map(any, known))


def _place(files: Sequence[Path], given: Path) -> str:
    pattern = pattern_of(files)
    if len(files) > 1 and pattern is not None:
        return f"{len(files):,} files {pattern.name} below the folder"
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
    tops = [*map(top_of, names)]
    with_labels = {tops[row] for row in labeled}
    test = tuple(top for top in held_out if top in with_labels)
    notes = []
    for top in (*train, *held_out):
        role = "the test split" if top in test else "the train split"
        why = ", since none of them has a label" if top in held_out and top not in test else ""
        notes.append(f"folder {top}: {tops.count(top):,} pictures, taken for {role}{why}")
    return test, notes


def _of_archives(tree: Tree) -> list[str]:
    """Say that several archives are taken for one set."""
    if len(tree.archives) < 2:
        return []
    first, last = tree.archives[0].name, tree.archives[-1].name
    return [f"pictures are in {len(tree.archives):,} archives, {first} to {last}"]


def _deep(headers: Headers) -> list[str]:
    """Say how gray values of more than 8 bits are read."""
    if not headers.deep:
        return []
    return [
        f"{len(headers.deep):,} pictures have more than 8 bits of gray: the lowest value in the "
        "whole set becomes black, the highest white, unless data.source.levels says which"
    ]


def _frame(headers: Headers) -> Framing:
    sizes = Counter(headers.sizes.values())
    shorter = sorted(min(size) for size in headers.sizes.values())
    (width, height), _ = sizes.most_common(1)[0]
    one = len(sizes) == 1
    what = f"all are {width}x{height}" if one else f"they are of {len(sizes)} sizes"
    if one and width == height and width in _SIZES:
        return Framing(width, None, f"{what}, which suits the networks")
    typical = shorter[len(shorter) // 10]  # a few tiny pictures do not decide for all
    size = max((size for size in _SIZES if size <= typical), default=_SIZES[0])
    scaled = f"scaled to {size} pixels" + (
        ", the most that is proposed" if typical > _SIZES[-1] else ""
    )
    ratios = [max(size) / min(size) for size in headers.sizes.values()]
    if max(ratios) == 1:
        return Framing(size, None, f"{what}, all square; {scaled}")
    lost = mean(1 - 1 / ratio for ratio in ratios)
    if median(ratios) <= _CROPPED:
        why = f"not all square; the central squares leave out {lost:.0%} of them; {scaled}"
        return Framing(size, "crop", f"{what}, {why}")
    why = f"most far from square; black bars keep all, crop would leave out {lost:.0%}; {scaled}"
    return Framing(size, "pad", f"{what}, {why}")


def _folders(names: Sequence[str], taken: Set[str]) -> Column | None:
    """Propose folder names as classes, where the pictures of the train split lie in folders."""
    cells = class_folders(names)
    _, held_out = split_folders(names)
    trained = [
        cell for cell, name in zip(cells, names, strict=True) if top_of(name) not in held_out
    ]
    if None in trained or not 2 <= len({*trained}) <= MOST_CLASSES:
        return None
    if not held_out or any(len(folders_of(name)) > 1 for name in names):
        name = next(name for name in ("folder", "category", "in_folder") if name not in taken)
        return propose(name, {name: RawColumn(cells, words=False)})
    return None
