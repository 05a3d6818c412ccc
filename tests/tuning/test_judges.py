"""The judges of a search are trained by a task beside its trials, or by the driver in its place."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ssgan.base.errors import BadInput, NonFiniteLoss
from ssgan.cluster.capacity import Node
from ssgan.cluster.connection import Cluster
from ssgan.data.store import Store
from ssgan.evaluation.judge import Judge
from ssgan.launch.preparation import ComputePlan, judge_cache
from ssgan.records.search_judges import read_judge, read_judge_card
from ssgan.records.searchdir import SearchDir
from ssgan.tuning import judges
from ssgan.tuning.judges import (
    JudgeTraining,
    check_judge,
    place_of_judge,
    prepare_judges,
    train_judges,
    wait_for_judge,
)
from ssgan.tuning.loading import load_search
from ssgan.tuning.preparation import plan_trials
from ssgan.tuning.search import Search
from tests.tuning.conftest import definition

QUICK = {"evaluation.judge.epochs": 1, "evaluation.judge.least_updates": 2}


def cluster(*nodes: Node) -> Cluster:
    return Cluster(address="nowhere", nodes=nodes, started=True)


class Prepared:
    """A search whose judges are to be trained."""

    def __init__(self, folder: Path, store: Store, **overrides: Any) -> None:
        self.search: Search = load_search(definition(overrides={**QUICK, **overrides}))
        self.where = SearchDir.create(folder / "search", self.search.to_yaml())
        self.plan: ComputePlan = plan_trials(self.search, cluster(Node(1.0)))
        self.store = store

    def prepare(self, *stages: Any) -> bool:
        told = (self.search, stages, self.where, self.store, self.plan, cluster(Node(1.0)))
        return prepare_judges(*told)

    def train(self, *stages: Any, threads: int = 1) -> list[Any]:
        told = (self.search, stages, self.where, self.store, self.plan, threads)
        return list(train_judges(*told))

    def follow(self, task: Any, *stages: Any) -> None:
        told = (self.search, stages, self.where, self.store.location, self.plan)
        JudgeTraining(*told)._follow(task)


@pytest.fixture
def prepared(digits_store: Store, tmp_path: Path) -> Prepared:
    return Prepared(tmp_path, digits_store)


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Start no task, and say for which stages one would have been started."""
    started: list[Any] = []
    monkeypatch.setattr(JudgeTraining, "start", lambda self, cluster: started.append(self.stages))
    yield started
    judges._training.clear()


def test_the_stages_have_judges_of_their_own(prepared: Prepared) -> None:
    assert read_judge(prepared.where, "search") is None
    assert read_judge_card(prepared.where, "search") is None
    assert prepared.train("search", "final") == ["search", "final"]
    first = Judge.from_files(wait_for_judge(prepared.where, "search"), "cpu")
    second = Judge.from_files(wait_for_judge(prepared.where, "final"), "cpu")
    assert first.hash != second.hash
    assert (first.card.config.rows, second.card.config.rows) == ("first half", "second half")
    assert first.card.seed != second.card.seed
    assert first.card.config.classifier != second.card.config.classifier


def test_what_is_in_the_cache_needs_no_task(prepared: Prepared, no_ray: list[Any]) -> None:
    prepared.train("search")
    prepared.where.delete("judges")
    assert prepared.prepare("search")
    assert no_ray == []
    assert read_judge(prepared.where, "search") is not None


def test_what_is_missing_is_trained_by_one_task(
    digits_store: Store, tmp_path: Path, no_ray: list[Any]
) -> None:
    fresh = Prepared(tmp_path, digits_store, **{"evaluation.judge.weight_decay": 0.02})
    assert fresh.prepare("search", "final")
    assert no_ray == [["search", "final"]]


def test_where_there_is_no_judge_nothing_waits_for_one(
    prepared: Prepared, no_ray: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges, "has_judge", lambda dataset: False)
    assert not prepared.prepare("search")
    assert no_ray == []


@pytest.mark.parametrize("threads", [1, 2])
def test_a_judge_is_trained_with_the_threads_that_it_was_given(
    threads: int, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, found = torch.get_num_threads(), []

    def find(*args: Any, **more: Any) -> Any:
        found.append(torch.get_num_threads())
        raise NonFiniteLoss("enough")

    monkeypatch.setattr(judges, "find_judge", find)
    with pytest.raises(NonFiniteLoss):
        prepared.train("search", threads=threads)
    assert found == [threads]
    assert torch.get_num_threads() == before


def test_a_machine_gives_all_its_cores_or_the_share_of_a_gpu_that_a_worker_has() -> None:
    nodes = cluster(Node(0.0), Node(8.0), Node(4.0, 2.0))
    search = load_search(definition(overrides={"scaling.device": "cpu"}))
    assert place_of_judge(search, plan_trials(search, nodes), nodes) == (8.0, 0.0, 8)
    search = load_search(definition(overrides={"scaling.device": "cpu", "scaling.threads": 3}))
    assert place_of_judge(search, plan_trials(search, nodes), nodes) == (3.0, 0.0, 3)
    search = load_search(definition(overrides={"scaling.gpus": 0.5}))
    assert place_of_judge(search, plan_trials(search, nodes), nodes) == (1.0, 0.5, 1)


def test_trials_wait_for_their_judge(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "_POLL", 0.01)
    found: list[Any] = []
    waiting = threading.Thread(
        target=lambda: found.append(wait_for_judge(prepared.where, "search")), daemon=True
    )
    waiting.start()
    prepared.where.write_bytes("judges/search/weights.safetensors", b"half of it")
    waiting.join(0.1)
    assert waiting.is_alive()
    prepared.train("search")
    waiting.join(60)
    assert Judge.from_files(found[0], "cpu").card.config.rows == "first half"


@pytest.mark.parametrize("kind", [BadInput, NonFiniteLoss])
def test_what_ends_a_training_is_told_to_trials_and_driver(
    kind: type[Exception], prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: True)

    def train(*args: Any) -> Any:
        yield "search"
        raise kind("C cannot")

    monkeypatch.setattr(judges, "train_judges", train)
    prepared.follow(None, "search", "final")
    check_judge(prepared.where, "search")
    for ask in (check_judge, wait_for_judge):
        with pytest.raises(kind, match="C cannot"):
            ask(prepared.where, "final")


def test_where_the_task_is_lost_the_driver_trains(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr("ray.get", lambda done: done)

    def lost() -> Iterator[Any]:
        yield None
        raise OSError("the node died")

    prepared.follow(lost(), "search")
    assert "is lost (the node died)" in caplog.text
    assert "this process trains the judge C" in caplog.text
    assert read_judge(prepared.where, "search") is not None


def test_a_judge_that_another_machine_trained_is_kept_here(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prepared.train("search")
    monkeypatch.setenv("SSGAN_CACHE", str(tmp_path / "cache of another machine"))
    monkeypatch.setattr("ray.get", lambda done: done)
    prepared.follow([None, "search"], "search")
    card = read_judge_card(prepared.where, "search")
    assert card is not None
    assert Judge.load(judge_cache() / card.hash[:20]).hash == card.hash
