"""`ssgan init` on Parquet: what is in the columns, which files are splits, what is refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ssgan.experiment.loading import load_experiment
from tests.helpers.pictures import encoded

NAMES = ["zero", "one"]


def write(
    file: Path, labels: list[int], mode: str = "L", named: bool = True, **columns: list[object]
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures = [
        {"bytes": encoded(Image.new(mode, (16, 16), 9 * i)), "path": f"{i}.png"}
        for i in range(len(labels))
    ]
    table = pa.table({"image": pictures, "label": pa.array(labels, pa.int64()), **columns})
    if named:
        described = {"info": {"features": {"label": {"names": NAMES, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(described)})
    pq.write_table(table, file)


def test_a_folder_of_parquet_is_described_and_read(ssgan, tmp_path: Path) -> None:
    labels = [i % 2 if i % 5 == 0 else -1 for i in range(20)]
    write(tmp_path / "faces/data/train-00000-of-00001.parquet", labels, caption=["x"] * 20)
    done = ssgan("init", "faces")
    assert done.code == 0, done.err
    assert "20 gray pictures in faces: all are 16x16" in done.out
    assert "label label: categorical, zero: 2, one: 2 (4 labeled)" in done.out
    assert "16 cells are unknown (16 -1)" in done.out
    assert "label caption: left out, only 'x' in it" in done.out
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "faces").rename(tmp_path / "elsewhere/faces")
    (tmp_path / "faces.yaml").rename(tmp_path / "elsewhere/faces.yaml")
    experiment = load_experiment("elsewhere/faces.yaml")
    source = experiment.data.source.open()
    assert source.shape == (1, 16, 16)
    assert source.columns[0].classes == ("zero", "one")
    assert int((~np.isnan(source.labels)).sum()) == 4
    assert experiment.codes.supervised == ("label",)


def test_one_file_in_color_without_names_of_classes(ssgan, tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [-1, 0, 1, 2] * 3, "RGB", named=False)
    done = ssgan("init", "a.parquet")
    assert done.code == 0, done.err
    assert "if it means unknown, set data.source.unknown=[-1]" in done.out
    source = load_experiment("a.yaml").data.source.open()
    assert (source.shape[0], source.columns[0].classes) == (3, ("-1", "0", "1", "2"))


@pytest.mark.parametrize(
    ("labels_of_test", "chosen"), [([0, 1, 1], "test"), ([-1, -1, -1], "validation")]
)
def test_files_of_splits_are_splits_where_they_have_labels(
    ssgan, tmp_path: Path, labels_of_test: list[int], chosen: str
) -> None:
    for shard in range(2):
        write(tmp_path / f"set/train-{shard:05}-of-00002.parquet", [0, 1] * 3, url=["b"] * 6)
    write(tmp_path / "set/test-00000-of-00001.parquet", labels_of_test)
    # Each split has an own column that nobody needs.
    write(tmp_path / "set/validation-00000-of-00001.parquet", [1, 0], license=["a", "a"])
    done = ssgan("init", "set")
    assert done.code == 0, done.err
    assert (
        f"{chosen}-00000-of-00001.parquet: {3 if chosen == 'test' else 2} rows, taken" in done.out
    )
    assert "not used, since" in done.out
    source = load_experiment("set.yaml").data.source
    assert (source.train, Path(source.test or "").name) == (
        str(tmp_path / "set/train*.parquet"),
        f"{chosen}-00000-of-00001.parquet",
    )
    assert source.open().counts == {"train": 12, "test": 3 if chosen == "test" else 2}
    (tmp_path / "set/train-00001-of-00002.parquet").unlink()
    missing = ssgan("init", "set", "--force")
    assert (missing.code, "shard train-00001-of-00002.parquet is missing" in missing.err) == (
        2,
        True,
    )


def test_files_of_one_name_in_several_folders_are_one_table(ssgan, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / "set" / folder / "0000.parquet", [0, 1])
    done = ssgan("init", "set")
    assert "4 gray pictures in set" in done.out
    assert load_experiment("set.yaml").data.source.open().counts == {"train": 4}


def test_a_test_split_without_the_labels_is_left_out_and_said(ssgan, tmp_path: Path) -> None:
    write(tmp_path / "set/train.parquet", [0, 1] * 3)
    pictures = [encoded(Image.new("L", (16, 16), i)) for i in range(3)]
    pq.write_table(pa.table({"image": pictures}), tmp_path / "set/test.parquet")
    done = ssgan("init", "set")
    assert "test.parquet: 3 rows, not used, since columns are missing" in done.out
    assert load_experiment("set.yaml").data.source.open().counts == {"train": 6}


def test_tables_without_pictures_are_refused_with_what_helps(ssgan, tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": None, "path": f"{i}.png"} for i in range(3)], kind)
    (tmp_path / "paths").mkdir()
    pq.write_table(pa.table({"image": cells, "label": [0, 1, 0]}), tmp_path / "paths/a.parquet")
    done = ssgan("init", "paths")
    assert (done.code, "bytes in column 'image' are null and only paths" in done.err) == (2, True)
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "b.parquet")
    done = ssgan("init", "b.parquet")
    assert "has no column of encoded pictures" in done.err
    assert "text, n" in done.err
    write(tmp_path / "c.parquet", [0, 1, 0])
    done = ssgan("init", "c.parquet", "--csv", "labels.csv")
    assert (done.code, "--csv has no effect" in done.err) == (2, True)
    assert not [*tmp_path.glob("*.yaml")]
