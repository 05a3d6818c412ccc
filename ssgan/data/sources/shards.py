"""The Parquet files of one table: finding them all, and reading cells and pictures from them."""

import re
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
from ssgan.data.sources.columns import Cell
from ssgan.data.sources.encoded_images import Picture

_NUMBERED = re.compile(r"(.*?)(\d+)-of-(\d+)")
_BATCH = 256


@dataclass(frozen=True)
class Shards:
    """The files of one table, in order.

    Attributes:
        where: What the user wrote, for messages.
        files: The files.
        footers: Their Parquet footers.
    """

    where: str
    files: tuple[Path, ...]
    footers: tuple[pq.FileMetaData, ...]

    @classmethod
    def find(cls, spec: str) -> "Shards":
        """Find and open a file, the shards in a folder, or the files that a pattern matches.

        Raises:
            BadInput: There is no such file, or a shard is missing.
            CorruptFile: A file is no Parquet file, or only part of one.
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
                f"{spec} is no Parquet file, no folder with *.parquet and matches no file; set "
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
                    f"{file} is no whole Parquet file ({error}); fetch it again"
                ) from error
        shards = cls(spec, tuple(files), tuple(footers))
        for file, footer in zip(files, footers, strict=True):
            if footer.schema.to_arrow_schema().names != shards.columns:
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
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self.footers[0].schema.to_arrow_schema()

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.schema.names)

    def check_columns(self, names: Sequence[str]) -> None:
        """Refuse columns that are not there, or whose cells are neither numbers nor text.

        Raises:
            BadInput: With the columns that are there.
        """
        for name in names:
            if name not in self.columns:
                raise BadInput(f"{self.where} has no column {name!r}{nearest(name, self.columns)}")
            kind = self.schema.field(name).type
            if pa.types.is_dictionary(kind):
                kind = kind.value_type
            scalar = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
            text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
            if not any(check(kind) for check in (*scalar, *text)):
                raise BadInput(
                    f"{self.where}, column {name!r}: {kind} is no label; a label column holds "
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
        kind = self.schema.field(name).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise BadInput(
                f"{self.where}, column {name!r}: {kind} is no encoded picture; data.source.image "
                "names a binary column with the bytes of PNG or JPEG files"
            )

    def cells(self, names: Sequence[str]) -> dict[str, list[Cell]]:
        """Read whole columns: all rows of all files in order; null becomes None."""
        read: dict[str, list[Cell]] = {name: [] for name in names}
        for file in self.files:
            table = pq.read_table(file, columns=list(names), partitioning=None)
            for name in names:
                read[name].extend(table.column(name).to_pylist())
        return read

    def pictures(self, column: str, member: NDArray[np.bool_], offset: int) -> Iterator[Picture]:
        """Read the pictures of some rows, a few hundred at a time.

        Args:
            column: The column of encoded pictures.
            member: bool, at least (offset + rows,): which rows to read.
            offset: Position in `member` of this table's first row.
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
    for batch in opened.iter_batches(_BATCH, row_groups=[group], columns=[column]):
        cells = batch.column(0)
        if pa.types.is_struct(cells.type):
            cells = pc.struct_field(cells, "bytes")
        for cell in cells:
            yield partial(bytes, cell.as_py() or b"")


def _check_complete(files: Sequence[Path]) -> None:
    """Notice a gap in shards that are numbered as name-00000-of-00005.parquet."""
    stems: dict[tuple[Path, str, int, int], set[int]] = {}
    for file in files:
        numbered = _NUMBERED.fullmatch(file.stem)
        if numbered:
            name, number, total = numbered.groups()
            key = (file.parent, name, int(total), len(number))
            stems.setdefault(key, set()).add(int(number))
    for (folder, name, total, digits), numbers in stems.items():
        first = 1 if max(numbers) == total else 0
        missing = sorted(set(range(first, first + total)) - numbers)
        if missing:
            raise BadInput(
                f"{folder}: shard {name}{missing[0]:0{digits}d}-of-{total:0{digits}d}.parquet is "
                f"missing ({len(numbers)} of {total} are there); fetch it, or choose shards "
                f"with a pattern such as {name}0*-of-{total:0{digits}d}.parquet"
            )
