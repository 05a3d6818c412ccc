"""Parquet tables of encoded pictures: divisions, labels, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.sources.parquet import ParquetSource
from ssgan.data.store import Store, prepare
from tests.helpers.pictures import encoded

ROWS = 30


def png(level: int, size: tuple[int, int] = (6, 6)) -> bytes:
    return encoded(Image.new("RGB", size, (level, level, level)))


def table(start: int = 0, rows: int = ROWS) -> pa.Table:
    """Row i is a picture of the gray level i; people have three pictures each."""
    index = list(range(start, start + rows))
    return pa.table(
        {
            "image": [png(i) for i in index],
            "label": pa.array([i % 3 for i in index], pa.int64()),
            "name": pa.array(["abc"[i % 3] for i in index]).dictionary_encode(),
            "smiles": pa.array([None if i % 5 == 0 else i % 2 == 0 for i in index]),
            "angle": pa.array([i * 1.5 for i in index], pa.float32()),
            "person": pa.array([i // 3 for i in index], pa.int32()),
        }
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "set" / "pictures.parquet"
    path.parent.mkdir()
    pq.write_table(table(), path, row_group_size=7)
    return path


def stored(tmp_path: Path, **fields: object) -> Store:
    return prepare(ParquetSource(**fields), tmp_path / "cache")


def levels(store: Store, split: str, tmp_path: Path) -> list[int]:
    return store.split(split, tmp_path / "cache").images[:, 0, 0, 0].tolist()


def test_columns_of_every_type(tmp_path: Path, file: Path) -> None:
    store = stored(
        tmp_path,
        train=str(file),
        labels=("label", "name", "smiles", "angle"),
        names={"label": "digit"},
        channels=1,
    )
    digit, name, smiles, angle = store.manifest.columns
    assert (digit.name, digit.classes) == ("digit", ("0", "1", "2"))
    assert name.classes == ("a", "b", "c")
    assert smiles.classes == ("no", "yes")
    assert (angle.low, angle.high) == (0, 43.5)
    assert store.manifest.name == "pictures"
    assert store.manifest.shape == (1, 6, 6)
    assert not store.has_test_split
    split = store.split("train", tmp_path)
    expected = [[i % 3, i % 3, np.nan if i % 5 == 0 else i % 2 == 0, i * 1.5] for i in range(ROWS)]
    np.testing.assert_array_equal(split.labels.numpy(), np.array(expected, dtype=np.float32))
    assert levels(store, "train", tmp_path) == list(range(ROWS))


def test_one_file_is_divided_by_position(tmp_path: Path, file: Path) -> None:
    store = stored(tmp_path, train=str(file), train_rows=(2, 10), test_rows=(12, 29))
    assert levels(store, "train", tmp_path) == list(range(2, 10))
    assert levels(store, "test", tmp_path) == list(range(12, 29))
    assert store.manifest.provenance["split"] == "train: rows 2-9; test: rows 12-28"
    rest = stored(tmp_path, train=str(file), test_rows=(0, 20))
    assert levels(rest, "train", tmp_path) == list(range(20, 30))
    last = stored(tmp_path, train=str(file), train_rows=(0, 20), test_share=0.25)
    assert levels(last, "train", tmp_path) == list(range(15))
    assert levels(last, "test", tmp_path) == list(range(15, 20))


def test_groups_are_never_torn_apart(tmp_path: Path, file: Path) -> None:
    store = stored(tmp_path, train=str(file), test_share=0.4, split_by="person")
    train = {level // 3 for level in levels(store, "train", tmp_path)}
    judge = {level // 3 for level in levels(store, "test", tmp_path)}
    assert not train & judge
    assert train | judge == set(range(10))
    assert 1 <= len(judge) <= 7
    assert "40% of the values of person" in store.manifest.provenance["split"]
    # A group's side depends on the group alone, so more data does not move it.
    pq.write_table(table(rows=60), file)
    more = stored(tmp_path, train=str(file), test_share=0.4, split_by="person")
    assert judge <= {level // 3 for level in levels(more, "test", tmp_path)}


def test_judge_files_and_ranges(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "judge.parquet"
    pq.write_table(table(100, 9), other)
    fields = {"train": str(file), "test": str(other), "labels": ("angle",)}
    store = stored(tmp_path, **fields, train_rows=(3, 6), test_rows=(2, 9))
    assert levels(store, "train", tmp_path) == [3, 4, 5]
    assert levels(store, "test", tmp_path) == list(range(102, 109))
    (angle,) = store.manifest.columns
    assert (angle.low, angle.high) == (4.5, 7.5)
    assert store.split("test", tmp_path).labels[0].item() == 153


def test_shards_by_folder_and_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(3):
        pq.write_table(table(shard * 10, 10), folder / f"train-{shard:05d}-of-00003.parquet")
    for spec in (str(folder), f"{folder}/train-*.parquet", f"{tmp_path}/sh*/*"):
        store = stored(tmp_path, train=spec, test_rows=(8, 12))
        assert levels(store, "train", tmp_path) == [*range(8), *range(12, 30)]
        assert levels(store, "test", tmp_path) == [8, 9, 10, 11]
    (folder / "train-00001-of-00003.parquet").unlink()
    with pytest.raises(BadInput, match=r"shard train-00001-of-00003\.parquet is missing"):
        stored(tmp_path, train=str(folder))
    chosen = stored(tmp_path, train=f"{folder}/train-0000[02]-of-*.parquet")
    assert levels(chosen, "train", tmp_path) == [*range(10), *range(20, 30)]


def test_the_test_split_is_a_folder_or_a_pattern_too(tmp_path: Path, file: Path) -> None:
    (tmp_path / "held").mkdir()
    for shard in range(2):
        pq.write_table(
            table(100 + shard * 5, 5), tmp_path / f"held/test-{shard:05d}-of-00002.parquet"
        )
    for spec in ("held", "held/test-*.parquet", "h*/*"):
        store = stored(tmp_path, train=str(file), test=str(tmp_path / spec))
        assert levels(store, "test", tmp_path) == list(range(100, 110))
        assert levels(store, "train", tmp_path) == list(range(ROWS))
    (tmp_path / "held/test-00001-of-00002.parquet").unlink()
    with pytest.raises(BadInput, match=r"shard test-00001-of-00002\.parquet is missing"):
        stored(tmp_path, train=str(file), test=str(tmp_path / "held"))


def test_pictures_in_structs_are_found(tmp_path: Path) -> None:
    cells = [{"bytes": png(i), "path": f"{i}.png"} for i in range(4)]
    pq.write_table(pa.table({"picture": cells, "label": [0, 1, 0, 1]}), tmp_path / "a.parquet")
    store = stored(tmp_path, train=str(tmp_path / "a.parquet"), image="picture")
    assert levels(store, "train", tmp_path) == [0, 1, 2, 3]


def test_pictures_are_cropped_and_scaled(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"image": [png(i, (20, 30)) for i in range(4)], "label": [0, 1, 0, 1]}),
        tmp_path / "a.parquet",
    )
    fields = {"train": str(tmp_path / "a.parquet"), "size": 8}
    assert stored(tmp_path, crop=(0, 1 / 6, 1, 5 / 6), **fields).manifest.shape == (3, 8, 8)
    with pytest.raises(BadInput, match=r"20x30 is not square.*data\.source\.resize"):
        stored(tmp_path, **fields)
    assert stored(tmp_path, resize="pad", **fields).manifest.shape == (3, 8, 8)


def test_mixed_sizes_and_broken_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    cells = [b"no picture", png(1), png(2), None, png(4, (9, 9))]
    pq.write_table(pa.table({"image": cells, "label": [0, 1, 0, 1, 0]}), path)
    with pytest.raises(BadInput, match=r"a\.parquet row 4 is 9x9 where the first picture is 6x6"):
        stored(tmp_path, train=str(path))
    store = stored(tmp_path, train=str(path), size=6)
    assert store.manifest.broken == ("a.parquet row 0", "a.parquet row 3")
    assert levels(store, "train", tmp_path) == [1, 2, 4]
    assert store.split("train", tmp_path).labels[:, 0].tolist() == [1, 0, 0]
    with pytest.raises(BadInput, match=r"a\.parquet row 0 cannot be read"):
        stored(tmp_path, train=str(path), size=6, strict=True)
    with pytest.raises(BadInput, match="no readable picture"):
        stored(tmp_path, train=str(path), train_rows=(0, 1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": "picture"}, "no column 'picture' for the pictures.*image, label, name"),
        ({"image": "label"}, "int64 is not an encoded picture"),
        ({"labels": ("labels",)}, "no column 'labels'; did you mean 'label'"),
        ({"labels": ("image",)}, "binary is not a label"),
        ({"test_share": 0.2, "split_by": "persons"}, "did you mean 'person'"),
        ({"train_rows": (0, 31)}, "train_rows=0,31 exceeds the 30 rows"),
        ({"test_rows": (25, 31)}, "test_rows=25,31 exceeds the 30 rows"),
        ({"test_rows": (0, 30)}, "no row is left for the train split"),
        ({"test_share": 0.001}, "no row is left for the test split"),
        ({"classes": {"label": ("a", "b")}}, r"none of the classes a, b: 2 \(row 2\)"),
    ],
)
def test_bad_parameters_are_refused(
    tmp_path: Path, file: Path, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        ParquetSource(train=str(file), **fields).open()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_rows": (5, 5)}, "0 <= first < end"),
        ({"test": "x", "test_share": 0.1}, "test_share excludes"),
        ({"split_by": "person"}, "no effect without test_share"),
        ({"train_rows": (0, 10), "test_rows": (9, 12)}, "overlap"),
        ({"train_rows": (9, 12), "test_rows": (0, 10)}, "overlap"),
        ({"image_column": "x"}, "image_column"),
    ],
)
def test_contradictions_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ParquetSource(train="x.parquet", **fields)


def test_missing_and_damaged_files(tmp_path: Path, file: Path) -> None:
    for spec in (f"{tmp_path}/none.parquet", f"{tmp_path}/none/*.parquet"):
        with pytest.raises(BadInput, match=r"none.*matches no file; set data\.source\.train"):
            stored(tmp_path, train=spec)
    pq.write_table(pa.table({"other": [1]}), file.parent / "z.parquet")
    with pytest.raises(BadInput, match=r"z\.parquet has other columns than pictures\.parquet"):
        stored(tmp_path, train=str(file.parent))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CorruptFile, match=r"pictures\.parquet is not a whole Parquet file"):
        stored(tmp_path, train=str(file))


def test_fingerprint_follows_the_file(file: Path) -> None:
    before = ParquetSource(train=str(file)).fingerprint()
    assert ParquetSource(train=str(file), channels=1).fingerprint() != before
    pq.write_table(table(5), file)
    assert ParquetSource(train=str(file)).fingerprint() != before


def test_names_of_classes_come_from_the_files_metadata(tmp_path: Path) -> None:
    described = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    whole = pa.table({"image": [png(i) for i in range(5)], "label": [1, 0, -1, -1, 1]})
    file = tmp_path / "a.parquet"
    pq.write_table(whole.replace_schema_metadata({"huggingface": json.dumps(described)}), file)
    store = stored(tmp_path, train=str(file))
    (code,) = store.manifest.columns
    assert code.classes == ("cat", "dog")
    assert store.manifest.splits["train"].known == (3,)
    assert "2 cells are unknown (2 -1)" in store.manifest.provenance["labels"]
    pq.write_table(whole, file)  # without names -1 may be a class, and is asked about
    store = stored(tmp_path, train=str(file))
    assert store.manifest.columns[0].classes == ("-1", "0", "1")
    assert "data.source.unknown=[-1]" in store.manifest.provenance["labels"]
    marked = stored(tmp_path, train=str(file), unknown=(-1,))
    assert marked.manifest.columns[0].classes == ("0", "1")


def test_columns_of_a_table_can_be_one_code(tmp_path: Path) -> None:
    flags = {"cat": [1, 0, 0], "dog": [0, 1, 0], "cow": [0, 0, 1]}
    pq.write_table(pa.table({"image": [png(i) for i in range(3)], **flags}), tmp_path / "a.parquet")
    store = stored(
        tmp_path, train=str(tmp_path / "a.parquet"), labels=(), one_hot={"animal": (*flags,)}
    )
    assert store.manifest.columns[0].classes == ("cat", "dog", "cow")
    assert store.split("train", tmp_path).labels[:, 0].tolist() == [0, 1, 2]


def test_paths_in_place_of_pictures_are_named(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": None, "path": f"{i}.png"} for i in range(3)], kind)
    pq.write_table(pa.table({"image": cells, "label": [0, 1, 0]}), tmp_path / "a.parquet")
    with pytest.raises(
        BadInput, match=r"bytes .*are null and only paths are filled, such as 0\.png"
    ):
        stored(tmp_path, train=str(tmp_path / "a.parquet"))


def test_gray_pictures_get_one_channel_unless_one_is_in_color(tmp_path: Path) -> None:
    gray = [encoded(Image.new("L", (4, 4), 60 * i)) for i in range(4)]
    pq.write_table(pa.table({"image": gray, "label": [0, 1, 0, 1]}), tmp_path / "a.parquet")
    store = stored(tmp_path, train=str(tmp_path / "a.parquet"))
    assert store.manifest.shape == (1, 4, 4)
    assert levels(store, "train", tmp_path) == [0, 60, 120, 180]
    assert stored(tmp_path, train=str(tmp_path / "a.parquet"), channels=3).manifest.shape[0] == 3
    cells = [*gray[:3], png(9, (4, 4))]
    pq.write_table(pa.table({"image": cells, "label": [0, 1, 0, 1]}), tmp_path / "b.parquet")
    assert stored(tmp_path, train=str(tmp_path / "b.parquet")).manifest.shape == (3, 4, 4)
    one = {"train": str(tmp_path / "b.parquet"), "train_rows": (0, 3)}
    assert stored(tmp_path, **one).manifest.shape == (1, 4, 4)


def test_deep_gray_is_scaled_by_the_range_of_all_rows_in_use(tmp_path: Path) -> None:
    deep = [encoded(Image.fromarray(np.full((4, 4), v, dtype=np.uint16))) for v in (0, 50, 100)]
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": deep, "label": [0, 1, 0]}), file)
    store = stored(tmp_path, train=str(file), test_rows=(2, 3))
    assert levels(store, "train", tmp_path) == [0, 128]
    assert levels(store, "test", tmp_path) == [255]
    pq.write_table(pa.table({"image": [png(9, (4, 4)), *deep], "label": [0, 1, 0, 1]}), file)
    with pytest.raises(BadInput, match=r"a\.parquet row 1: .*more than 8 bits.*source\.levels"):
        stored(tmp_path, train=str(file))
    mixed = stored(tmp_path, train=str(file), levels=(0, 200))
    assert levels(mixed, "train", tmp_path) == [9, 0, 64, 128]
