import errno
import io
import json
import logging
import os
import pickle
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pyarrow.fs as pafs
import pytest
import torch

from ssgan.base.config import canonical_hash
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.records.checkpoints import Checkpoints, restore, starting_point
from ssgan.records.rundir import RunDir
from ssgan.records.saved_state import State


def state(step: int, size: int = 4) -> State:
    return {
        "networks": {"weight": torch.full((size,), float(step)), "count": torch.tensor(step)},
        "optimizer": {"step": step, "lr": 0.5, "betas": [0.5, 0.999]},
        "name": "digits",
        "nothing": None,
    }


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", "")


def folders(run: RunDir) -> list[str]:
    return list(run.folders("checkpoints"))


def flip_a_byte(path: Path, position: int = -100) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_what_is_not_ours_is_neither_counted_nor_deleted(run: RunDir) -> None:
    checkpoints = Checkpoints(run, keep_last=1, keep_best=0)
    checkpoints.save(1, state(1))
    place = run.local_path
    assert place is not None
    shutil.copytree(place / "checkpoints/00000001", place / "checkpoints/00000001.kept")
    shutil.copytree(place / "checkpoints/00000001", place / "checkpoints/best so far")
    (place / "checkpoints/notes").mkdir()
    run.write_bytes("checkpoints/notes/why.txt", b"lambda was 0.5")
    run.write_bytes("checkpoints/00000002-1/state.pt", b"half")  # what a crash left
    again = Checkpoints(run, keep_last=1, keep_best=0)
    assert again.newest() == "00000001"
    again.save(3, state(3))
    again.prune_to_best()
    again.forget(after=0)
    assert folders(run) == ["00000001.kept", "best so far", "notes"]
    assert run.read_bytes("checkpoints/notes/why.txt") == b"lambda was 0.5"
    assert again.newest() is None


def file_of(run: RunDir, name: str, file: str = "state.pt") -> Path:
    assert run.local_path is not None
    return run.local_path / "checkpoints" / name / file


@pytest.mark.parametrize("filesystem", [None, pafs._MockFileSystem()], ids=["local", "mock"])
def test_a_state_comes_back_whole(tmp_path: Path, filesystem: pafs.FileSystem | None) -> None:
    run = RunDir.create(str(tmp_path / "run"), "", filesystem=filesystem)
    checkpoints = Checkpoints(run)
    assert checkpoints.latest() is None
    assert checkpoints.save(7, state(7)) == "00000007"
    found = checkpoints.latest()
    assert found is not None
    step, loaded = found
    assert step == 7
    assert torch.equal(loaded["networks"]["weight"], torch.full((4,), 7.0))
    assert loaded["optimizer"] == {"step": 7, "lr": 0.5, "betas": [0.5, 0.999]}
    assert loaded["name"] == "digits"


def test_the_last_and_the_best_are_kept(run: RunDir) -> None:
    checkpoints = Checkpoints(run, keep_last=2, keep_best=1)
    metrics = [0.5, 0.1, float("nan"), None, 0.3, 0.2]
    for step, metric in enumerate(metrics):
        checkpoints.save(step, state(step), metric)
    assert folders(run) == ["00000001", "00000004", "00000005"]
    assert checkpoints.best() == "00000001"
    assert torch.equal(checkpoints.load("00000001")[1]["networks"]["count"], torch.tensor(1))


