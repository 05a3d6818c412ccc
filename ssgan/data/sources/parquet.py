"""Parquet tables of encoded pictures with label columns: one file, or shards."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ssgan.base.config import Formerly, canonical_hash, nearest
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.sources.base import Labels, SourceConfig, stamp
from ssgan.data.sources.columns import Cell, ColumnsConfig, read_columns
from ssgan.data.sources.encoded_images import (
    EncodedSource,
    FramingConfig,
    Picture,
    Unreadable,
    decode,
)
from ssgan.method.codes import Code

Rows = tuple[int, int]
"""A half-open range of rows, from 0: (0, 6000) are the first six thousand."""

# Fingerprints keep the names that fields had in ssgan 0.1, or every store would be built again.
_HASHED_AS = {"test": "judge", "test_rows": "judge_rows", "test_share": "judge_share"}


class ParquetSource(ColumnsConfig, FramingConfig, SourceConfig):
    """Parquet with one row a picture: its encoded file (PNG, JPEG ...) and its labels.

    The test split comes from files of its own (`test`), from rows of the train files
    (`test_rows`), or from a share of them (`test_share`): whole groups (`split_by`), or the
    last rows, since neighboring rows often show the same object.
    """

    fully_labeled: ClassVar[bool] = False

    kind: Literal["parquet"] = "parquet"
    name: str | None = None
    """Short name of the data set; null for the name of the file or folder."""
    train: str = Field(min_length=1)
    """A file, a folder of shards, or a pattern such as ``data/train-*.parquet``."""
    test: Annotated[str | None, Formerly("judge")] = None
    """The same for the test split; null where it is part of the train files or absent."""
    image: str = "image"
    """Column of the encoded pictures: binary, or a struct with a binary field `bytes`."""
    labels: tuple[str, ...] = ("label",)
    """Columns that hold labels: integers, text and booleans make categorical codes, floats
    continuous ones; null is an unknown label."""
    train_rows: Rows | None = None
    """Rows of the train files to use, half-open; null for all that the test split does not take."""
    test_rows: Annotated[Rows | None, Formerly("judge_rows")] = None
    """Rows of the test files, or else of the train files, for the test split, half-open."""
    test_share: Annotated[float, Formerly("judge_share")] = Field(default=0.0, ge=0, lt=1)
    """Share of the train rows that becomes the test split."""
    split_by: str | None = None
    """Column of groups (for example identities) that `test_share` must not divide."""

    @model_validator(mode="after")
    def _check_division(self) -> "ParquetSource":
        for name in ("train_rows", "test_rows"):
            rows = getattr(self, name)
            if rows is not None and not 0 <= rows[0] < rows[1]:
                raise ValueError(f"{name} must be (first, end) with 0 <= first < end, not {rows}")
        if self.test_share and (self.test is not None or self.test_rows is not None):
            raise ValueError("test_share excludes test and test_rows; use one of them")
        if self.split_by is not None and not self.test_share:
            raise ValueError("split_by has no effect without test_share; set test_share=0.2")
        if self.test is None and self.test_rows is not None and self.train_rows is not None:
            first, end = max(self.train_rows[0], self.test_rows[0]), self.test_rows[1]
            if first < min(end, self.train_rows[1]):
                raise ValueError(
                    f"train_rows {self.train_rows} and test_rows {self.test_rows} overlap"
                )
        return self

    @property
    def has_test_split(self) -> bool:
        """Whether files, rows or a share of them are set apart as the test split."""
        return self.test is not None or self.test_rows is not None or self.test_share > 0

    def open(self) -> EncodedSource:
        """Check the files, read the labels, and divide the rows.

        Raises:
            BadInput: Files, shards or columns are missing, or labels do not fit.
        """
        shards = self._shards()
        first = shards[0]
        columns, labels = self._read_labels(shards)
        members = self._members(shards)
        for split, member in members.items():
            if not member.any():
                raise BadInput(f"{first.where}: no row is left for the {split} split")

        def pictures(split: str) -> Iterator[Picture]:
            offset = 0
            for part in shards:
                yield from part.pictures(self.image, members[split], offset)
                offset += part.rows

        return EncodedSource(
            name=self.name or first.name,
            shape=self._shape(pictures("train"), first.where),
            columns=columns,
            labels=labels,
            counts={split: int(member.sum()) for split, member in members.items()},
            pictures=pictures,
            framing=self,
            provenance=self._provenance(shards),
        )

    def fingerprint(self) -> str:
        """Identify the source by its parameters and its files' sizes and times."""
        files = [stamp(file) for part in self._shards() for file in part.files]
        parameters = self.model_dump(mode="json")
        return canonical_hash(
            [{_HASHED_AS.get(name, name): value for name, value in parameters.items()}, files]
        )

    def _shards(self) -> "list[Shards]":
        return [Shards.find(spec) for spec in (self.train, self.test) if spec is not None]

    def _read_labels(self, shards: "Sequence[Shards]") -> tuple[tuple[Code, ...], Labels]:
        wanted = [*self.labels, *([self.split_by] if self.split_by else [])]
        for part in shards:
            part.check_pictures(self.image)
            self.check(self.labels, part.columns, part.where)
            part.check_columns(wanted)
        table = {
            column: [cell for part in shards for cell in part.cells(column)]
            for column in self.labels
        }
        train = self._members(shards)["train"]
        return read_columns(self, table, train, shards[0].where, lambda row: f"row {row}")

    def _members(self, shards: "Sequence[Shards]") -> dict[str, NDArray[np.bool_]]:
        """Return which rows, of all files in order, belong to each split."""
        first = shards[0]
        total = sum(part.rows for part in shards)
        train = _range(self.train_rows, 0, first.rows, total, "train_rows", first.where)
        if self.test is not None:
            own = shards[1]
            rows = _range(self.test_rows, first.rows, own.rows, total, "test_rows", own.where)
            return {"train": train, "test": rows}
        if self.test_rows is not None:
            test = _range(self.test_rows, 0, first.rows, total, "test_rows", first.where)
            return {"train": train & ~test, "test": test}
        if self.test_share:
            test = train & self._drawn(first, train)
            return {"train": train & ~test, "test": test}
        return {"train": train}

    def _drawn(self, part: "Shards", train: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self.split_by is None:
            return np.cumsum(train) > round(int(train.sum()) * (1 - self.test_share))
        groups = part.cells(self.split_by)
        drawn = {}
        for group in set(groups):  # a place in [0, 1) at random, but always alike
            digest = hashlib.sha256(repr(group).encode()).digest()
            drawn[group] = int.from_bytes(digest[:8], "big") / 2**64 < self.test_share
        return np.array([drawn[group] for group in groups])

    def _shape(self, pictures: Iterator[Picture], where: str) -> tuple[int, int, int]:
        """Take the shape of the first picture that can be read."""
        for picture in pictures:
            try:
                decoded = decode(picture.read(), self.channels)
            except Unreadable:
                continue
            width, height = self.framed(*decoded.size)
            return self.channels, height, width
        raise BadInput(f"{where}: column {self.image!r} holds no readable picture in the rows used")

    def _provenance(self, shards: "Sequence[Shards]") -> dict[str, str]:
        division = "no test split"
        if self.test is not None:
            division = f"test: {shards[1].name}, rows {_spell(self.test_rows, 'all')}"
        elif self.test_rows is not None:
            division = f"test: rows {_spell(self.test_rows)}"
        elif self.split_by is not None:
            division = (
                f"test: {self.test_share:.0%} of the values of {self.split_by}, chosen by their "
                "hash, so that none is on both sides"
            )
        elif self.test_share:
            division = f"test: the last {self.test_share:.0%} of the rows"
        return {
            "origin": ", ".join(file.name for part in shards for file in part.files),
            "split": f"train: rows {_spell(self.train_rows, 'left')}; {division}",
            "framing": self.rule,
        }


def _range(
    rows: Rows | None, offset: int, count: int, total: int, name: str, where: str
) -> NDArray[np.bool_]:
    first, end = rows or (0, count)
    if end > count:
        raise BadInput(f"data.source.{name}={first},{end} exceeds the {count} rows of {where}")
    member = np.zeros(total, dtype=np.bool_)
    member[offset + first : offset + end] = True
    return member


def _spell(rows: Rows | None, otherwise: str = "") -> str:
    """Write positions as a reader counts them: first and last, from 0."""
    return f"{rows[0]:,}-{rows[1] - 1:,}" if rows else otherwise


@dataclass(frozen=True)
class Shards:
    """The Parquet files of one table, in order."""

    where: str
    """What the user wrote, for messages."""
    files: tuple[Path, ...]
    footers: tuple[pq.FileMetaData, ...]

    @classmethod
    def find(cls, spec: str) -> "Shards":
        """Find and open a file, the shards in a folder, or the files that a pattern matches.

        Raises:
            BadInput: There is no such file, or a shard is missing.
            CorruptFile: A file is not a Parquet file, or only part of one.
        """
        path = Path(spec).expanduser()
        if path.is_file():
            files = [path]
        elif path.is_dir():
            files = sorted(path.rglob("*.parquet"))
        else:
            parent = path
            while parent.parent != parent and not parent.is_dir():
                parent = parent.parent
            files = sorted(parent.glob(str(path.relative_to(parent)))) if parent != path else []
        if not files:
            raise BadInput(
                f"{spec} is not a Parquet file or a folder with *.parquet and matches no file; set "
                "data.source.train (and data.source.test) to where the files are"
            )
        if not path.is_file() and "-of-" not in path.name:  # else a choice of shards is meant
            _check_complete(files)
        footers = []
        for file in files:
            try:
                footers.append(pq.read_metadata(file))
            except (pa.ArrowInvalid, OSError) as error:
                raise CorruptFile(
                    f"{file} is not a whole Parquet file ({error}); fetch it again"
                ) from error
        shards = cls(spec, tuple(files), tuple(footers))
        for file, footer in zip(files, footers, strict=True):
            if footer.schema.to_arrow_schema().names != footers[0].schema.to_arrow_schema().names:
                raise BadInput(
                    f"{file} has other columns than {files[0].name}; put tables of different "
                    "kinds in folders of their own"
                )
        return shards

    @property
    def name(self) -> str:
        """A short name: the file's, or the folder's."""
        return self.files[0].stem if len(self.files) == 1 else self.files[0].parent.name

    @property
    def rows(self) -> int:
        """Rows of all files together."""
        return sum(footer.num_rows for footer in self.footers)

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """Types of the columns by name."""
        schema = self.footers[0].schema.to_arrow_schema()
        return dict(zip(schema.names, schema.types, strict=True))

    def check_columns(self, names: Sequence[str]) -> None:
        """Refuse columns that are not there, or whose cells are neither numbers nor text.

        Raises:
            BadInput: With the columns that are there.
        """
        for name in names:
            if name not in self.columns:
                raise BadInput(f"{self.where} has no column {name!r}{nearest(name, self.columns)}")
            kind = self.columns[name]
            if pa.types.is_dictionary(kind):
                kind = kind.value_type
            scalar = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
            text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
            if not any(check(kind) for check in (*scalar, *text)):
                raise BadInput(
                    f"{self.where}, column {name!r}: {kind} is not a label; a label column holds "
                    "integers, booleans, text or floats"
                )

    def check_pictures(self, name: str) -> None:
        """Refuse a column that does not hold encoded pictures.

        Raises:
            BadInput: With the columns that are there.
        """
        if name not in self.columns:
            raise BadInput(
                f"{self.where} has no column {name!r} for the pictures; set data.source.image to "
                f"one of its columns: {', '.join(self.columns)}"
            )
        kind = self.columns[name]
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise BadInput(
                f"{self.where}, column {name!r}: {kind} is not an encoded picture; "
                "data.source.image names a binary column with the bytes of PNG or JPEG files"
            )

    def cells(self, column: str) -> list[Cell]:
        """Read a whole column: all rows of all files in order; null becomes None."""
        read: list[Cell] = []
        for file in self.files:
            read += pq.read_table(file, columns=[column], partitioning=None)[column].to_pylist()
        return read

    def pictures(self, column: str, member: NDArray[np.bool_], offset: int) -> Iterator[Picture]:
        """Read pictures from a column of this table, a few hundred at a time.

        `member`, bool (at least offset + rows,), says which, this table's from `offset` on.
        """
        row = offset
        for file, footer in zip(self.files, self.footers, strict=True):
            start = row
            opened = pq.ParquetFile(file)
            for group in range(footer.num_row_groups):
                end = row + footer.row_group(group).num_rows
                if member[row:end].any():
                    for content in _cells(opened, group, column):
                        if member[row]:
                            yield Picture(f"{file.name} row {row - start}", row, content)
                        row += 1
                row = end


def _cells(opened: pq.ParquetFile, group: int, column: str) -> Iterator[Callable[[], bytes]]:
    for batch in opened.iter_batches(256, row_groups=[group], columns=[column]):
        cells = batch.column(0)
        if pa.types.is_struct(cells.type):
            cells = pc.struct_field(cells, "bytes")
        for cell in cells:
            yield partial(bytes, cell.as_py() or b"")


def _check_complete(files: Sequence[Path]) -> None:
    """Notice a gap in shards that are numbered as name-00000-of-00005.parquet."""
    stems: dict[tuple[Path, str, int, int], set[int]] = defaultdict(set)
    for file in files:
        if numbered := re.fullmatch(r"(.*?)(\d+)-of-(\d+)", file.stem):
            name, number, total = numbered.groups()
            stems[file.parent, name, int(total), len(number)].add(int(number))
    for (folder, name, total, digits), numbers in stems.items():
        first = 1 if max(numbers) == total else 0
        missing = sorted(set(range(first, first + total)) - numbers)
        if missing:
            raise BadInput(
                f"{folder}: shard {name}{missing[0]:0{digits}d}-of-{total:0{digits}d}.parquet is "
                f"missing ({len(numbers)} of {total} are there); fetch it, or choose shards "
                f"with a pattern such as {name}0*-of-{total:0{digits}d}.parquet"
            )
