"""The Parquet files of one table: found, checked, and read a column at a time."""

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.json_text import read_json
from ssgan.data.sources.cells import Cell, RawColumn
from ssgan.data.sources.encoded_images import Picture


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
        files = cls.matching(spec)
        if not files:
            raise BadInput(
                f"{spec} is not a Parquet file or a folder with *.parquet and matches no file; set "
                "data.source.train (and data.source.test) to where the files are"
            )
        if not path.is_file() and "-of-" not in path.name:  # else a choice of shards is meant
            check_complete(files)
        footers = []
        for file in files:
            with _whole(file):
                footer = pq.read_metadata(file)
                footer.schema.to_arrow_schema()
                groups = [footer.row_group(k).num_rows for k in range(footer.num_row_groups)]
                # A picture takes a byte at least; what states more is not to be allocated.
                if sum(groups) != footer.num_rows or sum(groups) > file.stat().st_size:
                    raise ValueError(f"it states {footer.num_rows:,} rows")
                footers.append(footer)
        shards = cls(spec, tuple(files), tuple(footers))
        for file, footer in zip(files, footers, strict=True):
            if footer.schema.to_arrow_schema().names != footers[0].schema.to_arrow_schema().names:
                raise BadInput(
                    f"{file} has other columns than {files[0].name}; put tables of different "
                    "kinds in folders of their own"
                )
        return shards

    @staticmethod
    def matching(spec: str) -> list[Path]:
        """Return a file, the shards in a folder, or the files that a pattern matches, in order."""
        path = Path(spec).expanduser()
        if path.is_file():
            return [path]
        if path.is_dir():
            return sorted(path.rglob("*.parquet"))
        parent = path
        while parent.parent != parent and not parent.is_dir():
            parent = parent.parent
        return sorted(parent.glob(str(path.relative_to(parent)))) if parent != path else []

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
            if not _is_label(self.columns[name]):
                raise BadInput(
                    f"{self.where}, column {name!r}: {str(self.columns[name])[:200]} is not a "
                    "label; a label column holds integers, booleans, text or floats"
                )

    @property
    def label_columns(self) -> list[str]:
        """Names of the columns whose cells may be labels."""
        return [name for name, kind in self.columns.items() if _is_label(kind)]

    @property
    def picture_columns(self) -> list[str]:
        """Names of the columns that may hold encoded pictures."""
        return [name for name, kind in self.columns.items() if _is_picture(kind)]

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
        if not _is_picture(self.columns[name]):
            raise BadInput(
                f"{self.where}, column {name!r}: {str(self.columns[name])[:200]} is not an encoded "
                "picture; "
                "data.source.image names a binary column with the bytes of PNG or JPEG files"
            )

    def class_names(self, column: str) -> tuple[str, ...]:
        """Return what the file's own metadata (Hugging Face's ClassLabel) calls the classes."""
        metadata = self.footers[0].schema.to_arrow_schema().metadata or {}
        try:
            described = read_json(metadata.get(b"huggingface", b"{}"))
            names = described["info"]["features"][column]["names"]
        except (ValueError, KeyError, TypeError):
            return ()
        if not isinstance(names, list) or len({*map(str, names)}) < max(2, len(names)):
            return ()
        return tuple(map(str, names))

    def label_column(self, name: str) -> RawColumn:
        """Read a whole label column, with the names of its classes if the file has any."""
        kind = self.columns[name]
        classes = self.class_names(name) if pa.types.is_integer(kind) else ()
        return RawColumn(self.cells(name), classes=classes)

    @staticmethod
    def join_column(shards: Sequence["Shards"], name: str) -> RawColumn:
        """Read a label column of several tables, one below the other."""
        parts = [part.label_column(name) for part in shards]
        return replace(parts[0], cells=[cell for part in parts for cell in part.cells])

    def has_known_cells(self, column: str) -> bool:
        """Whether a label column has a label at all."""
        raw = self.label_column(column)
        unknown = (None, -1) if raw.classes else (None,)
        return any(cell not in unknown for cell in raw.cells)

    def explain_no_picture(self, column: str) -> str:
        """Say why no picture in a column can be read: perhaps it has paths in place of bytes."""
        if pa.types.is_struct(self.columns[column]):
            with _whole(self.files[0]):
                batches = pq.ParquetFile(self.files[0]).iter_batches(256, columns=[column])
                cells = next(batches, pa.record_batch({column: []})).column(0).to_pylist()
            pictures = [picture or {} for picture in cells]
            paths = [picture["path"] for picture in pictures if picture.get("path")]
            if paths and not any(picture.get("bytes") for picture in pictures):
                return (
                    f"{self.where}: the bytes in column {column!r} are null and only paths are "
                    f"filled, such as {paths[0][:80]}; write the table again with the pictures' "
                    "bytes in it (datasets: embed_external_files), or use the files themselves: "
                    "data.source.kind=folder"
                )
        return f"{self.where}: column {column!r} holds no readable picture in the rows used"

    def cells(self, column: str) -> list[Cell]:
        """Read a whole column: all rows of all files in order; null becomes None."""
        read: list[Cell] = []
        for file, footer in zip(self.files, self.footers, strict=True):
            with _whole(file):
                table = pq.read_table(file, columns=[column], partitioning=None)
                if len(table) != footer.num_rows:
                    raise ValueError(f"{len(table):,} of {footer.num_rows:,} rows are there")
                read += table[column].to_pylist()
        return read

    def pictures(self, column: str, member: NDArray[np.bool_], offset: int) -> Iterator[Picture]:
        """Read pictures from a column of this table, a few hundred at a time.

        `member`, bool (at least offset + rows,), says which, this table's from `offset` on.
        """
        first = offset
        for file, footer in zip(self.files, self.footers, strict=True):
            start = first
            with _whole(file):
                opened = pq.ParquetFile(file)
                for group in range(footer.num_row_groups):
                    rows = range(first, first + footer.row_group(group).num_rows)
                    if member[rows.start : rows.stop].any():
                        contents = _cells(opened, group, column)
                        for row, content in zip(rows, contents, strict=True):
                            if member[row]:
                                yield Picture(f"{file.name} row {row - start}", row, content)
                    first = rows.stop


def _is_label(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    scalar = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
    return any(check(kind) for check in (*scalar, *text))


def _is_picture(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _cells(opened: pq.ParquetFile, group: int, column: str) -> Iterator[Callable[[], bytes]]:
    for batch in opened.iter_batches(256, row_groups=[group], columns=[column]):
        cells = batch.column(0)
        if pa.types.is_struct(cells.type):
            cells = pc.struct_field(cells, "bytes")
        for cell in cells:
            yield partial(bytes, cell.as_py() or b"")


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[None]:
    """Say of whatever goes wrong while a file is read that it is damaged."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        raise CorruptFile(f"{file} is not a whole Parquet file ({told}); fetch it again") from error


def check_complete(files: Sequence[Path]) -> None:
    """Notice a gap in shards that are numbered as name-00000-of-00005.parquet.

    Raises:
        BadInput: With the shard that is missing.
    """
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
