import logging
from pathlib import Path
from typing import Any

import pytest

from ssgan.base.errors import BadInput
from ssgan.cluster.capacity import Node
from ssgan.cluster.connection import Cluster
from ssgan.data.store import MANIFEST, Store
from ssgan.records.searchdir import SearchDir
from ssgan.tuning.loading import load_search
from ssgan.tuning.preparation import (
    Need,
    plan_trials,
    prepare_data,
    share_store,
    trials_at_a_time,
)
from ssgan.tuning.search import Search
from tests.tuning.conftest import definition

TWO = [Node(2.0)]


def cluster(*nodes: Node) -> Cluster:
    return Cluster(address="nowhere", nodes=nodes, started=True)


def test_a_trial_reserves_what_scaling_says() -> None:
    search = load_search(definition(overrides={"scaling.cpus": 1.5, "scaling.workers": 2}))
    plan = plan_trials(search, cluster(Node(8.0)))
    assert (plan.under_ray, plan.cuda, plan.threads) == (True, False, 1)
    assert str(Need(2, plan.cpus)) == "2 workers x (1.5 CPUs)"
    shared = load_search(definition(overrides={"scaling.gpus": 0.25}))
    plan = plan_trials(shared, cluster(Node(8.0, 1.0)))
    assert (plan.cuda, plan.gpus) == (True, 0.25)


def test_several_machines_get_a_copy_of_the_images(digits_store: Store, tmp_path: Path) -> None:
    where = SearchDir.create(tmp_path / "search", "")
    assert share_store(digits_store, where, [Node(2.0)]) == digits_store.location
    location = share_store(digits_store, where, [Node(2.0), Node(2.0)])
    assert Path(location).parent == tmp_path / "stores"
    copied = Store.open(location)
    assert copied.manifest == digits_store.manifest
    images = [next(iter(store.chunks("train")))[0] for store in (copied, digits_store)]
    assert (images[0] == images[1]).all()
    copied_at = (Path(location) / MANIFEST).stat().st_mtime_ns
    another = SearchDir.create(tmp_path / "another", "")
    assert share_store(digits_store, another, [Node(2.0), Node(2.0)]) == location
    assert (Path(location) / MANIFEST).stat().st_mtime_ns == copied_at  # is not copied twice
    begun_before = SearchDir.create(tmp_path / "before", "")
    begun_before.write_bytes(f"store/{MANIFEST}", (Path(location) / MANIFEST).read_bytes())
    found = share_store(digits_store, begun_before, [Node(2.0), Node(2.0)])
    assert found == begun_before.locate("store")


@pytest.mark.usefixtures("digits_store")
@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"data.labels": {"kind": "choice", "values": [10, 9999]}}, r"data\.labels=9999"),
        ({"codes.prior": {"kind": "choice", "values": ["empirical"]}}, None),
    ],
)
def test_every_end_of_the_space_is_held_against_the_data(
    space: dict[str, Any], message: str | None
) -> None:
    search = load_search(definition(space=space))
    if message is None:
        assert prepare_data(search).has_test_split
        return
    with pytest.raises(BadInput, match=message):
        prepare_data(search)


def test_a_search_knows_its_plan_without_data(search: Search) -> None:
    assert plan_trials(search, cluster(Node(4.0), Node(4.0))).under_ray is False


def test_as_many_as_fit_train_at_a_time() -> None:
    assert trials_at_a_time(Need(1, 1.0), 6, TWO) == 2
    assert trials_at_a_time(Need(1, 0.5), 3, TWO) == 3
    assert trials_at_a_time(Need(2, 1.0), 6, [Node(2.0), Node(3.0)]) == 2
    assert trials_at_a_time(Need(1, 1.0, 0.25), 9, [Node(8.0, 1.0)]) == 4


def test_what_the_autoscaler_may_add_counts() -> None:
    assert trials_at_a_time(Need(4, 1.0), 6, TWO, [Node(8.0)]) == 2


def test_more_at_a_time_than_fit_are_lowered_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert trials_at_a_time(Need(2, 0.5), 6, TWO, asked=5) == 2
    assert "search.concurrent=5 x 2 workers x (0.5 CPUs)" in caplog.text
    caplog.clear()
    assert trials_at_a_time(Need(1, 1.0), 6, TWO, asked=1) == 1
    assert trials_at_a_time(Need(1, 1.0), 2, TWO, asked=8) == 2
    assert not caplog.text


def test_a_trial_that_never_fits_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(BadInput, match=r"4 workers x \(1 CPUs\) = 4 CPUs, but the cluster has 2"):
        trials_at_a_time(Need(4, 1.0), 6, TWO)


def test_a_nested_population_must_fit_as_a_whole() -> None:
    assert trials_at_a_time(Need(2, 0.5), 2, TWO, population=True) == 2
    assert trials_at_a_time(Need(1, 1.0), 8, TWO, population=True) == 2  # takes turns
    with pytest.raises(BadInput, match=r"4 trials x 2 workers x \(0.5 CPUs\).* 2 of them fit"):
        trials_at_a_time(Need(2, 0.5), 4, TWO, population=True)


def test_no_more_nested_trials_train_than_have_memory_for_their_own_processes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nodes = [Node(8.0)]
    with caplog.at_level(logging.WARNING):
        assert trials_at_a_time(Need(2, 0.5), 9, nodes, drivers=3) == 3
    assert "8 trials fit, but the machines that stay have memory for 3 x 1200 MiB" in caplog.text
    caplog.clear()
    assert trials_at_a_time(Need(2, 0.5), 3, nodes, drivers=3) == 3
    assert trials_at_a_time(Need(2, 0.5), 9, nodes, drivers=None) == 8
    assert not caplog.text
    with pytest.raises(BadInput, match="no machine that stays has memory for a trial"):
        trials_at_a_time(Need(2, 0.5), 9, nodes, drivers=0)
    with pytest.raises(BadInput, match=r"a population of 4 trials .* 3 of them fit"):
        trials_at_a_time(Need(2, 0.5), 4, nodes, drivers=3, population=True)
