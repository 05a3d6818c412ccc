"""What processes that share a folder may rely on, wherever it lives."""

import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ssgan
from ssgan.base import storage
from ssgan.base.errors import BadInput
from ssgan.base.json_text import read_json
from ssgan.base.storage import Folder, join, replacing, split
from ssgan.records.checkpoint_address import parse_location
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir
from tests.helpers.buckets import Bucket, Request, running_bucket

LOCATIONS = (
    "/runs",
    "runs/of mine",
    "/odd?name=1",
    "mock:///bucket",
    "mock:///bucket/runs?region=eu-west-1",
    "mock:///bucket/a%20b?endpoint_override=http://127.0.0.1:9000&region=eu-west-1",
)
NAMES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1).filter(
    lambda name: set(name) != {"."}
)


@given(location=st.sampled_from(LOCATIONS), names=st.lists(NAMES, min_size=1, max_size=3))
def test_split_undoes_join(location: str, names: list[str]) -> None:
    for name in names:
        inside = join(location, name)
        assert split(inside) == (location, name)
        location = inside


@given(location=st.sampled_from(LOCATIONS), name=NAMES)
@settings(deadline=None)
def test_what_is_joined_is_the_place_of_that_name(location: str, name: str) -> None:
    folder = Folder(location)
    inside = Folder(join(location, name))
    assert inside._path == f"{folder._path}/{name}"
    assert inside.base_name == name
    assert Folder(folder.locate(f"{name}/deep"))._path == f"{folder._path}/{name}/deep"


@pytest.mark.parametrize(
    ("location", "name", "joined"),
    [
        ("runs", "a", "runs/a"),
        ("runs/", "a", "runs/a"),
        ("/", "a", "/a"),
        ("/odd?name", "a", "/odd?name/a"),
        ("s3://bucket", "a", "s3://bucket/a"),
        ("s3://bucket/x/", "a/b", "s3://bucket/x/a/b"),
        ("s3://bucket/x?region=eu", "a", "s3://bucket/x/a?region=eu"),
        ("s3://bucket/x/?region=eu", "a", "s3://bucket/x/a?region=eu"),
        (
            "s3://bucket/x?endpoint_override=http://localhost:9000/&region=eu",
            "a b",
            "s3://bucket/x/a%20b?endpoint_override=http://localhost:9000/&region=eu",
        ),
    ],
)
def test_the_query_stays_at_the_end(location: str, name: str, joined: str) -> None:
    assert join(location, name) == joined


def test_a_bucket_has_no_parent() -> None:
    assert split("s3://bucket?region=eu") == ("s3://bucket?region=eu", "")


def test_records_find_each_other_behind_a_query() -> None:
    search = SearchDir("mock:///bucket/hunt/?region=eu")
    assert search.location == "mock:///bucket/hunt?region=eu"
    run = search.run_of("search", "00003")
    assert run.location == "mock:///bucket/hunt/trials/00003?region=eu"
    address = run.locate("checkpoints/00000100-1")
    assert parse_location(address) == (run.location, "00000100-1")
    for wrong in (run.location, run.locate("checkpoints"), run.locate("checkpoints/1/state.pt")):
        with pytest.raises(BadInput, match=r"checkpoints/STEP"):
            parse_location(wrong)


def test_many_may_try_the_same_folder_at_once(tmp_path: Path) -> None:
    def try_often(_: int) -> None:
        for _ in range(20):
            Folder(tmp_path / "runs").try_writing()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(try_often, range(4)))
    assert not list((tmp_path / "runs").iterdir())


def test_to_try_a_folder_makes_no_file_that_a_kill_could_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    make = storage.tempfile.TemporaryFile

    def look(dir: str) -> object:
        made = make(dir=dir)
        seen.append(os.listdir(dir))
        return made

    monkeypatch.setattr(storage.tempfile, "TemporaryFile", look)
    Folder(tmp_path / "runs").try_writing()
    assert seen == [[]]


class Crash(BaseException):
    """What no `except Exception` catches, as a signal's."""


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("is_new", [False, True])
def test_a_write_that_breaks_off_leaves_what_was_there(
    tmp_path: Path, is_folder: bool, is_new: bool
) -> None:
    def write(text: str, error: type[BaseException] | None = None) -> None:
        with replacing(target) as new:
            if is_folder:
                new.mkdir()
            (new / "inside" if is_folder else new).write_text(text)
            if error is not None:
                raise error

    target = tmp_path / "deep/target"
    if not is_new:
        write("old")
    with pytest.raises(Crash):
        write("half", Crash)
    assert os.listdir(tmp_path / "deep") == ([] if is_new else ["target"])
    if not is_new:
        assert (target / "inside" if is_folder else target).read_text() == "old"
    write("whole")
    assert os.listdir(tmp_path / "deep") == ["target"]
    assert (target / "inside" if is_folder else target).read_text() == "whole"


