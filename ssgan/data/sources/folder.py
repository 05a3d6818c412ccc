"""A folder or archive of the user's own pictures, with an optional CSV of partial labels."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssgan.base.config import BesideFile, canonical_hash, nearest
from ssgan.base.errors import BadInput
from ssgan.data.sources.base import SourceConfig, stamp
from ssgan.data.sources.cells import RawColumn
from ssgan.data.sources.columns import ColumnsConfig, ReadColumns, read_columns
from ssgan.data.sources.encoded_images import EncodedSource, FramingConfig, Picture, Unreadable
from ssgan.data.sources.headers import read_headers
from ssgan.data.sources.label_table import LabelTable
from ssgan.data.sources.layout import class_folders, expand, find_pictures, top_of
from ssgan.data.sources.matching import match_pictures
from ssgan.data.sources.tree import Tree, divide

_SHOWN = 5


class FolderSource(ColumnsConfig, FramingConfig, SourceConfig):
    """A folder of pictures, or an archive of them. Without labels it trains InfoGAN."""

    fully_labeled: ClassVar[bool] = False

    kind: Literal["folder"] = "folder"
    name: str | None = None
    """Short name of the data set; null for the name of the folder or archive."""
    root: Annotated[Path, BesideFile()]
    """The folder; pictures are found in its sub-folders too, hidden ones aside. A zip or tar
    archive is read where it is, as is a folder in one (``photos.zip/photos``), and archives in a
    folder that has no picture of its own, such as WebDataset's shards."""
    csv: Annotated[Path | None, BesideFile()] = None
    """CSV of labels (or metadata.jsonl, or StyleGAN's dataset.json), relative to the experiment
    file, the working directory or `root`; a pattern such as ``*/metadata.csv`` takes several, below
    `root`, and ``**/*.{cls,json,txt}`` files of one picture each, as WebDataset has them. One
    column names the pictures: relative to `root` or to the CSV, or by less than that where it is
    unambiguous. Text makes categorical codes, numbers continuous ones, an empty cell is an unknown
    label."""
    file_column: str | None = None
    """Column of the CSV that names the pictures; null for `file`, or else the first, or else the
    one whose cells do."""
    labels: tuple[str, ...] = ()
    """Columns of the CSV that hold labels; empty for all of them, or for none where `one_hot` has
    columns."""
    folders: str | None = None
    """Name of a code whose classes are the folders directly below `root`, or below those of the
    splits (train, valid, test ...) where these are; archives there are none. Null for none."""
    test: tuple[str, ...] = ()
    """Folders directly below `root` whose pictures are the test split, as ``[valid, test]``; G
    never sees them. "test" is also what archives there are whose names say it
    (``faces-test-000.tar``)."""

    @property
    def has_test_split(self) -> bool:
        """Whether folders are set apart as the test split."""
        return bool(self.test)

    def open(self) -> EncodedSource:
        """Look at every picture's header and read the labels.

        Raises:
            BadInput: There are no pictures, their sizes differ without a rule, or the CSV does
                not fit them.
        """
        tree = Tree(self.root)
        names = find_pictures(tree)
        is_test = self._divide(names)
        headers = read_headers((name, partial(tree.open, self.root / name)) for name in names)
        if headers.broken and self.strict:
            raise BadInput(
                f"{len(headers.broken)} of {len(names)} pictures in {self.root} cannot be read: "
                f"{', '.join(headers.broken[:_SHOWN])}; repair or remove them, or leave "
                "data.source.strict off to continue without them"
            )

        def picture(name: str, row: int = 0) -> Picture:
            return Picture(name, row, partial(tree.read, self.root / name))

        deep = map(picture, headers.deep)
        framing = self.fitted(headers.gray, deep)
        width, height = self._framed(headers.sizes)
        read = self._read_labels(tree, names, ~is_test)
        members = {"train": ~is_test} | ({"test": is_test} if self.test else {})

        def pictures(split: str) -> Iterator[Picture]:
            for row, name in enumerate(names):
                if members[split][row]:
                    whole = name in headers.sizes
                    yield picture(name, row) if whole else Picture(name, row, _broken)

        is_readable = np.array([name in headers.sizes for name in names])
        division = f"test: those in {', '.join(self.test)}" if self.test else "no test split"
        return EncodedSource(
            name=self.name or self._short_name(tree),
            shape=(framing.channels or 3, height, width),
            columns=read.codes,
            labels=read.labels,
            counts={split: int((member & is_readable).sum()) for split, member in members.items()},
            pictures=pictures,
            framing=framing,
            provenance={
                "origin": tree.origin + (f", labels from {self.csv.name}" if self.csv else ""),
                "split": f"train: all {'other ' if self.test else ''}pictures; {division}",
                "framing": framing.rule,
                **({"labels": "; ".join(read.notes)} if read.notes else {}),
            },
            failed=list(headers.broken),
        )

    def _divide(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return which pictures are of the test split."""
        tops = [*map(top_of, names)]
        for folder in self.test:
            if folder not in tops:
                raise BadInput(
                    f"data.source.test: no picture lies in a folder {folder!r} below {self.root}"
                    f"{nearest(folder, {*tops} - {''})}"
                )
        is_test = np.array([top in self.test for top in tops])
        if is_test.all():
            raise BadInput(
                f"data.source.test takes all pictures in {self.root}; leave some to train"
            )
        return is_test

    def fingerprint(self) -> str:
        """Identify the source by its parameters and its files' sizes and times."""
        tree = Tree(self.root)
        pictures = tree.archives or [self.root / name for name in find_pictures(tree)]
        files = [stamp(file) for file in pictures]
        table = [stamp(file) for file in self.label_files()]
        return canonical_hash([self.parameters(), files, table])

    def label_files(self) -> list[Path]:
        """Find the label files, archives not opened: by name, or by a pattern below `root`."""
        return self._label_files(self.root.glob)

    def _label_files(self, glob: Callable[[str], Iterable[Path]]) -> list[Path]:
        if self.csv is None:
            return []
        path = self.csv.expanduser()
        if divide(path) is not None:
            return [path]
        if not path.exists() and "*" in str(path) and not path.is_absolute():
            found = {file for pattern in expand(str(path)) for file in glob(pattern)}
            return sorted(found) or [path]
        return [path if path.exists() else self.root / path]

    def _short_name(self, tree: Tree) -> str:
        path = self.root.resolve()
        return path.stem if self.root in tree.archives else path.name

    def _framed(self, sizes: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
        """Return the width and height that all images get."""
        if not sizes:
            raise BadInput(f"none of the pictures in {self.root} can be read")
        framed = Counter(self.framed(*size) for size in sizes.values())
        if len(framed) > 1:
            found = ", ".join(f"{count} of {w}x{h}" for (w, h), count in framed.most_common(_SHOWN))
            raise BadInput(
                f"pictures in {self.root} differ in size: {found}"
                f"{' ...' if len(framed) > _SHOWN else ''}; add data.source.size=32 and "
                "data.source.resize=crop (central square), pad (black bars) or squash"
            )
        return next(iter(framed))

    def _read_labels(
        self, tree: Tree, names: Sequence[str], train: NDArray[np.bool_]
    ) -> ReadColumns:
        """Read the labels, one row a picture in the order of `names`."""
        table: dict[str, RawColumn] = {}
        where, place, notes = f"folder {self.root}", list(names), []
        extra = [] if self.folders is None else [self.folders]
        if self.csv is not None:
            read = LabelTable.read(self._label_files(tree.glob), tree.read)
            found = match_pictures(read, names, self.root, self.file_column)
            where, notes = read.where, [*read.notes, *found.notes]
            spread = [column for columns in self.one_hot.values() for column in columns]
            own = [name for name in read.columns if name not in (found.column, read.index)]
            chosen = self.labels or (() if spread else tuple(own))
            self.check([*chosen, *extra], [*read.columns, *extra], where)
            for row, line in zip(found.rows, read.places, strict=True):
                place[row] = line
            for column in (*chosen, *spread):
                table[column] = read.columns[column].spread(found.rows, len(names))
        elif self.labels or self.one_hot or self.file_column:
            field = "labels" if self.labels else "one_hot" if self.one_hot else "file_column"
            raise BadInput(f"data.source.{field} has no effect without data.source.csv; set it")
        else:
            self.check(extra, extra, where)
        for column in extra:
            table[column] = RawColumn(class_folders(names), words=False)
        columns = read_columns(self, table, train, where, place.__getitem__)
        return columns._replace(notes=(*notes, *columns.notes))


def _broken() -> bytes:
    """Stand for the content of a file that was found to be no picture, and may be a pipe."""
    raise Unreadable("its header cannot be read")
