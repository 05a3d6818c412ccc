"""Files from outside, damaged at random: each is read, or refused in at most five lines."""

import io
import itertools
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssgan.data.sources.base import SourceConfig
from ssgan.data.sources.folder import FolderSource
from ssgan.data.sources.inspect import inspect_path
from ssgan.data.sources.parquet import ParquetSource
from tests.helpers.archives import contents_of, write_tar, write_zip
from tests.helpers.damage import damage, damaged, read_or_refused
from tests.helpers.pictures import encoded

ROWS = 6
Archiver = Callable[[Path, dict[str, bytes]], Path]
_numbers = itertools.count()


@cache
def contents() -> dict[str, bytes]:
    """Whole label files, by name."""
    pairs = [[f"{i}.png", i % 2] for i in range(ROWS)]
    rows = [{"file_name": name, "kind": "ab"[k], "size": k + 0.5} for name, k in pairs]
    lines = [f"{name};{'ab'[k]};{k},5" for name, k in pairs]
    return {
        "labels.csv": "\n".join(["file;kind;size", *lines]).encode(),
        "metadata.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "dataset.json": json.dumps({"labels": pairs}).encode(),
    }


@cache
def table() -> bytes:
    pictures = [
        {"bytes": encoded(Image.new("L", (4, 4), i)), "path": f"{i}.png"} for i in range(ROWS)
    ]
    described = {"info": {"features": {"label": {"names": ["a", "b"]}}}}
    whole = pa.table(
        {"image": pictures, "label": [i % 2 for i in range(ROWS)], "t": ["é", "e"] * (ROWS // 2)}
    )
    whole = whole.replace_schema_metadata({"huggingface": json.dumps(described)})
    buffer = io.BytesIO()
    pq.write_table(whole, buffer, row_group_size=4)
    return buffer.getvalue()


def read_all(source: SourceConfig) -> int:
    """Read a source to its end; return how many images it has."""
    return sum(len(images) for chunks in source.open().splits().values() for images, _ in chunks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "photos"
    folder.mkdir()
    for i in range(ROWS):
        Image.new("L", (4, 4), i).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize("name", ["labels.csv", "metadata.jsonl", "dataset.json"])
def test_the_files_are_read_where_nothing_is_damaged(folder: Path, name: str) -> None:
    file = folder.parent / name
    file.write_bytes(contents()[name])
    assert read_all(FolderSource(root=folder, csv=file)) == ROWS


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(["labels.csv", "metadata.jsonl", "dataset.json"]), harm=damaged())
def test_label_files_are_read_or_refused(folder: Path, name: str, harm: list[tuple]) -> None:
    file = folder.parent / f"{next(_numbers)}-{name}"
    file.write_bytes(damage(contents()[name], harm))
    images = read_or_refused(lambda: read_all(FolderSource(root=folder, csv=file)))
    assert images in (None, ROWS)
    found = read_or_refused(lambda: inspect_path(folder, file))
    assert found is None or found.count == ROWS
    file.unlink()


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from([write_zip, write_tar]), harm=damaged())
def test_archives_are_read_or_refused(folder: Path, kind: Archiver, harm: list[tuple]) -> None:
    ending = {write_zip: "zip", write_tar: "tar"}[kind]
    file = folder.parent / f"{next(_numbers)}.{ending}"
    kind(file, contents_of(folder) | {"labels.csv": contents()["labels.csv"]})
    file.write_bytes(damage(file.read_bytes(), harm))
    images = read_or_refused(lambda: read_all(FolderSource(root=file, csv="labels.csv")))
    assert (images or 0) <= ROWS
    found = read_or_refused(lambda: inspect_path(file, None))
    assert found is None or found.count <= ROWS
    file.unlink()


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_parquet_is_read_or_refused(folder: Path, harm: list[tuple]) -> None:
    file = folder.parent / f"{next(_numbers)}.parquet"
    file.write_bytes(damage(table(), harm))
    source = ParquetSource(train=str(file), labels=("label", "t"))
    assert (read_or_refused(lambda: read_all(source)) or 0) <= ROWS
    found = read_or_refused(lambda: inspect_path(file, None))
    assert found is None or found.count <= ROWS
    file.unlink()