@pytest.mark.parametrize("kill", [False, True])
def test_a_folder_that_cannot_take_the_place_of_another_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: bool
) -> None:
    def write(text: str) -> None:
        with replacing(target) as new:
            new.mkdir()
            (new / "inside").write_text(text)

    target = tmp_path / "deep/target"
    write("old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda path, target: _raise(Crash()))
        if kill:  # then nobody mends it before the next process
            patch.setattr(storage, "_remove", lambda path: None)
            patch.setattr(Path, "rename", _rename_once(Path.rename))
        with pytest.raises(Crash):
            write("new")
    if kill:
        assert sorted(os.listdir(tmp_path / "deep")) == ["target.old.tmp", "target.tmp"]
        with pytest.raises(Crash), replacing(target):
            raise Crash
    assert os.listdir(tmp_path / "deep") == ["target"]
    assert (target / "inside").read_text() == "old"
    write("whole")
    assert os.listdir(tmp_path / "deep") == ["target"]


def _raise(error: BaseException) -> NoReturn:
    raise error


def _rename_once(rename: Callable[..., Path]) -> Callable[..., Path]:
    renamed: list[Path] = []

    def rename_once(path: Path, target: Path) -> Path:
        renamed.append(path)
        return rename(path, target) if len(renamed) == 1 else path

    return rename_once


def test_there_is_no_second_atomic_writer() -> None:
    moves = re.compile(r"os\.(rename|replace)|\.rename\(|mkstemp|mkdtemp|NamedTemporaryFile|fsync")
    package = Path(ssgan.__file__).parent
    found = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if moves.search(file.read_text())
    }
    # --replace moves a run aside, whole as it is; `ssgan sample` writes sets of images without
    # pyarrow, which storage needs, and syncs them by thousands.
    assert found == {
        *("base/storage.py", "launch/location.py"),
        *("export/image_files.py", "export/labeled_images.py"),
    }


@pytest.mark.parametrize("is_folder", [False, True])
def test_the_rest_of_a_killed_write_is_removed(tmp_path: Path, is_folder: bool) -> None:
    target = tmp_path / "target"
    with replacing(target) as rest:
        rest.write_text("x")
        left = rest
    if is_folder:
        (left / "deep").mkdir(parents=True)
    else:
        left.write_text("left by a process that was killed")
    with replacing(target) as new:
        assert not new.exists()
        new.write_text("whole")
    assert os.listdir(tmp_path) == ["target"]


def test_what_killed_writers_left_in_a_folder_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    folder.write_bytes("deep/whole", b"")
    names: list[str] = []

    def refuse(path: Path, target: Path) -> NoReturn:
        names.append(path.name)
        raise OSError("no rename")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="no rename"):
            folder.write_bytes("deep/x", b"")
    (left,) = names
    others = {f"y{left.removeprefix('x')}", "notes.tmp", "whole"}
    for name in (left, *others):
        (tmp_path / "deep" / name).touch()
    folder.remove_unfinished(but=lambda name: name.startswith("y"))
    assert set(os.listdir(tmp_path / "deep")) == others
    Folder(tmp_path / "missing").remove_unfinished()
    assert os.listdir(tmp_path) == ["deep"]


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    Folder(tmp_path).write_bytes("deep/x", b"x")
    with pytest.raises(IsADirectoryError):
        Folder(tmp_path).write_bytes("deep", b"y")
    assert Folder(tmp_path).list("") == ["deep/x"]


def test_what_could_not_be_flushed_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "target").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), replacing(tmp_path / "target") as new:
        new.write_text("new")
    assert os.listdir(tmp_path) == ["target"]
    assert (tmp_path / "target").read_text() == "old"


class FullDisk(Folder):
    """A folder whose disk is full."""

    def _put(self, path: str, data: bytes) -> None:
        super()._put(path, data[:1])
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("kind", ["mock", "subtree"])
def test_elsewhere_a_write_that_breaks_off_leaves_what_was_there(kind: str, tmp_path: Path) -> None:
    place: pafs.FileSystem = pafs._MockFileSystem()
    if kind == "subtree":
        place = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    Folder("runs", place).write_bytes("deep/x", b"old")
    with pytest.raises(OSError, match="No space"):
        FullDisk("runs", place).write_bytes("deep/x", b"new")
    (file,) = [
        entry
        for entry in place.get_file_info(pafs.FileSelector("runs", recursive=True))
        if entry.type == pafs.FileType.File
    ]
    assert file.path == "runs/deep/x"
    assert Folder("runs", place).read_bytes("deep/x") == b"old"


