"""What Q reads of images, as a table of any number of rows: CSV, or Parquet.

A row an image: what it is called, and for each code its value, a class name (or *none of these*) or
a number in the user's units, and how sure Q is. Cells are empty (null) where an image could not be
read. The CSV is one that `data.source.csv` takes.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from ssgan.export.code_values import free_name
from ssgan.export.csv_rows import FILE, csv_header, csv_rows
from ssgan.method.codes import Code
from ssgan.method.objective import QReading

ENDINGS = (".csv", ".parquet")
"""Of the files that can be written."""
_GROUP = 20_000  # rows of a row group of Parquet

Write = Callable[[Sequence[str], QReading], None]
"""Writes some rows: names, n, and a reading, two float32 (n, K); NaN makes an empty cell."""
_Columns = list[list[Any]]
_WriteColumns = Callable[[_Columns], None]


def header(codes: Sequence[Code], certain: Sequence[bool]) -> list[str]:
    """Name the columns: the images, then each code, and its confidence where it has one.

    A name that is taken gets underscores at its end.
    """
    names = [code.name for code in codes]
    taken = set(names)
    columns = [free_name(FILE, taken)]
    for name, has_confidence in zip(names, certain, strict=True):
        columns += [name, free_name(f"{name} confidence", taken)] if has_confidence else [name]
    return columns


@contextlib.contextmanager
def writing_readings(
    path: Path, form: str, codes: Sequence[Code], certain: Sequence[bool]
) -> Iterator[Write]:
    """Write a table row by row; `certain` says which codes have a confidence.

    Args:
        path: The new file.
        form: Its form, one of `ENDINGS`, which need not be how the path ends.
        codes: The codes, K.
        certain: Of each, whether it has a confidence.
    """
    columns = header(codes, certain)
    table = _csv(path, columns) if form == ".csv" else _parquet(path, columns, codes, certain)
    with table as write:
        yield lambda names, reading: write(
            [[*map(as_text, names)], *_cells(codes, certain, reading)]
        )


def _cells(codes: Sequence[Code], certain: Sequence[bool], reading: QReading) -> _Columns:
    columns: _Columns = []
    for k, code in enumerate(codes):
        values = _numbers(code.from_unit(reading.value[:, k]))
        if code.is_categorical:
            columns.append([None if one is None else code.answers[int(one)] for one in values])
        else:
            columns.append(values)
        if certain[k]:
            columns.append(_numbers(reading.confidence[:, k]))
    return columns


def _numbers(column: Tensor) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]


def as_text(name: str) -> str:
    """Write bytes that are not UTF-8, which file names may have, as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def _csv(path: Path, columns: Sequence[str]) -> Iterator[_WriteColumns]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(csv_header(columns))

        def write(cells: _Columns) -> None:
            stream.write(csv_rows(map(_line, zip(*cells, strict=True))))

        yield write


def _line(row: Sequence[Any]) -> list[str]:
    return [f"{cell:.6g}" if isinstance(cell, float) else cell or "" for cell in row]


@contextlib.contextmanager
def _parquet(
    path: Path, columns: Sequence[str], codes: Sequence[Code], certain: Sequence[bool]
) -> Iterator[_WriteColumns]:
    types = [pa.string()]
    for code, has_confidence in zip(codes, certain, strict=True):
        types += [pa.string() if code.is_categorical else pa.float32()]
        types += [pa.float32()] if has_confidence else []
    schema = pa.schema(list(zip(columns, types, strict=True)))
    waiting: list[pa.RecordBatch] = []

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting, schema), row_group_size=_GROUP)
                waiting.clear()

        def write(cells: _Columns) -> None:
            arrays = [pa.array(cell, kind) for cell, kind in zip(cells, types, strict=True)]
            waiting.append(pa.record_batch(arrays, schema=schema))
            if sum(map(len, waiting)) >= _GROUP:
                flush()

        yield write
        flush()
