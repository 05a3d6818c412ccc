from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.cluster.capacity import Node
from ssgan.cluster.connection import Cluster
from ssgan.records.searchdir import SearchDir
from ssgan.tuning.loading import change_search, load_search
from ssgan.tuning.search import Search
from ssgan.tuning.tuner import _lacks_finals, build_tuner, check_same, finals_of, restore_tuner
from tests.tuning.conftest import definition
from tests.tuning.test_summary import row

HERE = Cluster(address="nowhere", nodes=(Node(2.0),), started=True)


def test_finals_are_the_best_with_fresh_seeds() -> None:
    search = load_search(definition(finals={"best": 2, "seeds": 2}))
    rows = [row("00000", 1.0, 0.3), row("00001", 2.0, 0.1), row("00002", 3.0, 0.2, seed=7)]
    finals = finals_of(search, rows)
    assert [(one["trial"], one["seed"], one["values"]["x"]) for one in finals] == [
        ("00001-s1", 1, 2.0),
        ("00001-s2", 2, 2.0),
        ("00002-s8", 8, 3.0),
        ("00002-s9", 9, 3.0),
    ]
    seeded = [row("00000", 1.0, 0.3, values={"x": 1.0, "seed": 4}, seed=4)]
    assert [one["values"] for one in finals_of(search, seeded)] == [{"x": 1.0}] * 2
    with pytest.raises(BadInput, match="no trial of stage one has a value of zero_one_loss_ema"):
        finals_of(search, [row("00000", 1.0, None, status="FAILED")])


def test_a_changed_definition_is_refused_with_a_diff(search: Search) -> None:
    check_same(search, search)
    recorded = search.base.tracking.model_copy(update={"uri": "http://elsewhere:5000"})
    base = search.base.model_copy(update={"tracking": recorded, "name": "renamed"})
    check_same(search, search.model_copy(update={"base": base}))
    changed = search.base.model_copy(update={"seed": 3})
    with pytest.raises(BadInput, match=r"another definition:\n  seed: 0 -> 3\n.*--name"):
        check_same(search, search.model_copy(update={"base": changed}))


def test_a_search_may_grow_and_not_shrink(search: Search) -> None:
    def changed(*overrides: str) -> Search:
        return change_search(search, overrides)

    assert not check_same(search, changed())
    assert check_same(search, changed("search.pictures=3"))
    more = ["search.trials=8", "search.finals.best=4", "search.finals.seeds=5"]
    for override in (*more, "training.epochs=12"):
        assert check_same(search, changed(override))
    for less in ("search.trials=5", "search.finals.best=1", "training.epochs=8"):
        with pytest.raises(BadInput, match=r"another definition:\n  [\w.]+: \d+ -> \d+\n.*may bec"):
            check_same(search, changed(less))
    with pytest.raises(BadInput, match=r"definition:\n  seed: 0 -> 3\n") as refused:
        check_same(search, changed("seed=3", *more))
    assert "search.trials:" not in str(refused.value)


def test_a_population_is_not_joined_later() -> None:
    search = load_search(definition(scheduler={"kind": "pbt"}, trials=4))
    with pytest.raises(BadInput, match=r"search\.trials: 4 -> 6"):
        check_same(search, change_search(search, ["search.trials=6"]))
    assert check_same(search, change_search(search, ["training.epochs=12"]))


def test_finals_are_missing_once_a_search_has_grown(tmp_path: Path) -> None:
    search = load_search(definition(finals={"best": 1, "seeds": 1}))
    directory = SearchDir.create(tmp_path / "search", search.to_yaml())
    first = [row("00000", 1.0, 0.3), row("00001", 2.0, 0.1)]
    final = row("00001-s1", 2.0, 0.2, stage="final", seed=1)
    directory.write_rows([*first, final])
    assert not _lacks_finals(search, directory)
    assert _lacks_finals(change_search(search, ["search.finals.seeds=2"]), directory)
    directory.write_rows([*first, row("00002", 3.0, 0.05), final])
    assert _lacks_finals(search, directory)
    going = final.model_copy(update={"status": "RUNNING"})
    directory.write_rows([*first, going])
    assert not _lacks_finals(change_search(search, ["search.finals.seeds=2"]), directory)
    directory.write_rows([*first, final])
    directory.write_summary({"epochs": search.epochs})
    assert _lacks_finals(change_search(search, ["training.epochs=12"]), directory)


def test_bad_input_is_refused_before_anything_is_written(search: Search, tmp_path: Path) -> None:
    where = tmp_path / "search"
    many = load_search(
        definition(overrides={"scaling.workers": 4, "training.batch_size": 64}), overrides={}
    )
    with pytest.raises(BadInput, match=r"4 workers x .* the cluster has 2 CPUs"):
        build_tuner(many, where, cluster=HERE)
    greedy = load_search(definition(overrides={"scaling.gpus": 1.0}))
    with pytest.raises(BadInput, match="ask for GPUs"):
        build_tuner(greedy, where, cluster=HERE)
    assert not where.exists()
    with pytest.raises(BadInput, match="is not a search directory"):
        restore_tuner(where, cluster=HERE)
    with pytest.raises(BadInput, match="is not a search directory"):
        build_tuner(search, where, "final", cluster=HERE)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    with pytest.raises(BadInput, match="is taken, but not by a search"):
        build_tuner(search, tmp_path / "full", cluster=HERE)
    SearchDir.create(where, search.to_yaml())
    with pytest.raises(BadInput, match="--resume"):
        build_tuner(search, where, cluster=HERE)


@pytest.mark.usefixtures("digits_store")
def test_a_corner_that_does_not_fit_the_data_is_refused(tmp_path: Path) -> None:
    space = {"data.labels": {"kind": "grid", "values": [100, 5000]}}
    search = load_search(definition(space=space, finals={"best": 0}))
    with pytest.raises(BadInput, match=r"the space reaches data\.labels=5000, which fails"):
        build_tuner(search, tmp_path / "search", cluster=HERE)
    assert not (tmp_path / "search").exists()