def test_a_local_folder_is_its_own_copy(tmp_path: Path) -> None:
    with Folder(tmp_path).local_copy("export") as folder:
        assert folder == tmp_path / "export"


def test_a_folder_elsewhere_is_copied_for_a_while() -> None:
    remote = Folder("runs/a", pafs._MockFileSystem())
    remote.write_bytes("export/x", b"x")
    remote.write_bytes("export/deep/y", b"y")
    remote.write_bytes("other/z", b"z")
    with remote.local_copy("export") as folder:
        found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        assert found == {"x", "deep/y"}
        assert (folder / "deep/y").read_bytes() == b"y"
    assert not folder.exists()


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with running_bucket() as bucket:
        yield bucket


def test_an_object_store_is_named_by_a_uri_with_a_query(bucket: Bucket) -> None:
    made = RunDir.create(join(bucket.locate("runs"), "my run"), "seed: 3\n")
    assert made.location == bucket.locate("runs/my%20run")
    run = RunDir.open(made.location)
    assert run.info.name == "my run"
    run.write_bytes("export/x", b"x")
    run.write_bytes("export/x", b"y")
    with run.local_copy("export") as folder:
        assert (folder / "x").read_bytes() == b"y"
    assert run.list("") == ["experiment.yaml", "export/x", "run.json"]
    assert Folder(bucket.locate("runs")).folders("my run") == ["export"]
    run.delete("export")
    assert not run.exists("export/x")
    run.delete("export")
    assert run.find_bytes("export/x") is None
    assert run.find_bytes("experiment.yaml") == b"seed: 3\n"


@pytest.mark.parametrize("kind", [pafs.FileType.File, pafs.FileType.Directory])
def test_what_somebody_else_deletes_at_the_same_time_is_deleted(
    kind: pafs.FileType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Folder, "_kind", lambda *_: kind)  # as it was a moment ago
    Folder(tmp_path).delete("gone")
    assert not list(tmp_path.iterdir())


def test_a_small_object_is_one_request_and_makes_no_folders(bucket: Bucket) -> None:
    folder = Folder(bucket.locate("plain/deep"))
    bucket.requests.clear()
    folder.write_bytes("deeper/x", b"x" * 1_000_000)
    assert bucket.requests == [("PUT", f"/{bucket.name}/plain/deep/deeper/x")]
    assert [key for key in bucket.list_keys() if key.startswith("plain")] == ["plain/deep/deeper/x"]
    assert folder.read_bytes("deeper/x") == b"x" * 1_000_000


def test_the_endpoint_may_stand_in_the_environment(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    Folder(f"s3://{bucket.name}/plain?region=us-east-1").write_bytes("by environment", b"x")
    assert Folder(bucket.locate("plain")).read_bytes("by environment") == b"x"


def test_an_answer_of_503_is_asked_for_again(bucket: Bucket) -> None:
    folder = Folder(bucket.locate("busy"))
    bucket.requests.clear()
    bucket.refuse_every, bucket.refused = 4, 0
    try:
        for number in range(6):
            folder.write_bytes(f"{number}", b"x")
            assert folder.read_bytes(f"{number}") == b"x"
        assert bucket.refused >= 4
        assert len(folder.list("")) == 6
    finally:
        bucket.refuse_every = 0


@pytest.mark.parametrize("later", [b'"short"', b'"the longer one of both"'])
def test_an_object_that_is_replaced_while_it_is_read_is_read_whole(
    bucket: Bucket, later: bytes
) -> None:
    folder = Folder(bucket.locate("runs/replaced"))
    folder.write_bytes("x", b'"as it was before"')

    def replace(asked: Request) -> None:
        if asked.method == "HEAD":
            bucket.then = lambda asked: None
            bucket.client.put_object(Bucket=bucket.name, Key="runs/replaced/x", Body=later)

    bucket.then = replace
    assert folder.read_parsed("x", read_json) == json.loads(later)


def test_a_location_holds_no_keys() -> None:
    with pytest.raises(BadInput, match="AWS_SECRET_ACCESS_KEY") as refused:
        Folder("s3://AKIA:hunter2@bucket/runs?region=eu")
    assert "hunter2" not in str(refused.value)
