"""Readings as CSV and Parquet: what stands in the cells, and that they are read again."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from ssgan.data.sources.folder import FolderSource
from ssgan.export import readings as module
from ssgan.export.readings import header, writing_readings
from ssgan.method.codes import Code
from ssgan.method.objective import QReading

ODD = ("round, red", 'a "b"', "two\nlines", "🙂; semi", " NA")
SHAPE = Code(name='sha;pe, "of" 🙂;;;', kind="categorical", classes=ODD)
ANGLE = Code(name="angle", kind="continuous", low=0, high=90)
NAMES = ["a.png", "sub/a.png", "c, d.png", 'e"f.png', "g\nh.png", "i\rj.png", "k;l.png"]


def reading(rows: Sequence[tuple[float, float, float, float]]) -> QReading:
    """Return values and confidences of two codes, a row an image."""
    table = torch.tensor(rows)
    return QReading(table[:, :2], table[:, 2:])


ROWS = [(k % 5, k / 7, 0.5 + k / 20, math.nan) for k in range(len(NAMES))]


def write(path: Path, certain: Sequence[bool] = (True, False)) -> Path:
    with writing_readings(path, path.suffix, (SHAPE, ANGLE), certain) as add:
        add(NAMES[:3], reading(ROWS[:3]))
        add(NAMES[3:], reading(ROWS[3:]))
        add(["broken.png"], reading([(math.nan,) * 4]))
    return path


def test_a_csv_holds_whatever_names_hold(tmp_path: Path) -> None:
    with write(tmp_path / "read.csv").open(encoding="utf-8", newline="") as stream:
        first, *rows = csv.reader(stream)
    assert first == ["file", SHAPE.name, f"{SHAPE.name} confidence", "angle"]
    assert [row[0] for row in rows] == [*NAMES, "broken.png"]
    assert [row[1] for row in rows] == [*(ODD[k % 5] for k in range(7)), ""]
    assert [row[2] for row in rows[:2]] == ["0.5", "0.55"]
    assert rows[1][3] == "51.4286"  # 1/7 of the way up from the middle of 0 to 90
    assert rows[-1] == ["broken.png", "", "", ""]


def test_parquet_holds_the_same_with_all_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GROUP", 4)
    file = write(tmp_path / "read.parquet")
    assert pq.read_metadata(file).num_row_groups == 3  # 7 rows in groups of 4, then one
    table = pq.read_table(file).to_pydict()
    assert table["file"] == [*NAMES, "broken.png"]
    assert table[SHAPE.name] == [*(ODD[k % 5] for k in range(7)), None]
    angles = ANGLE.from_unit(torch.tensor([row[1] for row in ROWS]))
    assert table["angle"] == [*angles.tolist(), None]
    assert table[f"{SHAPE.name} confidence"][-1] is None


def test_names_of_columns_are_distinct() -> None:
    codes = [
        Code(name=name, kind="continuous") for name in ("file", "a", "a confidence", "file_", "b")
    ]
    named = header(codes, [False, True, True, False, False])
    assert named == [
        *("file__", "file", "a", "a confidence_"),
        *("a confidence", "a confidence confidence", "file_", "b"),
    ]


def test_a_file_name_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    for ending in module.ENDINGS:
        with writing_readings(tmp_path / "new.tmp", ending, (), ()) as add:
            add([b"caf\xe9.png".decode(errors="surrogateescape")], reading([(0.0,) * 4]))
        content = (tmp_path / "new.tmp").read_bytes()
        assert b"caf\\udce9.png" in content


def test_the_csv_is_one_that_a_folder_takes_for_its_labels(tmp_path: Path) -> None:
    for level, name in enumerate([*NAMES, "broken.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), level).save(tmp_path / name)
    write(tmp_path / "read.csv")
    classes = tuple(name.strip() for name in ODD)  # spaces around a cell are not read
    source = FolderSource(
        root=tmp_path,
        csv="read.csv",
        labels=(SHAPE.name, "angle"),
        classes={SHAPE.name: classes},
    ).open()
    shape, angle = source.columns
    assert (shape.name, shape.classes) == (SHAPE.name, classes)
    assert (angle.kind, angle.low) == ("continuous", 45)
    images = {picture.name: source.labels[picture.row] for picture in source.pictures("train")}
    assert [images[name][0] for name in NAMES] == [k % 5 for k in range(7)]
    assert images["g\nh.png"][1] == pytest.approx(45 + 45 * 4 / 7, abs=1e-3)
    assert all(math.isnan(value) for value in images["broken.png"])
