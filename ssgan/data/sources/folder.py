"""A folder of the user's own pictures, with an optional CSV of partial labels."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from PIL import Image

from ssgan.base.config import canonical_hash
from ssgan.base.errors import BadInput
from ssgan.data.sources.base import SourceConfig, stamp
from ssgan.data.sources.cells import RawColumn
from ssgan.data.sources.columns import ColumnsConfig, ReadColumns, read_columns
from ssgan.data.sources.encoded_images import EncodedSource, FramingConfig, Picture, measure
from ssgan.data.sources.label_csv import LabelCsv

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_SHOWN = 5


class FolderSource(ColumnsConfig, FramingConfig, SourceConfig):
    """A folder of pictures. Without labels it trains InfoGAN; there is no test split."""

    has_test_split: ClassVar[bool] = False
    fully_labeled: ClassVar[bool] = False

    kind: Literal["folder"] = "folder"
    name: str | None = None
    """Short name of the data set; null for the folder's name."""
    root: Path
    """The folder; pictures are found in its sub-folders too, hidden ones aside."""
    csv: Path | None = None
    """CSV of labels, relative to the working directory or to `root`. The column `file`, or else
    the first, holds paths relative to `root`. Text makes categorical codes, numbers continuous
    ones, an empty cell is an unknown label."""
    labels: tuple[str, ...] = ()
    """Columns of the CSV that hold labels; empty for all of them, or for none where `one_hot` has
    columns."""
    folders: str | None = None
    """Name of a code whose classes are the folders directly below `root`; null for none."""

    def open(self) -> EncodedSource:
        """Look at every picture's header and read the labels.

        Raises:
            BadInput: There are no pictures, their sizes differ without a rule, or the CSV does
                not fit them.
        """
        names = find_pictures(self.root)
        headers = read_headers(self.root, names)
        if headers.broken and self.strict:
            raise BadInput(
                f"{len(headers.broken)} of {len(names)} pictures in {self.root} cannot be read: "
                f"{', '.join(headers.broken[:_SHOWN])}; repair or remove them, or leave "
                "data.source.strict off to continue without them"
            )
        shape = self._shape(headers.sizes)
        read = self._read_labels(names)

        def pictures(split: str) -> Iterator[Picture]:
            for row, name in enumerate(names):
                if name in headers.sizes:
                    yield Picture(name, row, (self.root / name).read_bytes)

        return EncodedSource(
            name=self.name or self.root.resolve().name,
            shape=shape,
            columns=read.codes,
            labels=read.labels,
            counts={"train": len(headers.sizes)},
            pictures=pictures,
            framing=self,
            provenance={
                "origin": f"folder {self.root.resolve().name}"
                + (f", labels from {self.csv.name}" if self.csv else ""),
                "split": "train: all pictures; no test split",
                "framing": self.rule,
                **({"labels": "; ".join(read.notes)} if read.notes else {}),
            },
            failed=list(headers.broken),
        )

    def fingerprint(self) -> str:
        """Identify the source by its parameters and its files' sizes and times."""
        files = [stamp(self.root / name) for name in find_pictures(self.root)]
        table = [stamp(self._csv())] if self.csv else []
        return canonical_hash([self.model_dump(mode="json"), files, table])

    def _csv(self) -> Path:
        path = Path(self.csv or "").expanduser()
        return path if path.exists() else self.root / path

    def _shape(self, sizes: Mapping[str, tuple[int, int]]) -> tuple[int, int, int]:
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
        width, height = next(iter(framed))
        return self.channels, height, width

    def _read_labels(self, names: Sequence[str]) -> ReadColumns:
        """Read the labels, one row a picture in the order of `names`."""
        row_of = {name: row for row, name in enumerate(names)}
        table: dict[str, RawColumn] = {}
        where, place = f"folder {self.root}", list(names)
        extra = [] if self.folders is None else [self.folders]
        if self.csv is not None:
            read = LabelCsv.read(self._csv())
            read.refuse_unknown(names)
            where = str(read.path)
            spread = [column for columns in self.one_hot.values() for column in columns]
            chosen = self.labels or (() if spread else tuple(read.table))
            self.check([*chosen, *extra], [*read.table, *extra], where)
            rows = [row_of[file] for file in read.files]
            for row, line in zip(rows, read.lines, strict=True):
                place[row] = f"line {line}"
            for column in (*chosen, *spread):
                table[column] = read.column(column).spread(rows, len(names))
        elif self.labels or self.one_hot:
            field = "labels" if self.labels else "one_hot"
            raise BadInput(f"data.source.{field} has no effect without data.source.csv; set it")
        else:
            self.check(extra, extra, where)
        for column in extra:
            table[column] = RawColumn(folder_cells(names), words=False)
        everything = np.ones(len(names), dtype=np.bool_)
        return read_columns(self, table, everything, where, place.__getitem__)


class Headers(NamedTuple):
    """What the headers of pictures say."""

    sizes: dict[str, tuple[int, int]]
    """Upright width and height of each readable picture, by name."""
    gray: int
    """How many of them are gray."""
    broken: tuple[str, ...]
    """Names of the others."""


def find_pictures(root: Path) -> list[str]:
    """Find the pictures in a folder and its sub-folders, in the order of their names.

    Returns:
        Paths relative to the folder, with forward slashes.

    Raises:
        BadInput: There is no such folder, or it holds no picture.
    """
    if not root.is_dir():
        raise BadInput(f"there is no folder {root}; set data.source.root to your image folder")
    names: list[str] = []
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith((".", "__MACOSX")))
        names.extend(
            (Path(folder) / name).relative_to(root).as_posix()
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        )
    if not names:
        raise BadInput(
            f"the folder {root} holds no picture ({', '.join(SUFFIXES)}); set data.source.root to "
            "the folder that does"
        )
    return sorted(names)


def folder_cells(names: Sequence[str]) -> list[str | None]:
    """Return the top folder of each picture; None for those in none."""
    return [name.split("/")[0] if "/" in name else None for name in names]


def read_headers(root: Path, names: Sequence[str]) -> Headers:
    """Read the headers of pictures, not their pixels."""
    sizes: dict[str, tuple[int, int]] = {}
    gray, broken = 0, []
    for name in names:
        try:
            with Image.open(root / name) as picture:
                sizes[name] = measure(picture)
                gray += picture.mode in ("1", "L", "LA", "I;16", "I;16B")
        except Exception:  # whatever Pillow raises, the picture is broken
            broken.append(name)
    return Headers(sizes, gray, tuple(broken))
