from pathlib import Path
from typing import Any

import pytest

from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.tuning.loading import load_search
from ssgan.tuning.ray_schedulers import Clip
from ssgan.tuning.resume_point import read_lineage
from ssgan.tuning.schedulers import NoScheduler, Scheduler
from ssgan.tuning.search import Search
from tests.helpers.outside import module_outside
from tests.helpers.trials import FakeController, FakeTrial, commit
from tests.tuning.conftest import LOG, definition

METRIC = "zero_one_loss_ema"
STEPS = 200  # an epoch of the digits preset


def directory(search: Search, tmp_path: Path) -> SearchDir:
    return SearchDir.create(tmp_path / "search", search.to_yaml())


def built(search: Search, where: SearchDir) -> Any:
    return search.scheduler.build(search, f"{where.location}/trials")


def result(epoch: int, loss: float) -> dict[str, Any]:
    return {"epoch": epoch, METRIC: loss, "training_iteration": 1}


@pytest.mark.parametrize("kind", ["none", "asha", "pbt", "pb2"])
def test_a_trial_that_no_retry_can_mend_is_not_tried_again(kind: str, tmp_path: Path) -> None:
    search = load_search(definition(scheduler={"kind": kind}))
    where = directory(search, tmp_path)
    scheduler = built(search, where)
    hopeless, unlucky = (FakeTrial(name, {"objective.lambda1": 1.0}) for name in ("0", "1"))
    for trial in (hopeless, unlucky):
        trial.run_metadata.num_failures = 1
    RunDir(f"{where.location}/trials/0").write_json("failure.json", {"message": "NaN"})
    controller = FakeController(hopeless, unlucky)
    for trial in (hopeless, unlucky):
        scheduler.on_trial_add(controller, trial)
    scheduler.choose_trial_to_run(controller)
    assert (hopeless.status, unlucky.status) == ("ERROR", "PENDING")
    assert controller.completed == ["0"]


@pytest.mark.parametrize("kind", ["none", "asha", "pbt", "pb2"])
def test_in_a_search_that_is_made_longer_what_was_stopped_stays_so(
    kind: str, tmp_path: Path
) -> None:
    search = load_search(definition(scheduler={"kind": kind}))
    scheduler = built(search, directory(search, tmp_path))
    scheduler.over = frozenset({"0"})
    stopped, goes_on = (FakeTrial(name, {"objective.lambda1": 1.0}) for name in ("0", "1"))
    controller = FakeController(stopped, goes_on)
    for trial in (stopped, goes_on):
        scheduler.on_trial_add(controller, trial)
    assert (stopped.status, goes_on.status) == ("TERMINATED", "PENDING")
    assert scheduler.choose_trial_to_run(controller) in (goes_on, None)


def test_the_finals_are_never_stopped(tmp_path: Path) -> None:
    search = load_search(definition(scheduler={"kind": "asha", "grace": 1, "reduction": 2}))
    scheduler = NoScheduler().build(search, f"{directory(search, tmp_path).location}/finals")
    controller, trials = FakeController(), [FakeTrial("0"), FakeTrial("1")]
    for trial, loss in zip(trials, (0.1, 0.9), strict=True):
        scheduler.on_trial_add(controller, trial)
        assert scheduler.on_trial_result(controller, trial, result(1, loss)) == "CONTINUE"


def test_asha_stops_at_a_rung_and_lets_survivors_reach_their_end(tmp_path: Path) -> None:
    search = load_search(definition(scheduler={"kind": "asha", "grace": 3, "reduction": 3}))
    scheduler = built(search, directory(search, tmp_path))
    good, bad = FakeTrial("0"), FakeTrial("1")
    controller = FakeController(good, bad)
    for trial in (good, bad):
        scheduler.on_trial_add(controller, trial)
    assert scheduler.on_trial_result(controller, good, result(3, 0.1)) == "CONTINUE"
    assert scheduler.on_trial_result(controller, bad, result(2, 0.9)) == "CONTINUE"
    assert scheduler.on_trial_result(controller, bad, result(3, 0.9)) == "STOP"
    assert scheduler.on_trial_result(controller, good, result(9, 0.1)) == "CONTINUE"


def test_asha_remembers_the_rungs_after_a_restart(tmp_path: Path) -> None:
    search = load_search(definition(scheduler={"kind": "asha", "grace": 2, "reduction": 2}))
    where = directory(search, tmp_path)
    run = RunDir.create(f"{where.location}/trials/0", "")
    for epoch, loss in ((1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2), (5, 0.1)):
        commit(run, tmp_path, epoch, STEPS, **{METRIC: loss})
    scheduler = built(search, where)
    known, late = FakeTrial("0"), FakeTrial("1")
    known.last_result = {"epoch": 4}  # Tune has not heard of the fifth
    controller = FakeController(known, late)
    scheduler.on_trial_add(controller, known)
    rungs = {milestone: dict(recorded) for milestone, recorded in scheduler._brackets[0]._rungs}
    assert rungs == {8: {}, 4: {"0": -0.2}, 2: {"0": -0.4}}
    scheduler.on_trial_add(controller, late)
    assert scheduler.on_trial_result(controller, late, result(2, 0.45)) == "STOP"