def test_what_others_point_at_is_kept_until_they_let_go(run: RunDir) -> None:
    checkpoints = Checkpoints(run, keep_last=1, keep_best=0)
    checkpoints.save(1, state(1))
    Checkpoints(run).protect("00000001", "trial-7")
    Checkpoints(run).protect("00000001", "trial-9")
    checkpoints.save(2, state(2))
    checkpoints.release("00000001", "trial-7")
    checkpoints.save(3, state(3))
    assert folders(run) == ["00000001", "00000003"]
    checkpoints.release("00000001", "trial-9")
    checkpoints.save(4, state(4))
    assert folders(run) == ["00000004"]
    with pytest.raises(BadInput, match="00000009"):
        checkpoints.protect("00000009", "trial-7")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "manifest", "manifest cut"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    run: RunDir, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(run)
    for step in (1, 2):
        checkpoints.save(step, state(step))
    path = file_of(run, "00000002", "MANIFEST.json" if "manifest" in damage else "state.pt")
    match damage:
        case "truncated" | "manifest cut":
            path.write_bytes(path.read_bytes()[:-50])
        case "flipped":
            flip_a_byte(path)
        case "missing":
            path.unlink()
        case "manifest":
            path.write_text(path.read_text().replace('"step": 2', '"step": 9'))
    for found in (checkpoints.latest(), restore(checkpoints.location("00000002"))):
        assert found is not None
        assert found[0] == 1
        warning = caplog.messages[-1]
        assert f"00000002/{path.name}" in warning
        assert "going back to checkpoint 00000001" in warning


def plant(run: RunDir, name: str, data: bytes) -> None:
    """Replace a checkpoint's state, and make its hashes right."""
    run.write_bytes(f"checkpoints/{name}/state.pt", data)
    body = json.loads(run.read_bytes(f"checkpoints/{name}/MANIFEST.json"))
    del body["sha256"]
    body["files"] = {"state.pt": {"bytes": len(data), "sha256": sha256(data).hexdigest()}}
    run.write_json(f"checkpoints/{name}/MANIFEST.json", {**body, "sha256": canonical_hash(body)})


def saved(content: object) -> bytes:
    sink = io.BytesIO()
    torch.save(content, sink)
    return sink.getvalue()


def compressed(content: object) -> bytes:
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved(content))) as stored,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    return sink.getvalue()


