"""A sealed table comes back as it was, and tells when its facts were changed."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ssgan.data.sealed_table import UNREADABLE, as_column, as_tensor, seal, unseal

FACTS = {"amount": "10%", "counts": {"digit": {"7": 3}}}


def test_a_table_comes_back_with_its_facts() -> None:
    table, facts, is_whole = unseal(seal(pa.table({"index": [1, 5]}), FACTS))
    assert table["index"].to_pylist() == [1, 5]
    assert (facts, is_whole) == (FACTS, True)


def test_a_fact_that_was_changed_is_noticed() -> None:
    table = pq.read_table(io.BytesIO(seal(pa.table({"index": [1]}), FACTS)))
    facts = json.loads(table.schema.metadata[b"ssgan"]) | {"amount": "20%"}
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"ssgan": json.dumps(facts).encode()}), sink)
    assert unseal(sink.getvalue())[2] is False


def test_what_is_not_sealed_cannot_be_read() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"index": [1]}), sink)
    for data in (b"", b"PAR1", sink.getvalue()):
        with pytest.raises(UNREADABLE):
            unseal(data)


@pytest.mark.parametrize("kind", [torch.int32, torch.float32])
def test_a_tensor_comes_back_from_its_column(kind: torch.dtype) -> None:
    tensor = torch.arange(12, dtype=kind).view(4, 3)
    table, _, _ = unseal(seal(pa.table({"tensor": as_column(tensor), "index": range(4)}), FACTS))
    assert as_tensor(table["tensor"]).dtype == kind
    assert torch.equal(as_tensor(table["tensor"]), tensor)
    with pytest.raises(UNREADABLE):
        as_tensor(table["index"])