def test_asha_reads_the_table_instead_of_every_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = load_search(definition(scheduler={"kind": "asha", "grace": 2, "reduction": 2}))
    where = directory(search, tmp_path)
    curve = tuple((epoch, 1.0 / epoch) for epoch in range(1, 6))
    row = TrialRow(trial="0", stage="search", values={}, seed=0, epoch=5, curve=curve)
    where.write_rows([row])
    scheduler = built(search, where)
    known = FakeTrial("0")
    known.last_result = {"epoch": 4}
    monkeypatch.setattr(RunDir, "records", lambda self: pytest.fail("a record was read"))
    scheduler.on_trial_add(FakeController(known), known)
    rungs = {milestone: dict(recorded) for milestone, recorded in scheduler._brackets[0]._rungs}
    assert rungs == {8: {}, 4: {"0": -0.25}, 2: {"0": -0.5}}


class Population:
    """Trials of a synchronous population, with run directories and a scheduler."""

    def __init__(self, tmp_path: Path, count: int, kind: str = "pbt") -> None:
        scheduler = {"kind": kind, "interval": 2, "quantile": 0.5}
        self.search = load_search(definition(scheduler=scheduler, trials=count))
        self.tmp_path = tmp_path
        self.where = directory(self.search, tmp_path)
        self.scheduler = built(self.search, self.where)
        self.trials = [FakeTrial(str(n), {"objective.lambda1": 1.0}) for n in range(count)]
        self.controller = FakeController(*self.trials)
        self.runs = [RunDir.create(f"{self.where.location}/trials/{n}", "") for n in range(count)]
        for trial in self.trials:
            self.scheduler.on_trial_add(self.controller, trial)

    def report(self, index: int, epoch: int, loss: float) -> str:
        """Let a trial report an epoch, and do what the scheduler decides."""
        trial = self.trials[index]
        trial.status = "RUNNING"
        run = self.runs[index]
        trial.checkpoint = commit(run, self.tmp_path, epoch, STEPS, **{METRIC: loss})
        decision = self.scheduler.on_trial_result(self.controller, trial, result(epoch, loss))
        if decision == "PAUSE":
            trial.status = "PAUSED"
        return str(decision)


def test_an_exploit_is_written_down_and_keeps_the_checkpoint_of_its_source(tmp_path: Path) -> None:
    many = Population(tmp_path, 2)
    assert many.report(0, 1, 0.9) == "CONTINUE"
    assert many.report(0, 2, 0.1) == "PAUSE"
    many.report(1, 2, 0.9)
    (exploit,) = read_lineage(many.runs[1])
    assert (exploit.epoch, exploit.source_trial) == (2, "0")
    assert exploit.values == many.trials[1].config
    assert 0.05 <= exploit.values["objective.lambda1"] <= 2
    name = f"checkpoints/{2 * STEPS:08d}/held-by-1"
    assert many.runs[0].exists(name)
    assert read_lineage(many.runs[0]) == ()
    taken = many.trials[1].run_metadata.checkpoint_manager._latest_checkpoint_result
    assert taken.checkpoint.path == many.trials[0].checkpoint.path  # type: ignore[union-attr]


def test_bandits_do_not_make_twins_before_they_know_anything(tmp_path: Path) -> None:
    many = Population(tmp_path, 2, "pb2")
    many.report(0, 2, 0.1)
    many.report(1, 2, 0.9)
    (exploit,) = read_lineage(many.runs[1])
    assert exploit.values["objective.lambda1"] in (0.8, 1.2)
    assert many.trials[0].config == {"objective.lambda1": 1.0}


def test_a_checkpoint_that_is_gone_is_not_exploited(tmp_path: Path) -> None:
    many = Population(tmp_path, 2)
    many.report(0, 2, 0.1)
    many.runs[0].delete("checkpoints")
    many.report(1, 2, 0.9)
    assert read_lineage(many.runs[1]) == ()


