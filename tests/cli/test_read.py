"""`ssgan read`: pictures become a table, which is one of labels."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ssgan.data.sources.folder import FolderSource
from ssgan.experiment.loading import with_values
from ssgan.records.rundir import RunDir
from tests.cli.conftest import Run
from tests.helpers.runs import short_run, small

SHADE, LEVEL = 'shade, "of" 🙂', "level"
COUNT = 120


def paint(path: Path, level: int, size: int = 16) -> None:
    """Draw noise about a level of gray."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(level).integers(-10, 10, (size, size))
    Image.fromarray((level + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run on pictures that are dark or light, all of which have both labels."""
    root = tmp_path_factory.mktemp("photos")
    levels = [20 + 200 * k // COUNT for k in range(COUNT)]
    for k, level in enumerate(levels):
        paint(root / f"{k:03d}.png", level)
    with (root / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", SHADE, LEVEL])
        for k, level in enumerate(levels):
            shade = "dark\nish" if level < 120 else "light"
            writer.writerow([f"{k:03d}.png", shade, level + 0.5])
    experiment = with_values(
        small("label_sampling.batch_size=16"),
        {
            "data.source": {"kind": "folder", "root": str(root), "csv": "labels.csv"},
            "data.labels": "100%",
            "codes.supervised": [SHADE, LEVEL],
            "codes.posterior": "gaussian",
        },
    )
    return short_run(tmp_path_factory.mktemp("runs") / "photos", experiment, 80)


def test_a_run_labels_its_own_pictures(ssgan: Run, trained: RunDir) -> None:
    done = ssgan("read", trained.location)
    assert done.code == 0, done.err
    assert f"read.csv: {COUNT} images" in done.out
    assert "labels held out of the budget" in done.out
    assert "how it was made: read.csv.json" in done.out
    with Path("read.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == [f"{k:03d}.png" for k in range(COUNT)]
    right = [(row[SHADE] == "light") == (k >= COUNT * 0.5) for k, row in enumerate(rows)]
    assert sum(right) / COUNT > 0.7
    assert {row[SHADE] for row in rows} <= {"dark\nish", "light"}
    assert all(0 <= float(row[f"{SHADE} confidence"]) <= 1 for row in rows)
    levels = [float(row[LEVEL]) for row in rows]
    assert np.corrcoef(levels, range(COUNT))[0, 1] > 0.5  # in the user's units, or nearly
    done = ssgan("read", trained.location)
    assert done.code == 2
    assert "read.csv is there already" in done.err


def test_other_pictures_make_a_table_of_labels_that_is_read_again(
    ssgan: Run, trained: RunDir
) -> None:
    names = ["a.png", "sub/a.png", "c, d.png", 'e"f.png', "g\nh.png", "é.png"]
    for k, name in enumerate(names):
        paint(Path("more") / name, 30 * k, size=40)
    Path("more/broken.png").write_text("no picture")
    done = ssgan("read", trained.location, "more", "--out", "more/read.csv", "--json")
    assert done.code == 0, done.err
    assert "1 of 7 images cannot be read, and their cells are empty: broken.png" in done.err
    facts = json.loads(done.out)
    assert (facts["images"], facts["unreadable"]) == (7, 1)
    assert [code["name"] for code in facts["codes"]] == [SHADE, LEVEL]
    assert [code["fitted"] for code in facts["codes"]] == [12, 12]  # of a fifth of all labels
    assert json.loads(Path("more/read.csv.json").read_text()) == facts
    with Path("more/read.csv").open(newline="") as stream:
        rows = {row["file"]: row for row in csv.DictReader(stream)}
    assert {*rows} == {*names, "broken.png"}
    assert not any(rows["broken.png"][column] for column in (SHADE, LEVEL))

    source = FolderSource(
        root=Path("more"),
        csv=Path("read.csv"),
        labels=(SHADE, LEVEL),
        classes={SHADE: ("dark\nish", "light")},
        size=16,
    ).open()
    for picture in source.pictures("train"):
        shade, level = source.labels[picture.row]
        if picture.name == "broken.png":
            assert np.isnan([shade, level]).all()
        else:
            row = rows[picture.name]
            assert ("dark\nish", "light")[int(shade)] == row[SHADE]
            assert level == pytest.approx(float(row[LEVEL]))


def test_parquet_and_overrides(ssgan: Run, trained: RunDir) -> None:
    Path("wide").mkdir()
    Image.new("L", (32, 16), 100).save("wide/a.png")
    done = ssgan("read", trained.location, "wide", "--out", "read.parquet")
    assert done.code == 2
    assert "data.source.resize=crop" in done.err
    words = ("wide", "data.source.resize=crop", "--out", "read.parquet")
    done = ssgan("read", trained.location, *words)
    assert done.code == 0, done.err
    assert pq.read_table("read.parquet").column_names == [
        *("file", SHADE, f"{SHADE} confidence", LEVEL, f"{LEVEL} confidence"),
        *("style_1", "style_1 confidence", "style_2", "style_2 confidence"),
    ]
    assert Path("read.parquet.json").exists()
    done = ssgan("read", trained.location, *words, "--replace")
    assert done.code == 0, done.err
    assert Path("read.parquet.1").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "read.xlsx"], "must end in .csv or .parquet"),
        (["nowhere"], "there is no folder or file nowhere"),
        (["a", "b"], "'b' is too much"),
        (["training.epochs=3"], "training.epochs has no effect here"),
        (["data.source.rot=x"], "did you mean 'root'"),
        (["--checkpoint", "7"], "no checkpoint '7'"),
        (["digits", "data.source.size=8"], "8x8 gray, and the run reads 16x16 gray"),
        (["shards", "--out", "shards/read.parquet"], "taken for one of the files that are read"),
    ],
)
def test_bad_input(ssgan: Run, trained: RunDir, arguments: list[str], message: str) -> None:
    Path("shards").mkdir()
    pq.write_table(
        pq.read_table(Path(__file__).parents[1] / "compatibility/written-by-0589714/table.parquet"),
        "shards/a.parquet",
    )
    done = ssgan("read", trained.location, *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list(Path().rglob("read.*"))


def test_pictures_of_no_class_are_read_as_such(ssgan: Run, tmp_path: Path) -> None:
    root = tmp_path / "heap"
    words = ["dark", "light", "none of these"]
    for k in range(90):
        paint(root / f"{k:03d}.png", (40, 200, 120)[k % 3])
        if k % 3 == 2:
            with Image.open(root / f"{k:03d}.png") as picture:
                striped = np.array(picture)
            striped[:, ::4] = 255 * (k % 2)
            Image.fromarray(striped).save(root / f"{k:03d}.png")
    rows = [f"{k:03d}.png,{words[k % 3]}" for k in range(90)]
    (root / "labels.csv").write_text("\n".join(["file,shade", *rows]))
    source = {"kind": "folder", "root": str(root), "csv": "labels.csv", "foreign": [words[2]]}
    experiment = with_values(
        small("label_sampling.batch_size=16"),
        {"data.source": source, "data.labels": "100%", "codes.supervised": ["shade"]},
    )
    experiment = with_values(experiment, {"data.held_out": 0.3})
    run = short_run(tmp_path / "run", experiment, 80)
    done = ssgan("read", run.location, "--out", "read.csv")
    assert done.code == 0, done.err
    with Path("read.csv").open(newline="") as stream:
        read = [row["shade"] for row in csv.DictReader(stream)]
    assert set(read) == set(words)
    assert sum(one == words[k % 3] for k, one in enumerate(read)) > 75
    (found,) = json.loads(Path("read.csv.json").read_text())["codes"]
    assert (found["fitted"], found["measured"]) == (14, 13)  # a third of which are of no class