class Command:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("planted",)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (saved({"a": torch.tensor([1.0, torch.nan])}), r"state\['a'\] has values that are NaN"),
        (saved({"a": [{"b": torch.tensor(torch.inf)}]}), r"state\['a'\]\[0\]\['b'\] has values"),
        (saved({"a": float("nan")}), r"state\['a'\] is nan"),
        (saved([1, 2]), "does not hold a state"),
        (saved({"a": torch.zeros(1).expand(10**13)}), "10,000,000,000,000 numbers that are not"),
        (saved({"a": torch.zeros(2, 2).to_sparse()}), "not a plain tensor"),
        (compressed({"a": torch.zeros(10**6)}), "its files are compressed"),
        (pickle.dumps({"a": Command()}), "does not hold a state"),
        (b"", "does not hold a state"),
        (b"PK\x03\x04" + b"\0" * 50, "does not hold a state"),
    ],
)
def test_a_planted_checkpoint_is_passed_over_with_a_warning(
    run: RunDir, data: bytes, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(run)
    for step in (1, 2):
        checkpoints.save(step, state(step))
    plant(run, "00000002", data)
    found = checkpoints.latest()
    assert found is not None
    assert found[0] == 1
    assert re.search(f"00000002/state.pt cannot be used: .*{problem}", caplog.messages[-1])
    assert "going back to checkpoint 00000001" in caplog.messages[-1]
    assert "\n" not in caplog.messages[-1]
    assert not Path("planted").exists()


def test_a_state_that_is_not_accepted_is_passed_over(
    run: RunDir, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(run)
    for step in (1, 2):
        checkpoints.save(step, state(step))

    def accept(state: State) -> None:
        if state["optimizer"]["step"] == 2:
            raise ValueError("it has two steps")

    assert checkpoints.usable(accept) == "00000001"
    assert restore(checkpoints.location("00000002"), accept)[0] == 1
    assert "00000002/state.pt cannot be used: it has two steps" in caplog.text
    assert checkpoints.usable() == "00000002"


def test_a_file_that_is_larger_than_was_written_is_not_read(run: RunDir) -> None:
    checkpoints = Checkpoints(run)
    checkpoints.save(1, state(1))
    with file_of(run, "00000001").open("r+b") as file:
        file.truncate(2**43)  # of holes
    with pytest.raises(CorruptFile, match="8796093022208 bytes"):
        checkpoints.latest()


def test_nothing_whole_is_an_error_that_names_every_file(run: RunDir) -> None:
    checkpoints = Checkpoints(run)
    for step in (1, 2):
        checkpoints.save(step, state(step))
    flip_a_byte(file_of(run, "00000001"))
    file_of(run, "00000002", "MANIFEST.json").write_text("{}")
    with pytest.raises(CorruptFile, match=r"00000002/MANIFEST.*00000001/state\.pt"):
        checkpoints.latest()


def test_damage_after_the_named_checkpoint_does_not_matter(
    run: RunDir, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(run, keep_last=3)
    for step in (1, 2, 3):
        checkpoints.save(step, state(step))
    flip_a_byte(file_of(run, "00000003"))
    with caplog.at_level(logging.WARNING):
        assert restore(checkpoints.location("00000002"))[0] == 2
    assert not caplog.messages


def test_a_folder_without_commit_mark_counts_for_nothing_and_goes(run: RunDir) -> None:
    checkpoints = Checkpoints(run)
    checkpoints.save(1, state(1))
    run.write_bytes("checkpoints/00000002/state.pt", b"half")
    found = checkpoints.latest()
    assert found is not None
    assert found[0] == 1
    Checkpoints(run).save(3, state(3))  # the process that resumes the run
    assert folders(run) == ["00000001", "00000003"]


def test_what_is_written_first_is_there_before_the_commit_mark_and_without_it_there_is_none(
    run: RunDir,
) -> None:
    checkpoints, seen = Checkpoints(run), []

    def look() -> None:
        seen.append(run.list("checkpoints"))

    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    checkpoints.commit(1, state(1), first=look)
    assert seen == [["checkpoints/00000001/state.pt"]]
    with pytest.raises(OSError, match="disk is full"):
        checkpoints.commit(2, state(2), first=fail)
    assert folders(run) == ["00000001"]
    checkpoints.commit(1, state(1), first=look)
    assert len(seen) == 2


def test_a_step_saved_again_with_the_same_state_is_reused(run: RunDir) -> None:
    checkpoints = Checkpoints(run)
    checkpoints.save(1, state(1))
    before = file_of(run, "00000001").stat().st_mtime_ns
    assert checkpoints.save(1, state(1)) == "00000001"
    assert file_of(run, "00000001").stat().st_mtime_ns == before
    assert folders(run) == ["00000001"]


def test_a_damaged_step_is_written_anew(run: RunDir) -> None:
    checkpoints = Checkpoints(run)
    checkpoints.save(1, state(1))
    flip_a_byte(file_of(run, "00000001"))
    assert checkpoints.save(1, state(1)) == "00000001"
    assert checkpoints.load("00000001")[0] == 1


def test_a_step_saved_again_with_another_state_gets_a_name_of_its_own(run: RunDir) -> None:
    checkpoints = Checkpoints(run, keep_last=4)
    checkpoints.save(1, state(1))
    checkpoints.save(2, state(2))
    assert checkpoints.save(1, state(5)) == "00000001-1"
    assert checkpoints.save(1, state(6)) == "00000001-2"
    assert torch.equal(checkpoints.load("00000001")[1]["networks"]["count"], torch.tensor(1))
    found = checkpoints.latest()
    assert found is not None
    assert found[1]["optimizer"]["step"] == 6


@pytest.mark.parametrize("failing", ["state.pt", "MANIFEST.json"])
def test_a_disk_that_is_full_costs_only_the_new_checkpoint(
    run: RunDir, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(run, keep_last=1, keep_best=0)
    checkpoints.save(1, state(1))
    write = RunDir.write_bytes

    def full(self: RunDir, name: str, data: bytes) -> None:
        if name.endswith(failing):
            write(self, f"{name}.half", data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, name, data)

    monkeypatch.setattr(RunDir, "write_bytes", full)
    with pytest.raises(OSError, match=r"00000002.*disk is full.*last good one is 00000001") as hit:
        checkpoints.save(2, state(2))
    assert hit.value.errno == errno.ENOSPC
    assert folders(run) == ["00000001"]
    monkeypatch.undo()
    assert checkpoints.save(2, state(2)) == "00000002"
    assert folders(run) == ["00000002"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root: sudo make test")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_real_disk_that_is_full_costs_only_the_new_checkpoint(small_disk: Path) -> None:
    run = RunDir.create(small_disk / "run", "")
    checkpoints = Checkpoints(run, keep_last=1, keep_best=0)
    checkpoints.save(1, state(1, size=100_000))  # 400 kB of 1 MiB
    with pytest.raises(OSError, match=r"disk is full.*last good one is 00000001"):
        checkpoints.save(2, state(2, size=200_000))
    assert folders(run) == ["00000001"]
    found = checkpoints.latest()
    assert found is not None
    assert found[0] == 1
    assert checkpoints.save(3, state(3, size=100_000)) == "00000003"
    assert folders(run) == ["00000003"]


def test_old_checkpoints_that_cannot_be_deleted_do_not_stop_the_run(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(run, keep_last=1, keep_best=0)
    checkpoints.save(1, state(1))
    delete = RunDir.delete

    def refuse(self: RunDir, name: str) -> None:
        if "00000001" in name:
            raise PermissionError(errno.EACCES, "denied")
        delete(self, name)

    monkeypatch.setattr(RunDir, "delete", refuse)
    assert checkpoints.save(2, state(2)) == "00000002"
    assert "00000001 stays" in caplog.text


def test_code_in_a_checkpoint_is_refused_when_it_is_saved(run: RunDir) -> None:
    with pytest.raises(TypeError, match=r"state\['a'\]\[1\] is a complex"):
        Checkpoints(run).save(1, {"a": [1, 1j]})
    assert folders(run) == []


def test_bad_settings_and_addresses_are_refused(run: RunDir) -> None:
    with pytest.raises(BadInput, match="keep_last"):
        Checkpoints(run, keep_last=0)
    with pytest.raises(BadInput, match="not the address of a checkpoint"):
        restore("somewhere/00000001")
    with pytest.raises(BadInput, match=r"no checkpoint .*00000004"):
        restore(f"{run.location}/checkpoints/00000004")


def test_a_pointer_to_what_was_pruned_leads_to_the_newest(
    run: RunDir, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(run, keep_last=1, keep_best=0)
    for step in (1, 2):
        checkpoints.save(step, state(step))
    assert checkpoints.newest() == "00000002"
    assert restore(checkpoints.location("00000001"))[0] == 2
    assert "00000001 is gone" in caplog.text


def test_a_run_goes_on_from_its_newest_unless_it_was_given_a_later_one(
    run: RunDir, tmp_path: Path
) -> None:
    other = Checkpoints(RunDir.create(tmp_path / "other", ""))
    given = other.location(other.save(20, state(20)))
    assert starting_point(run) is None
    assert starting_point(run, given) == given
    mine = Checkpoints(run)
    for step in (10, 20):  # of the same step the given one counts: it was exploited
        newest = mine.location(mine.save(step, state(step)))
        assert starting_point(run) == newest
        assert starting_point(run, given) == given
    newest = mine.location(mine.save(30, state(30)))
    assert starting_point(run, given) == newest


def test_checkpoints_later_than_a_step_can_be_forgotten(run: RunDir) -> None:
    checkpoints = Checkpoints(run, keep_last=9)
    for step in (10, 20, 30):
        checkpoints.save(step, state(step))
    checkpoints.save(20, state(21))  # 00000020-1
    checkpoints.protect("00000030", "another")
    checkpoints.forget(after=20)
    assert folders(run) == ["00000010", "00000020", "00000020-1"]
