"""One process at a time writes a folder, on a disk as on an object store."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ssgan.base import lease
from ssgan.base.errors import BadInput, LeaseLost
from ssgan.base.lease import hold, is_claimed, is_held
from ssgan.base.storage import Folder
from tests.helpers.buckets import Bucket, running_bucket
from tests.helpers.leases import write_foreign_lease

_HOLDER = """
import sys, time
from ssgan.base.lease import hold
from ssgan.base.storage import Folder

with hold(Folder(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with running_bucket() as bucket:
        yield bucket


@pytest.fixture(params=["disk", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "disk":
        return Folder(tmp_path / "run")
    bucket: Bucket = request.getfixturevalue("bucket")
    return Folder(bucket.locate(f"runs/{tmp_path.name}"))


def files(folder: Folder) -> list[str]:
    return folder.list("")


def test_whoever_reads_alone_is_told_whether_it_is_held(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_held(folder)
    with hold(folder):
        assert is_held(folder)
    assert not is_held(folder)
    write_foreign_lease(folder, "claims")
    assert not is_held(folder)
    name = write_foreign_lease(folder)
    assert is_held(folder)
    monkeypatch.setattr(lease, "RUNS_OUT", -3600.0)
    assert not is_held(folder)
    assert folder.exists(name)


def test_the_second_is_refused_and_told_who_holds_it(folder: Folder) -> None:
    with hold(folder, "run"):
        assert is_claimed(folder)
        with (
            pytest.raises(
                BadInput, match=r"the run .* by process \d+ on host .*runs out after 120"
            ),
            hold(folder, "run"),
        ):
            pass
        assert len(files(folder)) == 1
    assert files(folder) == []
    with hold(folder):
        pass


def test_the_folder_is_as_it_was_when_nothing_was_written(tmp_path: Path) -> None:
    with hold(Folder(tmp_path / "new")):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with pytest.raises(ZeroDivisionError), hold(Folder(tmp_path / "old")):
        _ = 1 / 0
    assert [*(tmp_path / "old").iterdir()] == []


def test_a_process_that_was_killed_holds_nothing(folder: Folder) -> None:
    command = [sys.executable, "-c", _HOLDER, folder.location]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match=f"process {holder.pid} on host"), hold(folder):
            pass
        holder.kill()
        # It is dead then, though nobody has asked for its exit status.
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        assert not is_held(folder)
        with hold(folder):
            assert len(files(folder)) == 1


def test_the_lease_of_another_host_runs_out(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_foreign_lease(folder)
    with pytest.raises(BadInput, match="process 4711 on host elsewhere"), hold(folder):
        pass
    monkeypatch.setattr(lease, "RUNS_OUT", -1)
    with hold(folder):
        assert len(files(folder)) == 1


def test_a_lease_that_nobody_can_read_runs_out_too(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (b"", b'{"host": 3}', b'{"a version": "to come"}'):
        folder.write_bytes("lease-0.json", content)
        with pytest.raises(BadInput, match="by another process"), hold(folder):
            pass
        with monkeypatch.context() as patch:
            patch.setattr(lease, "RUNS_OUT", -1)
            with hold(folder):
                assert len(files(folder)) == 1


def test_what_was_to_become_a_lease_is_removed_when_it_is_old(tmp_path: Path) -> None:
    old, new = (tmp_path / f"lease-{name}.json.{32 * name}.tmp" for name in "ab")
    new.touch()
    old.touch()
    os.utime(old, (1e9, 1e9))
    with hold(Folder(tmp_path)):
        assert not old.exists()
    assert list(tmp_path.iterdir()) == [new]


def test_a_copy_is_not_held_by_who_holds_the_original(tmp_path: Path) -> None:
    with hold(Folder(tmp_path / "run")):
        shutil.copytree(tmp_path / "run", tmp_path / "copy")
        with hold(Folder(tmp_path / "copy")):
            assert len(files(Folder(tmp_path / "copy"))) == 1
    assert not list(tmp_path.rglob("lease-*"))


def test_of_many_that_come_at_once_one_gets_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_PATIENCE", 0.01)
    start, over, lock = threading.Barrier(6), threading.Barrier(6), threading.Lock()
    held: list[int] = []

    def come(number: int) -> str:
        start.wait()
        try:
            with hold(folder):
                with lock:
                    held.append(number)
                over.wait()
        except BadInput:
            over.wait()
            return "refused"
        return "held"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(come, range(6)))
    assert len(held) == 1
    assert sorted(outcomes) == ["held"] + 5 * ["refused"]
    assert files(folder) == []


def test_who_stood_still_notices_that_another_has_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.02)
    lost = threading.Event()
    with hold(folder) as mine:
        mine.on_loss = lost.set
        write_foreign_lease(folder, state="claims")  # which ends by itself, refused
        mine.check()
        write_foreign_lease(folder)
        assert lost.wait(60)
        with pytest.raises(LeaseLost, match="another one writes"):
            mine.check()
    assert is_claimed(folder)  # by the other


def test_who_writes_a_folder_notices_that_it_was_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.02)
    lost = threading.Event()
    with hold(Folder(tmp_path / "run"), "run") as mine:
        mine.on_loss = lost.set
        mine.check()
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        assert lost.wait(60)
        assert mine.is_lost
        with pytest.raises(LeaseLost, match=r"the run .* was moved or removed"):
            mine.check()
    assert [file.name for file in tmp_path.iterdir()] == ["elsewhere"]


def test_a_lease_that_somebody_deleted_is_written_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.02)
    with hold(folder) as mine:
        (name,) = files(folder)
        folder.delete(name)
        for _ in range(3000):
            if files(folder) == [name]:
                break
            threading.Event().wait(0.02)
        assert json.loads(folder.read_bytes(name))["state"] == "holds"
        assert not mine.is_lost


def test_a_folder_can_be_moved_with_the_lease_on_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with hold(Folder(tmp_path / "run")) as mine:
        mine.move(lambda: (tmp_path / "run").rename(tmp_path / "aside"))
        assert is_claimed(Folder(tmp_path / "aside"))
        with hold(Folder(tmp_path / "run")):
            (tmp_path / "run/new").touch()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "aside",
        "run",
        "run/new",
    ]


def test_a_beat_costs_an_object_store_two_requests(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(bucket.locate("runs/beats"))
    with hold(folder) as mine:
        bucket.requests.clear()
        mine._find_heir()
        mine._write("holds")
        assert [request.method for request in bucket.requests] == ["GET", "PUT"]
