"""`ssgan init`: a file that loads, with what was found and why."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.cli.init import extent, measure_costs, write_template
from ssgan.data.dataset import Dataset
from ssgan.data.sources.base import FOREIGN
from ssgan.data.sources.inspect import inspect_folder
from ssgan.data.store import prepare
from ssgan.experiment.loading import load_experiment
from tests.cli.conftest import COSTS
from tests.helpers.archives import contents_of, write_tar, write_zip
from tests.helpers.pictures import encoded


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
    assert experiment.data.source.size == 40
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


def test_infogan_does_without_labels(ssgan, tmp_path: Path) -> None:
    pictures(tmp_path / "plain", 5, (100, 30))
    assert ssgan("init", "plain", "--infogan").code == 0
    experiment = load_experiment("plain.yaml")
    assert experiment.codes.supervised == ()
    assert experiment.data.source.csv is None
    assert experiment.data.source.resize == "pad"


def test_without_labels_the_file_is_for_answers(ssgan, tmp_path: Path) -> None:
    pictures(tmp_path / "plain", 5)
    done = ssgan("init", "plain")
    assert done.code == 0, done.err
    experiment = load_experiment("plain.yaml")
    source = experiment.data.source
    assert experiment.codes.supervised == ("class",)
    assert (source.csv, source.kinds) == (Path("plain.csv"), {"class": "categorical"})
    assert source.foreign == ("none of these",)
    assert "label plain.yaml" in done.out
    assert not Path("plain.csv").exists()


@pytest.mark.parametrize(("mode", "named"), [("L", True), ("RGB", False)])
def test_answers_about_many_gray_pictures_are_spread(
    ssgan, tmp_path: Path, mode: str, named: bool
) -> None:
    folder = tmp_path / "heap"
    folder.mkdir()
    for number in range(100):
        color = number if mode == "L" else (number, 255 - number, 0)
        Image.new(mode, (16, 16), color).save(folder / f"{number:03d}.png")
    assert ssgan("init", "heap").code == 0
    experiment = load_experiment("heap.yaml")
    assert (experiment.data.spread is not None) == named
    assert (experiment.codes.prior == "estimated") == named


def test_what_will_be_asked_about_can_be_named(ssgan, tmp_path: Path) -> None:
    pictures(tmp_path / "plain", 5)
    Path("plain.csv").write_text("something,else\n")
    done = ssgan("init", "plain", "--label", "shape", "--label", "angle=0..90")
    assert done.code == 0, done.err
    experiment = load_experiment("plain.yaml")
    assert experiment.codes.supervised == ("shape", "angle")
    assert experiment.data.source.kinds == {"shape": "categorical", "angle": "continuous"}
    assert experiment.data.source.csv == Path("plain-labels.csv")
    assert "label plain.yaml --label shape --label angle=0..90" in done.out


@pytest.mark.parametrize("option", [["--label", "shape"], ["--infogan"]])
def test_options_for_pictures_without_labels_are_refused_where_there_are_some(
    ssgan, photos: Path, option: list[str]
) -> None:
    done = ssgan("init", photos, *option)
    assert done.code == 2
    assert f"{option[0]} has no effect: there are labels, animal, angle, room" in done.err


def test_none_of_these_is_no_class(ssgan, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "plain", 5)
    cells = ["circle", "ring", "none of these", "", "NA"]
    rows = [[f"{i:03d}.png", cell] for i, cell in enumerate(cells)]
    labels(tmp_path / "plain.csv", ["file", "shape"], rows)
    done = ssgan("init", folder)
    assert done.code == 0, done.err
    experiment = load_experiment("plain.yaml")
    assert experiment.data.source.foreign == ("none of these",)
    assert experiment.data.source.unknown is None
    opened = experiment.data.source.open()
    assert opened.columns[0].classes == ("circle", "ring")
    np.testing.assert_array_equal(opened.labels[:, 0], [0, 1, FOREIGN, np.nan, np.nan])


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
    file.write_text(write_template(inspect_folder(folder, None), tmp_path))
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
    file.write_text(write_template(inspect_folder(folder, None), tmp_path))
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
    assert "there is no folder or archive nowhere" in ssgan("init", "nowhere").err
    (tmp_path / "empty").mkdir()
    done = ssgan("init", "empty")
    assert (done.code, "holds no picture" in done.err) == (2, True)
    folder = pictures(tmp_path / "two", 2)
    (folder / "a.csv").write_text("file,x\n")
    (folder / "b.csv").write_text("file,x\n")
    assert "--csv" in ssgan("init", "two").err


def test_held_out_folders_become_the_test_split_and_the_file_says_so(ssgan, tmp_path: Path) -> None:
    for split in ("train", "Valid", "test"):
        for name in ("cat", "dog"):
            pictures(tmp_path / "pets" / split / name, 3)
    done = ssgan("init", "pets")
    assert "folder Valid: 6 pictures, taken for the test split" in done.out
    assert "folder: categorical, cat: 9, dog: 9" in done.out
    experiment = load_experiment("pets.yaml")
    assert experiment.data.source.test == ("Valid", "test")
    assert experiment.data.source.open().counts == {"train": 6, "test": 12}
    assert "folder test: 6 pictures, taken for the test split" in Path("pets.yaml").read_text()
    shown = ssgan("data", "show", "pets.yaml")
    assert shown.code == 0, shown.err
    assert "cat: 3, dog: 3" in shown.out


def test_held_out_folders_without_labels_train_along(ssgan, tmp_path: Path) -> None:
    pictures(tmp_path / "pets" / "train" / "cat", 3)
    pictures(tmp_path / "pets" / "train" / "dog", 3)
    pictures(tmp_path / "pets" / "test", 4)
    done = ssgan("init", "pets")
    assert "folder test: 4 pictures, taken for the train split, since none" in done.out
    source = load_experiment("pets.yaml").data.source.open()
    assert source.counts == {"train": 10}
    assert source.columns[0].classes == ("cat", "dog")


def test_folders_around_the_classes_are_stepped_into(ssgan, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / "pets" / "train" / name, 3)
    assert "the folders of classes are those in pets/train" in ssgan("init", "pets").out
    assert load_experiment("pets.yaml").data.source.open().columns[0].classes == ("cat", "dog")


def test_a_file_is_moved_together_with_its_folder(
    ssgan, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    photos.rename(tmp_path / "here" / "photos")
    assert ssgan("init", "here/photos", "--out", "here/photos.yaml").code == 0
    assert str(tmp_path) not in Path("here/photos.yaml").read_text()
    (tmp_path / "here").rename(tmp_path / "there")
    (tmp_path / "photos").mkdir()  # another folder of the name is not the one that is meant
    source = load_experiment("there/photos.yaml").data.source
    assert source.root == tmp_path / "there" / "photos"
    assert source.csv == tmp_path / "there" / "photos" / "labels.csv"
    assert source.open().counts == {"train": 30}


def test_an_export_of_an_annotation_tool_is_read(ssgan, tmp_path: Path) -> None:
    pictures(tmp_path / "tool" / "images", 24)
    rows = [
        [str(900 + i), ("cat", "dog")[i % 2], str(i), f"/data/upload/1/5c1e9a{i:02x}-{i:03d}.png"]
        for i in range(20)
    ]
    labels(tmp_path / "tool" / "p.csv", ["annotation_id", "choice", "id", "image"], rows)
    done = ssgan("init", "tool/images")
    assert "labels are in p.csv, which lies outside the folder" in done.out
    assert "20 pictures are found without the prefix of an upload" in done.out
    assert "label annotation_id: left out, whole numbers that only rise" in done.out
    experiment = load_experiment("images.yaml")
    assert experiment.data.source.file_column == "image"
    assert experiment.codes.supervised == ("choice",)
    source = experiment.data.source.open()
    assert [int((source.labels[:, 0] == k).sum()) for k in range(2)] == [10, 10]


def test_folders_that_stylegans_tools_number_are_no_classes(ssgan, tmp_path: Path) -> None:
    pairs = []
    for k in range(2):
        pictures(tmp_path / "gan" / f"{k:05d}", 4)
        pairs += [[f"{k:05d}/{i:03d}.png", i % 2] for i in range(4)]
    (tmp_path / "gan" / "dataset.json").write_text(json.dumps({"labels": pairs}))
    done = ssgan("init", "gan")
    assert done.code == 0, done.err
    experiment = load_experiment("gan.yaml")
    assert experiment.codes.supervised == ("label",)
    assert experiment.data.source.open().columns[0].classes == ("0", "1")


def shards(folder: Path, **words: int) -> Path:
    """Write a shard of ten pictures for each word, with classes, texts, and values."""
    folder.mkdir()
    for word, first in words.items():
        contents = {}
        for i in range(first, first + 10):
            contents[f"{i:06}.png"] = encoded(Image.new("L", (8, 8), 9 * i))
            contents[f"{i:06}.cls"] = str(7 * (i % 2)).encode()
            contents[f"{i:06}.txt"] = f"picture {i}".encode()
            contents[f"{i:06}.json"] = json.dumps({"angle": i / 2, "key": f"{i:06}"}).encode()
        write_tar(folder / f"{word.replace('_', '-')}-000000.tar", contents)
    return folder


def test_shards_of_webdataset_are_read_where_they_are(ssgan, tmp_path: Path) -> None:
    shards(tmp_path / "my shards", a=0, b=10)
    done = ssgan("init", "my shards")
    assert done.code == 0, done.err
    assert "pictures are in 2 archives, a-000000.tar to b-000000.tar" in done.out
    assert "labels are in 60 files *.{cls,json,txt} below the folder" in done.out
    assert "label class: categorical, 0: 10, 7: 10 (20 labeled)" in done.out
    assert "label text: left out, 20 different texts" in done.out
    source = load_experiment("my shards.yaml").data.source.open()
    assert [column.name for column in source.columns] == ["class", "angle"]
    assert source.labels.tolist() == [[i % 2, i / 2] for i in range(20)]
    assert ssgan("data", "show", "my shards.yaml").code == 0


def test_shards_of_splits_are_told_by_their_names(ssgan, tmp_path: Path) -> None:
    shards(tmp_path / "faces", faces_train=0, faces_val=10)
    done = ssgan("init", "faces")
    assert "folder val: 10 pictures, taken for the test split" in done.out
    source = load_experiment("faces.yaml").data.source
    assert source.test == ("val",)
    assert source.open().counts == {"train": 10, "test": 10}


def test_an_archive_of_stylegans_tools_is_read_where_it_is(ssgan, tmp_path: Path) -> None:
    pairs = [[f"00000/img{i:08}.png", i % 3] for i in range(9)]
    contents = {name: encoded(Image.new("L", (8, 8), 9 * i)) for i, (name, _) in enumerate(pairs)}
    contents["dataset.json"] = json.dumps({"labels": pairs}).encode()
    write_zip(tmp_path / "set.zip", contents)
    done = ssgan("init", "set.zip")
    assert done.code == 0, done.err
    assert "labels are in dataset.json" in done.out
    experiment = load_experiment("set.yaml")
    assert experiment.codes.supervised == ("label",)
    source = experiment.data.source.open()
    assert (source.name, source.columns[0].classes) == ("set", ("0", "1", "2"))


def test_an_archive_moves_together_with_its_file(ssgan, tmp_path: Path, photos: Path) -> None:
    (tmp_path / "here").mkdir()
    for write, name in ((write_zip, "photos.zip"), (write_tar, "photos.tar")):
        contents = {
            f"all/{i % 2}/{each}" if each.endswith(".png") else f"all/{each}": content
            for i, (each, content) in enumerate(contents_of(photos).items())
        }
        write(tmp_path / "here" / name, contents)
        done = ssgan("init", f"here/{name}", "--out", "here/photos.yaml", "--force")
        assert f"the folders of classes are those in here/{name}/all" in done.out
        (tmp_path / "here").rename(tmp_path / "there")
        source = load_experiment("there/photos.yaml").data.source
        assert source.root == tmp_path / "there" / name / "all"
        assert source.csv == tmp_path / "there" / name / "all" / "labels.csv"
        assert source.open().counts == {"train": 30}
        (tmp_path / "there").rename(tmp_path / "here")


def test_a_damaged_archive_is_refused_in_a_line(ssgan, tmp_path: Path, photos: Path) -> None:
    whole = write_zip(tmp_path / "photos.zip", contents_of(photos)).read_bytes()
    (tmp_path / "photos.zip").write_bytes(whole[:-50])
    done = ssgan("init", "photos.zip")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "photos.zip is not a whole zip archive" in done.err
    assert not Path("photos.yaml").exists()


@pytest.mark.parametrize(
    ("size", "proposed"), [((28, 28), 28), ((50, 50), 48), ((64, 64), 64), ((300, 200), 64)]
)
def test_the_pictures_own_size_is_proposed_up_to_64(
    tmp_path: Path, size: tuple[int, int], proposed: int
) -> None:
    found = inspect_folder(pictures(tmp_path / "photos", 2, size), None)
    assert found.framing.size == proposed
    assert f"{proposed} pixels" in found.framing.reason or size == (proposed, proposed)


@pytest.mark.parametrize("with_labels", [True, False])
def test_what_a_size_costs_is_measured_and_written(
    ssgan, tmp_path: Path, photos: Path, with_labels: bool
) -> None:
    if not with_labels:
        (photos / "labels.csv").unlink()
    done = ssgan("init", photos, *([] if with_labels else ["--infogan"]))
    experiment = load_experiment("photos.yaml")
    for cost in COSTS:  # the fixture's, in place of measured ones
        assert cost in done.out
        assert f"    # {cost}\n    " in Path("photos.yaml").read_text()
    costs = measure_costs(experiment, experiment.data.source.open(), seconds=0)
    assert [cost.partition(" ")[0] for cost in costs] == ["40", "32"]
    for cost in costs:
        speed, length = re.fullmatch(
            r"\d+ pixels: ([\d,]+) images/s measured here \(.+\), ([\d:]+) for all updates", cost
        ).groups()  # type: ignore[union-attr]
        assert int(speed.replace(",", "")) > 0
        assert length != "0:00"
