"""The Parquet files of one table: found, checked, and read a column at a time."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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

    def paths(self, column: str) -> list[str]:
        """Return the first paths of a column of pictures that has them in place of bytes."""
        if not pa.types.is_struct(self.columns[column]):
            return []
        cells = next(pq.ParquetFile(self.files[0]).iter_batches(256, columns=[column])).column(0)
        pictures = cells.to_pylist()
        if any(picture and picture["bytes"] for picture in pictures):
            return []
        return [picture["path"] for picture in pictures if picture and picture.get("path")]

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
