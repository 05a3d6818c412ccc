"""Trees: the same files below a folder, an archive, and a folder of archives."""

import os
from pathlib import Path

import pytest

from ssgan.base.errors import CorruptFile
from ssgan.data.sources.tree import Tree
from tests.helpers.archives import contents_of, write_tar, write_zip

CONTENTS = {"a.png": b"a", "notes.txt": b"n", "sub/b.png": b"b", "sub/metadata.csv": b"c"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The same files as a folder, as archives, and as a folder of archives."""
    for name, content in CONTENTS.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    assert contents_of(tmp_path / "folder") == CONTENTS
    write_zip(tmp_path / "set.zip", CONTENTS)
    write_tar(tmp_path / "set.tar", CONTENTS)
    (tmp_path / "shards" / "more").mkdir(parents=True)
    write_tar(tmp_path / "shards" / "0.tar", CONTENTS)
    write_zip(tmp_path / "shards" / "more" / "1.ZIP", {"c.png": b"c"})
    (tmp_path / "shards" / "labels.csv").write_bytes(b"l")
    return tmp_path


@pytest.mark.parametrize("name", ["folder", "set.zip", "set.tar"])
def test_a_folder_and_an_archive_hold_the_same_files(home: Path, name: str) -> None:
    tree = Tree(home / name)
    assert sorted(tree.names) == sorted(CONTENTS)
    for file, content in CONTENTS.items():
        assert tree.is_file(home / name / file)
        assert tree.read(home / name / file) == content
        with tree.open(home / name / file) as stream:
            assert stream.read() == content
    assert not tree.is_file(home / name / "sub")
    with pytest.raises(FileNotFoundError):
        tree.read(home / name / "gone.png")
    found = {each: tree.glob(each) for each in ("*/metadata.csv", "**/*.png", "*.txt", "*/*.txt")}
    assert {each: [path.name for path in paths] for each, paths in found.items()} == {
        "*/metadata.csv": ["metadata.csv"],
        "**/*.png": ["a.png", "b.png"],
        "*.txt": ["notes.txt"],
        "*/*.txt": [],
    }


def test_a_folder_in_an_archive_is_a_root(home: Path) -> None:
    for name in ("set.zip", "set.tar"):
        tree = Tree(home / name / "sub")
        assert sorted(tree.names) == ["b.png", "metadata.csv"]
        assert tree.read(home / name / "sub" / "b.png") == b"b"
        assert tree.archives == (home / name,)


def test_archives_in_a_folder_count_where_it_has_no_picture(home: Path) -> None:
    tree = Tree(home / "shards")
    assert sorted(tree.names) == [
        "0.tar/a.png",
        "0.tar/notes.txt",
        "0.tar/sub/b.png",
        "0.tar/sub/metadata.csv",
        "labels.csv",
        "more/1.ZIP/c.png",
    ]
    assert tree.read(home / "shards/more/1.ZIP/c.png") == b"c"
    assert tree.read(home / "shards/labels.csv") == b"l"
    assert tree.origin == "2 archives in shards"
    (home / "shards" / "a.png").touch()
    mixed = Tree(home / "shards")
    assert (mixed.archives, len(mixed.names)) == ((), 4)


def test_a_named_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tar")
    tree = Tree(tmp_path)
    assert (tree.archives, [*tree.names]) == ((), ["pipe.tar"])
    assert not tree.is_file(tmp_path / "pipe.tar")


def test_files_elsewhere_are_read_too_also_in_archives(home: Path) -> None:
    tree = Tree(home / "folder")
    assert tree.read(home / "set.zip" / "sub" / "metadata.csv") == b"c"
    assert tree.read(home / "shards" / "labels.csv") == b"l"
    other = Tree(home / "set.tar")
    assert other.read(home / "shards" / ".." / "set.tar" / "a.png") == b"a"


def test_an_archive_is_opened_when_its_names_are_asked_for(home: Path) -> None:
    (home / "set.zip").write_bytes(b"PK")
    tree = Tree(home / "set.zip")
    assert tree.archives == (home / "set.zip",)
    with pytest.raises(CorruptFile, match="not a whole zip archive"):
        _ = tree.names
