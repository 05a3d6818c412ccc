"""Folders: which are splits, which are classes, and where the label files lie."""

from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.data.sources.layout import (
    class_folders,
    expand,
    find_label_files,
    find_pictures,
    find_tables,
    pattern_of,
    split_folders,
    split_tables,
)
from ssgan.data.sources.tree import Tree


@pytest.mark.parametrize(
    ("tops", "train", "held_out"),
    [
        ("train test", "train", "test"),
        ("Train VALID Test", "Train", "Test VALID"),
        ("training_set test_set", "training_set", "test_set"),
        ("train val dev", "train", "dev val"),
        ("train", "train", ""),
        ("train cats", "", ""),
        ("test valid", "", ""),
        ("trains tests", "", ""),
    ],
)
def test_folders_of_the_usual_names_are_splits(tops: str, train: str, held_out: str) -> None:
    names = [f"{top}/a.png" for top in tops.split()]
    assert split_folders(names) == (train.split(), held_out.split())


def test_classes_lie_below_splits() -> None:
    assert class_folders(["cat/1.png", "dog/x/2.png", "3.png"]) == ["cat", "dog", None]
    below = ["train/cat/1.png", "train/dog/2.png", "test/3.png"]
    assert class_folders(below) == ["cat", "dog", None]
    # Where nothing is below, the folders are all there is.
    assert class_folders(["train/1.png", "test/2.png"]) == ["train", "test"]


def test_archives_are_no_classes_and_may_be_splits() -> None:
    assert class_folders(["0.tar/cat/1.png", "1.tar/dog/2.png", "2.zip/3.png"]) == [
        "cat",
        "dog",
        None,
    ]
    names = ["faces-train-00.tar/cat/1.png", "faces-Val-00.tar/dog/2.png"]
    assert split_folders(names) == (["train"], ["Val"])
    assert class_folders(names) == ["cat", "dog"]
    assert split_folders(["train/0.tar/1.png", "test/0.tar/1.png"]) == (["train"], ["test"])
    assert split_folders(["train-0.tar/1.png", "faces-0.tar/1.png"]) == (["train"], [])


def test_a_pattern_stands_for_label_files() -> None:
    assert pattern_of([Path("a/x.csv")]) == Path("a/x.csv")
    for names, pattern in (
        (["a/m.csv", "b/m.csv"], "**/m.csv"),
        (["a/1.cls", "a/2.cls"], "**/*.cls"),
        (["a/1.json", "a/1.cls", "2.txt"], "**/*.{cls,json,txt}"),
    ):
        assert pattern_of([*map(Path, names)]) == Path(pattern)
    assert expand("**/*.{cls,json}") == ["**/*.cls", "**/*.json"]
    assert expand("a*.csv") == ["a*.csv"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "photos"
    for name in ("train/a.png", "test/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def find(folder: Path) -> list[str]:
    tree = Tree(folder)
    files = find_label_files(tree, folder, find_pictures(tree))
    return [file.relative_to(folder.parent).as_posix() for file in files]


def test_label_files_are_found_in_the_folder_below_it_and_beside_it(photos: Path) -> None:
    assert find(photos) == []
    (photos.parent / "bank.csv").write_text("date,amount\n1,2\n")
    (photos.parent / "labels.csv").write_text("id,x\na,1\n")
    assert find(photos) == ["labels.csv"]
    for split, file in (("train", "a.png"), ("test", "b.png")):
        (photos / split / "metadata.csv").write_text(f"file_name,x\n{file},1\n")
    assert find(photos) == ["photos/test/metadata.csv", "photos/train/metadata.csv"]
    (photos / "own.csv").write_text("file,x\nnone.png,1\n")  # the only one there is meant
    assert find(photos) == ["photos/own.csv"]
    (photos / "metadata.jsonl").write_text('{"file_name": "train/a.png"}\n')  # this one fits
    assert find(photos) == ["photos/metadata.jsonl"]
    (photos / "third.csv").write_text("file,x\ntest/b.png,1\n")
    with pytest.raises(
        BadInput, match=r"several CSVs \(metadata.jsonl, own.csv, third.csv\).*--csv"
    ):
        find(photos)


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("train-00000.parquet", r"data\.source\.kind=parquet"),
        ("shard.tar.gz", r"a compressed tar.*mkdir photos; tar -xf \S+shard\.tar\.gz -C photos"),
        ("shard.tgz", r"a compressed tar.*tar -xf"),
        ("notes.txt", r"the folder that does \(there are files ending in \.txt\)"),
    ],
)
def test_files_that_may_hold_pictures_are_named_with_what_helps(
    tmp_path: Path, file: str, remedy: str
) -> None:
    (tmp_path / file).touch()
    for given, what in ((tmp_path, "holds no picture"), (tmp_path / file, "is not a folder")):
        with pytest.raises(BadInput, match=f"{what}.*{remedy}"):
            find_pictures(Tree(given))


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ("train-00000-of-00002 train-00001-of-00002 test-0-of-1", "train: 2, test: 1"),
        ("data/validation-1 data/Train-1 data/test", "Train: 1, test: 1, validation: 1"),
        ("sub/test/0000 sub/train/0000 sub/train/0001", "train: 2, test: 1"),
        ("train-0 pictures-0", ""),
        ("test-0 validation-0", ""),
        ("0000 0001", ""),
        ("train/train-0 training/0", ""),
    ],
)
def test_parquet_files_of_splits_are_told_by_their_names(
    tmp_path: Path, files: str, splits: str
) -> None:
    paths = [tmp_path / f"{file}.parquet" for file in files.split()]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_tables(tmp_path) == sorted(paths)
    found = split_tables(find_tables(tmp_path), tmp_path)
    assert ", ".join(f"{word}: {len(group)}" for word, group in found.items()) == splits
    assert find_tables(paths[0]) == paths[:1]
    (tmp_path / "a.png").touch()  # a folder of pictures, with a table of something
    assert find_tables(tmp_path) == []
