"""Parquet files that tell whether they were changed: a table, and facts with their own hash."""

import io
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ssgan.base.config import canonical_hash
from ssgan.base.json_text import read_json

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


def as_column(tensor: Tensor) -> pa.FixedSizeListArray:
    """Return a tensor (n, k) as a column of a table."""
    return pa.FixedSizeListArray.from_arrays(pa.array(tensor.flatten().numpy()), tensor.shape[1])


def as_tensor(column: pa.ChunkedArray) -> Tensor:
    """Return the tensor (n, k) that a column was made of (`UNREADABLE`)."""
    if not pa.types.is_fixed_size_list(column.type):
        raise TypeError(f"a column holds {column.type}")
    flat = column.combine_chunks().flatten().to_numpy()
    return torch.from_numpy(flat.copy()).view(len(column), column.type.list_size)
