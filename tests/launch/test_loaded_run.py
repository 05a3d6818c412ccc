"""What a run is measured by when it is loaded again."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ssgan.base.errors import CorruptFile
from ssgan.base.threads import use_threads
from ssgan.data.store import Store
from ssgan.evaluation.judge import Judge
from ssgan.experiment.loading import load_experiment, with_values
from ssgan.launch import loaded_run
from ssgan.launch.loaded_run import LoadedRun, load_run
from ssgan.launch.preparation import find_judge, load_dataset, plan_here
from ssgan.records.rundir import RunDir
from ssgan.records.search_judges import judge_file
from ssgan.records.searchdir import FOLDERS, SearchDir, Stage, search_of
from tests.helpers.searchdirs import make_search

QUICK = ("evaluation.judge.epochs=1", "evaluation.judge.least_updates=2")


@pytest.fixture(scope="module")
def judge(digits_store: Store) -> Judge:
    """A C that hardly learned anything."""
    experiment = load_experiment("digits", QUICK)
    dataset = load_dataset(experiment, store=digits_store)
    found = find_judge(experiment, dataset, plan_here(experiment.scaling), seed=7)
    assert found is not None
    return found


@pytest.fixture
def search(tmp_path: Path, judge: Judge) -> SearchDir:
    """A search whose finals have a judge."""
    search = make_search(tmp_path, "hunt")
    for name, content in judge.files().items():
        search.write_bytes(judge_file("final", name), content)
    return search


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Train no judge; the list holds the seeds of those that would be."""
    seeds: list[int] = []

    def find(*told: Any) -> None:
        seeds.append(told[-1])

    monkeypatch.setattr(loaded_run, "find_judge", find)
    return seeds


def load(run: RunDir, store: Store) -> LoadedRun:
    """Load a run without networks."""
    experiment = load_experiment("digits", QUICK)
    dataset = load_dataset(experiment, store=store)
    nothing: Any = None
    return LoadedRun(run, experiment, dataset, torch.device("cpu"), 0, nothing)


def trial(search: SearchDir, stage: Stage) -> RunDir:
    return RunDir.create(search.locate(f"{FOLDERS[stage]}/00000"), "seed: 0")


def test_a_trial_is_measured_by_the_judge_that_its_search_recorded(
    search: SearchDir, judge: Judge, digits_store: Store, asked: list[int], tmp_path: Path
) -> None:
    run = trial(search, "final")
    moved = tmp_path / "elsewhere"
    assert search.local_path is not None
    search.local_path.rename(moved)
    run = RunDir.open(moved / "finals/00000")
    loaded = load(run, digits_store)
    found = loaded.find_judge(loaded.experiment)
    assert found.judge is not None
    assert (found.judge.hash, asked) == (judge.hash, [])
    assert str(found) == f"{judge.hash[:12]}, recorded by the search hunt (final)"
    # One that is to be another is made, from the seed of the stage.
    other = with_values(loaded.experiment, {"evaluation.judge.epochs": 2})
    assert str(loaded.find_judge(other)) == "none"
    assert asked == [1]


def test_where_no_judge_was_recorded_it_is_made_as_the_search_would(
    search: SearchDir, digits_store: Store, asked: list[int], tmp_path: Path
) -> None:
    loaded = load(trial(search, "search"), digits_store)
    loaded.find_judge(loaded.experiment)
    loaded = load(RunDir.create(tmp_path / "runs/trials/alone", "seed: 0"), digits_store)
    assert search_of(loaded.run) is None
    loaded.find_judge(loaded.experiment)
    assert asked == [0, 0]


def test_a_recorded_judge_that_was_changed_is_named(search: SearchDir, digits_store: Store) -> None:
    search.write_bytes(judge_file("final", "weights.safetensors"), b"others")
    loaded = load(trial(search, "final"), digits_store)
    with pytest.raises(CorruptFile, match=r"hunt/judges/final/weights\.safetensors was changed"):
        loaded.find_judge(loaded.experiment)


def test_statistics_are_estimated_with_the_threads_of_the_training(
    tmp_path: Path, digits_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = load(RunDir(str(tmp_path)), digits_store)
    seen = []

    def look(*_: Any) -> LoadedRun:
        seen.append(torch.get_num_threads())
        return told

    monkeypatch.setattr(
        loaded_run, "load_run_data", lambda location: (told.run, told.experiment, told.dataset)
    )
    monkeypatch.setattr(loaded_run, "load_networks", look)
    with use_threads(2):
        assert load_run(str(tmp_path)) is told
        assert torch.get_num_threads() == 2
    assert seen == [told.plan(told.experiment).threads] == [1]
