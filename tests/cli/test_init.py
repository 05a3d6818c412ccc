"""`ssgan init`: a file that loads, with what was found and why."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from ssgan.cli.init import extent, write_template
from ssgan.data.dataset import Dataset
from ssgan.data.sources.inspect import inspect_folder
from ssgan.data.store import prepare
from ssgan.experiment.loading import load_experiment


def pictures(folder: Path, count: int, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new(mode, size, 3 * number).save(folder / f"{number:03d}.png")
    return folder


def labels(file: Path, header: list[str], rows: list[list[str]]) -> Path:
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return file


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures with one text column, one of numbers, one of class numbers, one useless."""
    folder = pictures(tmp_path / "photos", 30, (48, 40))
    rows = [
        [
            f"{i:03d}.png",
            ("cat", "dog")[i % 2] if i < 20 else "",
            f"{i * 1.5}" if i % 3 else "",
            str(i % 3),
            f"note {i}",
        ]
        for i in range(30)
    ]
    labels(folder / "labels.csv", ["file", "animal", "angle", "room", "note"], rows)
    return folder


def test_the_file_loads_and_its_data_makes_a_data_set(ssgan, photos: Path) -> None:
    done = ssgan("init", photos)
    assert done.code == 0, done.err
    experiment = load_experiment("photos.yaml")
    assert experiment.codes.supervised == ("animal", "angle", "room")
    assert experiment.data.source.size == 32
    assert experiment.data.source.resize == "crop"
    dataset = Dataset.load(experiment.data, experiment.codes, prepare(experiment.data.source))
    kinds = {code.name: code.kind for code in dataset.space.supervised}
    assert kinds == {"animal": "categorical", "angle": "continuous", "room": "categorical"}
    assert len(dataset.budget) == 30
    assert len(dataset.budget.held_out) == 6


def test_it_says_what_was_found_and_what_to_run(ssgan, photos: Path) -> None:
    done = ssgan("init", photos)
    assert "30 color pictures" in done.out
    assert "animal: categorical, cat: 10, dog: 10 (20 labeled)" in done.out
    assert "note: left out, 30 different texts" in done.out
    assert "train photos.yaml" in done.out
    text = Path("photos.yaml").read_text()
    assert "note: left out" in text
    assert "the central squares leave out 17%" in text


def test_an_existing_file_is_kept(ssgan, photos: Path) -> None:
    Path("photos.yaml").write_text("mine")
    done = ssgan("init", photos)
    assert done.code == 2
    assert "--force" in done.err
    assert Path("photos.yaml").read_text() == "mine"
    assert ssgan("init", photos, "--force").code == 0
    assert "kind: folder" in Path("photos.yaml").read_text()


def test_without_labels_it_is_infogan(ssgan, tmp_path: Path) -> None:
    pictures(tmp_path / "plain", 5, (100, 30))
    assert ssgan("init", "plain").code == 0
    experiment = load_experiment("plain.yaml")
    assert experiment.codes.supervised == ()
    assert experiment.data.source.resize == "pad"


def test_folder_names_become_classes_and_gray_stays_gray(ssgan, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / "pets" / name, 4, (28, 28), "L")
    assert ssgan("init", "pets").code == 0
    experiment = load_experiment("pets.yaml")
    source = experiment.data.source.open()
    assert source.columns[0].classes == ("cat", "dog")
    assert source.shape == (1, 28, 28)


def test_names_with_line_breaks_and_quotes_stay_yaml(tmp_path: Path) -> None:
    folder = pictures(tmp_path / 'my "photos"', 6)
    rows = [[f"{i:03d}.png", ("a\nb", 'c "d"')[i % 2]] for i in range(6)]
    labels(folder / "l.csv", ["file", "style_1"], rows)
    file = tmp_path / "made.yaml"
    file.write_text(write_template(inspect_folder(folder, None)))
    experiment = load_experiment(file)
    assert experiment.codes.supervised == ("style_1",)
    assert {code.name for code in experiment.codes.unsupervised} == {
        "free_style_1",
        "free_style_2",
    }
    assert experiment.data.source.open().columns[0].classes == ("a\nb", 'c "d"')


@pytest.mark.parametrize(("partial", "prior"), [(True, "uniform"), (False, "empirical")])
def test_combinations_are_counted_only_where_labels_are_complete(
    tmp_path: Path, partial: bool, prior: str
) -> None:
    folder = pictures(tmp_path / "photos", 8)
    rows = [
        [f"{i:03d}.png", "ab"[i % 2], "cd"[i // 4] if i < 2 or not partial or i == 7 else ""]
        for i in range(8)
    ]
    labels(folder / "l.csv", ["file", "one", "two"], rows)
    file = tmp_path / "made.yaml"
    file.write_text(write_template(inspect_folder(folder, None)))
    assert load_experiment(file).codes.prior == prior


@pytest.mark.parametrize("count", [30, 5_000, 60_000, 200_000])
def test_training_is_longer_with_more_pictures(count: int) -> None:
    shorter, longer = extent(count), extent(4 * count)
    assert longer.epochs * longer.batch_size >= shorter.epochs * shorter.batch_size
    assert longer.walks <= shorter.walks


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (["file", "animal"], [["gone.png", "cat"]], "gone.png"),
        (["file", "animal"], [["000.png", "cat"], ["000.png", "dog"]], "labels 000.png twice"),
    ],
)
def test_csv_that_does_not_fit(
    ssgan, tmp_path: Path, header: list[str], rows: list[list[str]], message: str
) -> None:
    labels(pictures(tmp_path / "photos", 2) / "l.csv", header, rows)
    done = ssgan("init", "photos")
    assert done.code == 2
    assert message in done.err
    assert not Path("photos.yaml").exists()


def test_bad_folders(ssgan, tmp_path: Path) -> None:
    assert "there is no folder nowhere" in ssgan("init", "nowhere").err
    (tmp_path / "empty").mkdir()
    done = ssgan("init", "empty")
    assert (done.code, "holds no picture" in done.err) == (2, True)
    folder = pictures(tmp_path / "two", 2)
    (folder / "a.csv").write_text("file,x\n")
    (folder / "b.csv").write_text("file,x\n")
    assert "--csv" in ssgan("init", "two").err
