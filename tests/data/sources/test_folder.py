"""Image folders with a CSV of partial labels: what they become, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.base.config import canonical_hash
from ssgan.base.errors import BadInput
from ssgan.data.sources.base import stamp
from ssgan.data.sources.folder import FolderSource
from ssgan.data.store import Store, prepare
from tests.helpers.archives import contents_of, write_tar, write_zip

CSV = "file,shape,angle\na.png,square,-30\nsub/b.png,,12.5\nc.png,circle,\nd.png,square,45\n"


def paint(path: Path, level: int = 0, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 0, 255 - level)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for level, name in enumerate(["a.png", "c.png", "d.png", "e.jpg", "sub/b.png"]):
        paint(folder / name, level * 50)
    (folder / "labels.csv").write_text(CSV)
    (folder / "notes.txt").write_text("no picture")
    paint(folder / ".hidden" / "x.png")
    return folder


def stored(tmp_path: Path, **fields: object) -> Store:
    return prepare(FolderSource(**fields), tmp_path / "cache")


def test_partial_csv_becomes_codes_with_unknown_cells(tmp_path: Path, root: Path) -> None:
    store = stored(tmp_path, root=root, csv="labels.csv")
    shape, angle = store.manifest.columns
    assert (shape.name, shape.classes) == ("shape", ("circle", "square"))
    assert (angle.kind, angle.low, angle.high) == ("continuous", -30, 45)
    assert not store.has_test_split
    assert store.manifest.splits["train"].known == (3, 3)
    split = store.split("train", tmp_path)
    nan = np.nan
    expected = [[1, -30], [0, nan], [1, 45], [nan, nan], [nan, 12.5]]
    np.testing.assert_array_equal(split.labels.numpy(), np.array(expected, dtype=np.float32))
    # Labels stay with their pictures, which are in the order of their names.
    assert [int(image[0, 0, 0]) for image in split.images[[0, 1, 2, 4]]] == [0, 50, 100, 200]


def test_folder_without_labels_is_for_infogan(tmp_path: Path, root: Path) -> None:
    store = stored(tmp_path, root=root)
    assert store.manifest.columns == ()
    assert store.split("train", tmp_path).labels.shape == (5, 0)


def test_columns_are_chosen_renamed_and_declared(tmp_path: Path, root: Path) -> None:
    (root / "labels.csv").write_text("id;name;grade\n1;a.png;1\n2;c.png;2\n")
    with pytest.raises(BadInput, match=r"not in the image folder, 2 in all: 1 \(line 2\)"):
        stored(tmp_path, root=root, csv="labels.csv", file_column="id")
    found = stored(tmp_path, root=root, csv="labels.csv", labels=("grade",))
    assert found.manifest.splits["train"].known == (2,)
    assert "the column 'name' names the pictures" in found.manifest.provenance["labels"]
    (root / "labels.csv").write_text("id;file;grade\n1;a.png;1\n2;c.png;2\n")
    store = stored(
        tmp_path,
        root=root,
        csv=root / "labels.csv",
        labels=("grade",),
        names={"grade": "level"},
        kinds={"level": "categorical"},
    )
    (code,) = store.manifest.columns
    assert (code.name, code.classes) == ("level", ("1", "2"))


def test_folders_can_be_classes(tmp_path: Path, root: Path) -> None:
    paint(root / "other" / "f.png")
    store = stored(tmp_path, root=root, folders="place", csv="labels.csv", labels=("angle",))
    angle, place = store.manifest.columns
    assert (angle.name, place.name, place.classes) == ("angle", "place", ("other", "sub"))
    np.testing.assert_array_equal(
        store.split("train", tmp_path).labels[:, 1].numpy(),
        np.array([np.nan] * 4 + [0, 1], dtype=np.float32),
    )


def test_broken_pictures_are_listed_unless_strict(tmp_path: Path, root: Path) -> None:
    whole = (root / "d.png").read_bytes()
    (root / "d.png").write_bytes(whole[:-30])  # the header is fine, the pixels are not
    (root / "e.jpg").write_bytes(b"no picture")
    store = stored(tmp_path, root=root, csv="labels.csv")
    assert store.manifest.broken == ("d.png", "e.jpg")
    split = store.split("train", tmp_path)
    assert len(split) == 3
    np.testing.assert_array_equal(
        split.labels[:, 1].numpy(), np.array([-30, np.nan, 12.5], dtype=np.float32)
    )
    with pytest.raises(BadInput, match=r"1 of 5 pictures.*e\.jpg.*repair or remove"):
        stored(tmp_path, root=root, strict=True)
    (root / "e.jpg").unlink()
    with pytest.raises(BadInput, match=r"d\.png cannot be read"):
        stored(tmp_path, root=root, strict=True)


def test_a_changed_folder_is_prepared_again(tmp_path: Path, root: Path) -> None:
    first = stored(tmp_path, root=root)
    paint(root / "new.png", 9)
    second = stored(tmp_path, root=root)
    assert second.manifest.splits["train"].count == first.manifest.splits["train"].count + 1


def test_mixed_sizes_need_a_rule(tmp_path: Path, root: Path) -> None:
    paint(root / "wide.png", 3, (20, 8))
    with pytest.raises(BadInput, match=r"5 of 8x8, 1 of 20x8; add data\.source\.size"):
        stored(tmp_path, root=root)
    with pytest.raises(BadInput, match=r"20x8 is not square.*data\.source\.resize"):
        stored(tmp_path, root=root, size=8)
    store = stored(tmp_path, root=root, size=8, resize="crop", channels=1)
    assert store.manifest.shape == (1, 8, 8)
    assert store.manifest.splits["train"].count == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,shape\nz.png,x\ny.png,x\n", r"2 in all: z\.png \(line 2\), y\.png \(line 3\)"),
        ("file,shape\na.png,x\n./a.png,y\n", r"labels a\.png twice, in line 2 and line 3"),
        ("file,x\na.png,1\nc.png,2\nd.png,high\n", r"1 of 3 cells.*'high' \(line 4\).*kinds\.x"),
        ("file,shape\na.png\n", "line 2: 1 cells where the header has 2"),
        ("file,shape\n", "one row or more"),
        ("file,shape,shape\na.png,1,2\n", "distinct column names"),
        ("file,shape\na.png,x\nc.png,x\n", "only the class 'x'"),
        ('file,shape\na.png,"x\n', "cannot be read as a UTF-8 CSV"),
    ],
)
def test_bad_csv_is_refused(tmp_path: Path, root: Path, content: str, message: str) -> None:
    (root / "labels.csv").write_text(content)
    with pytest.raises(BadInput, match=message):
        stored(tmp_path, root=root, csv="labels.csv")


def test_csv_from_a_spreadsheet_is_read(tmp_path: Path, root: Path) -> None:
    rows = "﻿file;farbe\r\nsub\\b.png;grün\r\n a.png ; rot \r\n\r\n"
    (root / "labels.csv").write_bytes(rows.encode())
    (code,) = stored(tmp_path, root=root, csv="labels.csv").manifest.columns
    assert (code.name, code.classes) == ("farbe", ("grün", "rot"))


def test_declared_number_is_checked_cell_by_cell(tmp_path: Path, root: Path) -> None:
    (root / "labels.csv").write_text("file,x\na.png,big\nc.png,2\n")
    with pytest.raises(
        BadInput, match=r"column 'x': 1 of 5 cells are not finite numbers: 'big' \(line 2"
    ):
        stored(tmp_path, root=root, csv="labels.csv", kinds={"x": "continuous"})


def test_bad_folders_are_refused(tmp_path: Path, root: Path) -> None:
    with pytest.raises(BadInput, match=r"no folder .*nowhere; set data\.source\.root"):
        stored(tmp_path, root=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"empty holds no picture.*data\.source\.root"):
        stored(tmp_path, root=tmp_path / "empty")
    (tmp_path / "empty" / "a.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match="none of the pictures"):
        stored(tmp_path, root=tmp_path / "empty")
    with pytest.raises(BadInput, match=r"there is no file .*no\.csv; set data\.source\.csv"):
        stored(tmp_path, root=root, csv="no.csv")
    with pytest.raises(BadInput, match="no column 'angel'; did you mean 'angle'"):
        stored(tmp_path, root=root, csv="labels.csv", labels=("angel",))
    with pytest.raises(BadInput, match=r"no effect without data\.source\.csv"):
        stored(tmp_path, root=root, labels=("angle",))
    assert not list((tmp_path / "cache" / "stores").glob("*/manifest.json"))


@pytest.mark.parametrize("packed", [True, False])
def test_an_archive_makes_the_store_of_its_folder(tmp_path: Path, root: Path, packed: bool) -> None:
    paint(root / "test" / "f.png", 7)
    (root / "d.png").write_bytes((root / "d.png").read_bytes()[:-30])
    fields = {"csv": "labels.csv", "folders": "place", "test": ("test",)}
    folder = stored(tmp_path, root=root, **fields).manifest
    contents = contents_of(root)
    assert ".hidden/x.png" in contents
    for file in (
        write_zip(tmp_path / "pictures.zip", contents, packed),
        write_tar(tmp_path / "pictures.tar", contents),
        write_zip(tmp_path / "around.zip", {f"all/{k}": v for k, v in contents.items()}, packed),
    ):
        inside = file / "all" if file.stem == "around" else file
        made = stored(tmp_path, root=inside, **fields).manifest
        assert made.hash == folder.hash
        assert made.broken == folder.broken == ("d.png",)
    beside = stored(tmp_path, root=tmp_path / "pictures.zip", csv=root / "labels.csv")
    assert beside.manifest.hash == stored(tmp_path, root=root, csv="labels.csv").manifest.hash


def test_a_changed_archive_is_prepared_again(tmp_path: Path, root: Path) -> None:
    contents = contents_of(root)
    file = write_zip(tmp_path / "pictures.zip", contents)
    first = stored(tmp_path, root=file)
    assert stored(tmp_path, root=file).location == first.location
    write_zip(file, contents | {"new.png": contents["a.png"]})
    second = stored(tmp_path, root=file)
    assert second.manifest.splits["train"].count == first.manifest.splits["train"].count + 1


def test_a_plain_folder_is_known_by_the_fingerprint_that_it_had(root: Path) -> None:
    files = ["a.png", "c.png", "d.png", "e.jpg", "sub/b.png"]
    source = FolderSource(root=root, csv="labels.csv")
    stamps = [stamp(root / name) for name in files]
    expected = [
        source.model_dump(mode="json", exclude={"foreign"}),
        stamps,
        [stamp(root / "labels.csv")],
    ]
    (root / "backup.zip").write_bytes(b"not looked at, since there are pictures")
    assert source.fingerprint() == canonical_hash(expected)


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    folder = tmp_path / "splits"
    for split, count in (("Train", 4), ("valid", 2), ("test", 3)):
        for i in range(count):
            paint(folder / split / ("cat", "dog")[i % 2] / f"{i}.png", 20 * i)
    return folder


def test_held_out_folders_are_the_test_split(tmp_path: Path, splits: Path) -> None:
    source = FolderSource(root=splits, folders="animal", test=("test", "valid"))
    assert source.has_test_split
    store = prepare(source, tmp_path / "cache")
    assert store.manifest.columns[0].classes == ("cat", "dog")
    assert store.split("train", tmp_path).labels[:, 0].tolist() == [0, 0, 1, 1]
    assert store.split("test", tmp_path).labels[:, 0].tolist() == [0, 0, 1, 0, 1]
    assert "test: those in test, valid" in store.manifest.provenance["split"]
    # Who wants to train on all pictures has the same classes.
    whole = stored(tmp_path, root=splits, folders="animal")
    assert whole.manifest.columns == store.manifest.columns
    assert whole.manifest.splits["train"].count == 9
    with pytest.raises(BadInput, match=r"no picture lies in a folder 'tset'.*'test'"):
        stored(tmp_path, root=splits, test=("tset",))
    with pytest.raises(BadInput, match="takes all pictures"):
        stored(tmp_path, root=splits, test=("Train", "test", "valid"))


def test_metadata_of_each_split_is_read(tmp_path: Path, splits: Path) -> None:
    for split in ("Train", "test"):
        (splits / split / "metadata.csv").write_text("file_name,size\ncat/0.png,1\ndog/1.png,2.5\n")
    store = stored(
        tmp_path, root=splits, csv="*/metadata.csv", kinds={"size": "continuous"}, test=("test",)
    )
    split = store.manifest.splits
    assert [split[name].known for name in split] == [(2,), (2,)]


def test_only_regular_files_are_opened(tmp_path: Path, root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    assert stored(tmp_path, root=root).manifest.broken == ("pipe.png",)
    os.mkfifo(root / "pipe.csv")
    with pytest.raises(BadInput, match="there is no file"):
        stored(tmp_path, root=root, csv="pipe.csv")


def test_gray_pictures_get_one_channel_unless_one_is_in_color(tmp_path: Path, root: Path) -> None:
    gray = tmp_path / "gray"
    gray.mkdir()
    for i in range(3):
        Image.new("L", (8, 8), 80 * i).save(gray / f"{i}.png")
    assert stored(tmp_path, root=gray).manifest.shape == (1, 8, 8)
    assert stored(tmp_path, root=gray, channels=3).manifest.shape == (3, 8, 8)
    paint(gray / "3.png")
    assert stored(tmp_path, root=gray).manifest.shape == (3, 8, 8)


def test_deep_gray_pictures_are_scaled_together(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    for i in range(1, 4):
        Image.fromarray(np.full((4, 4), 1000 * i, dtype=np.uint16)).save(deep / f"{i}.png")
    store = stored(tmp_path, root=deep)
    assert store.manifest.shape == (1, 4, 4)
    assert store.split("train", tmp_path).images[:, 0, 0, 0].tolist() == [0, 128, 255]
    assert "deep gray from 1000 (black) to 3000 (white)" in store.manifest.provenance["framing"]
    other = stored(tmp_path, root=deep, levels=(0, 4000))
    assert other.split("train", tmp_path).images[:, 0, 0, 0].tolist() == [64, 128, 192]
