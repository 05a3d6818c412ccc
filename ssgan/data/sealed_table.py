"""Parquet files that tell whether they were changed: a table, and facts with their own hash."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ssgan.base.config import canonical_hash
from ssgan.base.errors import CorruptFile
from ssgan.base.json_text import read_json

T = TypeVar("T")

UNREADABLE = (pa.ArrowException, OSError, ValueError, LookupError, TypeError, RuntimeError)
"""What reading such a file, and what was in it, raises where it is damaged."""
_METADATA = b"ssgan"


def seal(table: pa.Table, facts: Mapping[str, Any]) -> bytes:
    """Serialize a table with facts, JSON values by name, among which is a hash of its content."""
    sealed = {**facts, "sha256": canonical_hash(dict(facts))}
    sink = io.BytesIO()
    metadata = {_METADATA: json.dumps(sealed).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return sink.getvalue()


def unseal(data: bytes) -> tuple[pa.Table, dict[str, Any], bool]:
    """Return a table, its facts, and whether these are what was written (`UNREADABLE`)."""
    table = pq.read_table(io.BytesIO(data))
    facts = read_json(table.schema.metadata[_METADATA])
    return table, facts, facts.pop("sha256") == canonical_hash(facts)


def read_sealed(
    data: bytes, name: str, mend: str, build: Callable[[pa.Table, dict[str, Any]], tuple[T, bool]]
) -> T:
    """Build something from a sealed table.

    Args:
        data: The file.
        name: What errors call it.
        mend: What they say is to be done about it.
        build: Makes it from the table and its facts, and says whether it has the hash that they
            name; may raise `UNREADABLE`.

    Raises:
        CorruptFile: The file cannot be read, or holds something else than was written.
    """
    try:
        table, facts, is_whole = unseal(data)
        found, is_same = build(table, facts)
    except UNREADABLE as error:
        told = " ".join(str(error).split())
        raise CorruptFile(f"{name} cannot be read ({told}){mend}") from error
    if not (is_whole and is_same):
        raise CorruptFile(f"{name} was changed after it was written{mend}")
    return found


def as_column(tensor: Tensor) -> pa.FixedSizeListArray:
    """Return a tensor (n, k) as a column of a table."""
    return pa.FixedSizeListArray.from_arrays(pa.array(tensor.flatten().numpy()), tensor.shape[1])


def as_tensor(column: pa.ChunkedArray) -> Tensor:
    """Return the tensor (n, k) that a column was made of (`UNREADABLE`)."""
    if not pa.types.is_fixed_size_list(column.type):
        raise TypeError(f"a column holds {column.type}")
    flat = column.combine_chunks().flatten().to_numpy()
    return torch.from_numpy(flat.copy()).view(len(column), column.type.list_size)
