import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssgan.base.errors import BadInput
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import Exploit
from ssgan.tuning.resume_point import (
    ResumePoint,
    add_exploit,
    find_resume_point,
    is_saved,
    read_lineage,
    release,
)
from ssgan.tuning.search import Search

STEPS = 200  # an epoch of the digits preset


def train(run: RunDir, *epochs: int, scale: float = 1.0) -> None:
    """Leave what training leaves: a record and a checkpoint an epoch."""
    for epoch in epochs:
        step = STEPS * epoch
        record = Record(epoch=epoch, step=step, images_seen=step, timestamp_ms=0, metrics={})
        run.commit_record(record, {"samples": b"png"})
        Checkpoints(run, keep_last=9).save(step, {"step": step, "scale": scale})


def at(run: RunDir, epoch: int) -> str:
    return Checkpoints(run).location(f"{STEPS * epoch:08d}")


def epochs(run: RunDir) -> list[int]:
    return [record.epoch for record in run.records()]


@pytest.fixture
def find(search: Search, tmp_path: Path) -> Any:
    def find_it(lambda1: float = 0.5, pointer: str | None = None, name: str = "a") -> ResumePoint:
        values = {"objective.lambda1": lambda1, "objective.lambda2": 2.0}
        return find_resume_point(str(tmp_path / name), search.experiment(values), values, pointer)

    return find_it


def test_a_new_trial_begins_at_the_beginning(find: Any) -> None:
    found = find()
    assert (found.start, found.known, found.held) == (None, 0, None)
    assert found.run.exists("run.json")


def test_what_a_killed_start_left_is_cleared(find: Any, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/experiment.yaml").write_text("half")
    assert find().run.exists("run.json")


def test_a_trial_whose_identity_is_gone_loses_nothing(find: Any) -> None:
    run = find().run
    train(run, 1)
    run.delete("run.json")
    left = run.list("")
    with pytest.raises(BadInput, match="is taken, but not by a run"):
        find()
    assert run.list("") == left


def test_a_trial_goes_on_from_the_newest_it_has_whatever_tune_knows(find: Any) -> None:
    run = find().run
    train(run, 1, 2, 3)
    found = find(pointer=at(run, 2))
    assert (found.start, found.known, found.held) == (at(run, 3), 2, None)
    assert (find().start, find().known) == (at(run, 3), 0)
    assert epochs(run) == [1, 2, 3]


def test_a_past_that_tune_has_forgotten_is_dropped(find: Any) -> None:
    run = find().run
    train(run, 1, 2, 3)
    add_exploit(run, Exploit(epoch=2, source_trial="b", values={}))
    run.write_bytes("labels.parquet", b"drawn by the old values")
    assert find().run.exists("labels.parquet")
    found = find(lambda1=0.9)  # the number was given again, with other values
    assert (found.start, found.known) == (None, 0)
    assert epochs(run) == []
    assert not run.exists("record/0001/samples.png")
    assert read_lineage(run) == ()
    assert not run.exists("labels.parquet")
    assert "0.9" in run.definition()


def test_an_exploit_drops_what_came_later_and_is_made_once(find: Any) -> None:
    run, source = find().run, find(name="b").run
    train(run, 1, 2, 3)
    train(source, 1, 2, scale=2.0)
    found = find(lambda1=0.7, pointer=at(source, 2))
    assert (found.start, found.known, found.held) == (at(source, 2), 2, at(source, 2))
    assert epochs(run) == [1, 2]
    assert "0.7" in run.definition()
    train(run, 3, scale=2.0)
    again = find(lambda1=0.7, pointer=at(source, 2))  # killed before Tune heard of epoch 3
    assert (again.start, again.known) == (at(run, 3), 2)
    assert epochs(run) == [1, 2, 3]
    Checkpoints(source).protect(f"{STEPS * 2:08d}", "a")
    release(again)
    assert not [name for name in source.list("checkpoints") if "held-by" in name]
    release(find(name="b"))  # holds nothing


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_a_search_may_be_moved_after_an_exploit(
    search: Search, tmp_path: Path, move: Callable[[Path, Path], object]
) -> None:
    values = {"objective.lambda1": 0.7, "objective.lambda2": 2.0}
    experiment = search.experiment(values)
    before, after = tmp_path / "before/trials", tmp_path / "after/trials"
    run, source = (find_resume_point(str(before / n), experiment, values, None).run for n in "ab")
    train(run, 1, 2)
    train(source, 1, 2, scale=2.0)
    pointer = at(source, 2)
    find_resume_point(run.location, experiment, values, pointer)
    train(run, 3, scale=2.0)
    move(before.parent, after.parent)
    moved, other = RunDir(after / "a"), RunDir(after / "b")
    again = find_resume_point(moved.location, experiment, values, pointer)
    assert (again.start, again.known, again.held) == (at(moved, 3), 2, at(other, 2))
    assert epochs(moved) == [1, 2, 3]  # it was cut off once
    own = find_resume_point(moved.location, experiment, values, at(run, 3))
    assert (own.start, own.known, own.held) == (at(moved, 3), 3, None)
    assert epochs(moved) == [1, 2, 3]


def test_the_own_checkpoint_of_the_same_epoch_does_not_stand_for_the_source_trials(
    find: Any,
) -> None:
    run, source = find().run, find(name="b").run
    train(run, 1, 2)
    train(source, 1, 2, scale=2.0)
    assert find(lambda1=0.7, pointer=at(source, 2)).start == at(source, 2)


def test_a_checkpoint_is_there_once_it_or_a_later_one_is_committed(find: Any) -> None:
    run = find().run
    assert not is_saved(run, STEPS)
    train(run, 2)
    assert is_saved(run, STEPS)
    assert is_saved(run, 2 * STEPS)
    assert not is_saved(run, 2 * STEPS + 1)


def test_an_exploit_of_an_epoch_replaces_those_of_a_lost_past(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", "")
    first, second = (Exploit(epoch=e, source_trial="b", values={"x": e}) for e in (2, 4))
    for exploit in (first, second):
        add_exploit(run, exploit)
    assert read_lineage(run) == (first, second)
    other = Exploit(epoch=4, source_trial="c", values={"x": 0})
    add_exploit(run, other)
    assert read_lineage(run) == (first, other)
