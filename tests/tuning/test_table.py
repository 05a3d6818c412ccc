from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import Exploit, SearchDir, TrialRow
from ssgan.tuning import table
from ssgan.tuning.loading import load_search
from ssgan.tuning.resume_point import add_exploit
from ssgan.tuning.search import Search
from ssgan.tuning.table import TrialTable, explain, read_error
from tests.helpers.trials import FakeTrial
from tests.tuning.conftest import definition

KILLED = """ray::ImplicitFunc.train() (pid=1)
The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
\tpid: 1
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit \
detail: Worker unexpectedly exits with a connection error code 2. End of file. Possible SIGKILL.
"""
HUNGRY = """Task was killed due to the node running low on memory.
ray.exceptions.OutOfMemoryError: Memory on the node was 7.9GB / 8GB, above the threshold of 0.95.
Object store memory usage: nothing.
"""
ALLOCATED = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried
"""
RAISED = """ray.exceptions.RayTaskError(OSError): ray::ImplicitFunc.train() (pid=1)
  File "x.py", line 1, in <module>
OSError: the disk is full
"""
VALUES = {"objective.lambda1": 0.5, "objective.lambda2": 2.0}


@pytest.fixture
def where(search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchDir:
    monkeypatch.setattr(table, "_PAUSE", 0.0)
    return SearchDir.create(tmp_path / "search", search.to_yaml())


class Told:
    """A table that is told of trials as Tune tells it."""

    def __init__(self, where: SearchDir, *trials: FakeTrial, stage: Any = "search") -> None:
        self.table = TrialTable(where.location, stage)
        self.trials: list[Any] = list(trials)
        self.where = where
        self.table.setup()
        self.step()

    def step(self) -> None:
        self.table.on_step_begin(0, self.trials)

    def result(self, trial: FakeTrial, epoch: int, loss: float) -> None:
        result = {"epoch": epoch, "zero_one_loss_ema": loss, "images_per_second": 99.0}
        self.table.on_trial_result(0, self.trials, trial, result)  # type: ignore[arg-type]
        trial.last_result = result
        self.step()

    def tell(self, what: str, trial: Any) -> None:
        getattr(self.table, f"on_trial_{what}")(0, self.trials, trial)
        self.step()

    @property
    def rows(self) -> list[TrialRow]:
        return list(self.where.rows())


def trial(name: str = "00000", **config: Any) -> FakeTrial:
    return FakeTrial(name, {**VALUES, "internal[0].x": 1, **config})


def test_a_trial_is_in_the_table_from_its_making_to_its_end(where: SearchDir) -> None:
    one = trial()
    told = Told(where, one)
    assert told.rows == [TrialRow(trial="00000", stage="search", values=VALUES, seed=0)]
    one.status = "RUNNING"
    told.result(one, 3, 0.25)
    (row,) = told.rows
    assert (row.status, row.epoch, row.metric, row.images_per_second) == ("RUNNING", 3, 0.25, 99.0)
    told.result(one, 9, 0.125)
    told.tell("complete", one)
    assert (told.rows[0].status, told.rows[0].reason) == ("FINISHED", None)


def test_a_row_has_the_curve_without_epochs_of_a_lost_past(where: SearchDir) -> None:
    one = trial()
    told = Told(where, one)
    for epoch, loss in ((1, 0.5), (2, 0.4), (3, 0.3)):
        told.result(one, epoch, loss)
    assert told.rows[0].curve == ((1, 0.5), (2, 0.4), (3, 0.3))
    again = Told(where, one)  # the driver died, and Tune knew of one epoch only
    for epoch, loss in ((2, 0.4), (3, 0.25)):
        again.result(one, epoch, loss)
    assert again.rows[0].curve == ((1, 0.5), (2, 0.4), (3, 0.25))


def test_the_state_of_all_trials_is_looked_at_once_in_a_while(
    where: SearchDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trial()
    told = Told(where, one)
    monkeypatch.setattr(table, "_PAUSE", 1000.0)
    one.status = "RUNNING"
    told.step()
    assert told.rows[0].status == "PENDING"
    told.result(one, 1, 0.5)  # who reports is known to run
    told.tell("complete", one)
    assert told.rows[0].status == "STOPPED"


def test_who_is_stopped_is_told_from_who_finished(where: SearchDir) -> None:
    one = trial()
    told = Told(where, one)
    one.status = "RUNNING"
    told.result(one, 3, 0.25)
    told.tell("complete", one)  # Tune tells it before it changes the status
    one.status = "TERMINATED"
    told.step()
    assert (told.rows[0].status, told.rows[0].reason) == ("STOPPED", "stopped by none at epoch 3")


def test_failures_have_their_reasons(where: SearchDir, tmp_path: Path) -> None:
    one, other = trial(), trial("00001")
    told = Told(where, one, other)
    error = tmp_path / "error.txt"
    error.write_text("Failure # 1 (occurred at x)\nThe actor died unexpectedly\nSIGKILL\n")
    one.error_file, one.run_metadata.num_failures = str(error), 1
    told.tell("recover", one)
    assert told.rows[0].status == "PENDING"
    assert str(told.rows[0].reason).startswith("tried again once after: its process died")
    one.status = "RUNNING"
    told.result(one, 9, 0.1)
    told.tell("complete", one)
    assert told.rows[0].status == "FINISHED"
    assert str(told.rows[0].reason).startswith("tried again once after: its process died")
    # The scheduler gives up on a trial without a word to callbacks.
    RunDir(f"{where.location}/trials/00001").write_json("failure.json", {"message": "it is NaN"})
    other.status = "ERROR"
    told.step()
    assert (told.rows[1].status, told.rows[1].reason) == ("FAILED", "it is NaN")


def test_an_interrupted_search_leaves_its_trials_to_a_resume(where: SearchDir) -> None:
    one, other = trial(), trial("00001")
    told = Told(where, one, other)
    for each in (one, other):
        each.status = "RUNNING"
        told.result(each, 9, 0.2)
    told.tell("complete", one)
    one.status = other.status = "TERMINATED"  # as Tune leaves them at its end, whatever they were
    told.table.on_experiment_end(told.trials)
    assert [row.status for row in told.rows] == ["FINISHED", "PAUSED"]
    # Those that were over before a restart still are.
    one.last_result = other.last_result = {}
    other.status = "PENDING"
    again = Told(where, one, other)
    assert [row.status for row in again.rows] == ["FINISHED", "PENDING"]
    assert [row.epoch for row in again.rows] == [9, 9]


def test_stage_two_leaves_the_rows_of_stage_one(where: SearchDir) -> None:
    one = trial()
    told = Told(where, one)
    final = FakeTrial("00000-s4", {"final": {"trial": "00000-s4", "values": VALUES, "seed": 4}})
    told = Told(where, final, stage="final")
    first, second = told.rows
    assert (first.trial, first.stage) == ("00000", "search")
    assert (second.trial, second.stage, second.seed) == ("00000-s4", "final", 4)
    assert second.values == VALUES
    assert second.run == "finals/00000-s4"


def test_the_lineage_of_a_population_is_in_the_table(tmp_path: Path) -> None:
    search = load_search(definition(scheduler={"kind": "pbt"}))
    where = SearchDir.create(tmp_path / "search", search.to_yaml())
    exploit = Exploit(epoch=2, source_trial="00001", values={"objective.lambda1": 0.7})
    add_exploit(RunDir(f"{where.location}/trials/00000"), exploit)
    told = Told(where, FakeTrial("00000", {"objective.lambda1": 0.7}))
    assert told.rows[0].lineage == (exploit,)


def test_a_seed_of_the_space_is_the_rows(tmp_path: Path) -> None:
    space = {"seed": {"kind": "grid", "values": [3, 5]}}
    search = load_search(definition(space=space, finals={"best": 0}))
    where = SearchDir.create(tmp_path / "search", search.to_yaml())
    assert Told(where, FakeTrial("00000", {"seed": 5})).rows[0].seed == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KILLED, "its process died (killed, or the machine is gone). The actor is dead"),
        (HUNGRY, "out of memory: "),
        (ALLOCATED, "out of memory: RuntimeError: [enforce fail"),
        (RAISED, "OSError: the disk is full"),
        ("", "unknown error"),
        ("something\nelse", "else"),
    ],
)
def test_an_error_becomes_one_line(text: str, expected: str) -> None:
    line = read_error(text)
    assert line.startswith(expected)
    assert "\n" not in line


def test_long_lines_are_cut() -> None:
    assert len(read_error("ValueError: " + "x" * 1000)) == 300


def test_what_the_trial_said_goes_before_what_ray_says(tmp_path: Path) -> None:
    error = tmp_path / "error.txt"
    error.write_text(f"Failure # 1 (occurred at x)\n{RAISED}Failure # 2 (occurred at y)\n{KILLED}")
    run, trial = RunDir.create(tmp_path / "run", ""), SimpleNamespace(error_file=str(error))
    assert explain(run, trial).startswith("its process died")
    assert explain(run, SimpleNamespace(error_file=None)) == "unknown error"
    run.write_json("failure.json", {"kind": "NonFiniteLoss", "message": "loss/L_I became NaN"})
    assert explain(run, trial) == "loss/L_I became NaN"