def test_a_round_does_not_wait_for_those_who_failed(tmp_path: Path) -> None:
    many = Population(tmp_path, 3)
    many.report(0, 2, 0.1)
    many.report(1, 2, 0.9)
    assert many.scheduler.choose_trial_to_run(many.controller) is many.trials[2]
    many.trials[2].status = "RUNNING"
    assert many.scheduler.choose_trial_to_run(many.controller) is None  # the third is late
    assert not any(map(read_lineage, many.runs))
    many.trials[2].status = "ERROR"
    assert many.scheduler.choose_trial_to_run(many.controller) in many.trials[:2]
    assert [exploit.source_trial for exploit in read_lineage(many.runs[1])] == ["0"]


def test_after_a_round_all_start_at_once(tmp_path: Path) -> None:
    many = Population(tmp_path, 3)
    for index, loss in enumerate((0.1, 0.2, 0.9)):
        many.report(index, 2, loss)
    chosen = []
    for _ in range(3):
        trial = many.scheduler.choose_trial_to_run(many.controller)
        chosen.append(trial)
        trial.status = "PENDING"
    assert sorted(map(str, chosen)) == ["0", "1", "2"]


def test_the_last_epoch_is_no_round(tmp_path: Path) -> None:
    many = Population(tmp_path, 2)
    assert many.report(0, 9, 0.1) == "CONTINUE"
    assert many.report(1, 9, 0.9) == "CONTINUE"
    assert not any(map(read_lineage, many.runs))


@pytest.mark.parametrize("epochs", [(2, 2), (3, 2), (5, 4), (4, 1)])
def test_a_population_goes_on_after_a_restart(epochs: tuple[int, int], tmp_path: Path) -> None:
    """However far each was, everybody reaches the end."""
    many = Population(tmp_path, 2)
    many.scheduler = built(many.search, many.where)
    for trial, epoch in zip(many.trials, epochs, strict=True):
        trial.last_result = {"epoch": epoch}
        many.scheduler.on_trial_add(many.controller, trial)
    at = list(epochs)
    for _ in range(100):
        chosen = many.scheduler.choose_trial_to_run(many.controller)
        running = {many.trials.index(chosen)} if chosen is not None else set()
        running |= {n for n in (0, 1) if many.trials[n].status in ("PENDING", "RUNNING")}
        for n in running:
            at[n] += 1
            if many.report(n, at[n], 0.1 * (n + 1)) == "CONTINUE" and at[n] == 9:
                many.trials[n].status = "TERMINATED"
        if all(trial.status == "TERMINATED" for trial in many.trials):
            break
    assert at == [9, 9]


def test_perturbed_values_stay_inside_their_bounds() -> None:
    option = {"kind": "linear", "duration": {"kind": "uniform", "low": 1, "high": 4}}
    search = load_search(
        definition(
            space={
                "objective.lambda1": LOG,
                "objective.lambda2": {"kind": "choice", "values": [1.0, 9.0]},
                "label_sampling.probability": {"kind": "schedule", "options": [option]},
            }
        )
    )
    config = {
        "objective.lambda1": 2.4,
        "objective.lambda2": 9.0,
        "label_sampling.probability": {"kind": "linear", "duration": 0.5, "floor": 0.1},
        "other": 1,
    }
    assert Clip(search)(config) == {
        "objective.lambda1": 2,
        "objective.lambda2": 9.0,
        "label_sampling.probability": {"kind": "linear", "duration": 1, "floor": 0.1},
        "other": 1,
    }


MEDIAN = '''
from typing import Literal

from ray.tune.schedulers import MedianStoppingRule

from ssgan.tuning.ray_schedulers import GivesUp
from ssgan.tuning.schedulers import Scheduler


class Rule(GivesUp, MedianStoppingRule):
    """Ray's rule, with no retry of a trial that would fail again."""


class Median(Scheduler):
    """Stops a trial whose best value is worse than the median of the others' means."""

    kind: Literal["median.Median"] = "median.Median"
    grace: int = 1
    """Epochs that every trial may train."""

    def build(self, search, runs):
        return Rule(runs, grace_period=self.grace, **self.measured_by(search))
'''


def test_a_scheduler_may_come_from_outside(tmp_path: Path) -> None:
    with module_outside(tmp_path, "median", MEDIAN, Scheduler):
        search = load_search(definition(scheduler={"kind": "median.Median", "grace": 2}))
        scheduler = built(search, directory(search, tmp_path))
        trials = [FakeTrial(str(n)) for n in range(4)]
        controller = FakeController(*trials)
        for trial in trials:
            trial.status = "RUNNING"
            scheduler.on_trial_add(controller, trial)
        for trial in trials[:3]:
            assert scheduler.on_trial_result(controller, trial, result(2, 0.1)) == "CONTINUE"
            scheduler.on_trial_complete(controller, trial, result(2, 0.1))
        assert scheduler.on_trial_result(controller, trials[3], result(2, 0.9)) == "STOP"
