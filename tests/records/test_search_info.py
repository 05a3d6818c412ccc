"""What a page must know of a search is read from search.yaml."""

from pathlib import Path

import pytest

from ssgan.base.errors import CorruptFile
from ssgan.records.search_info import read_search_info
from tests.helpers.searchdirs import ANNEALING, LAMBDAS, make_search


def test_logarithmic_fields_are_known_by_their_flat_names(tmp_path: Path) -> None:
    space = {
        **LAMBDAS,
        **ANNEALING,
        "training.batch_size": {"kind": "integers", "low": 16, "high": 256, "log": True},
        "objective.lambda3": {"kind": "uniform", "low": 1, "high": 2},
    }
    info = read_search_info(make_search(tmp_path, "both", space))
    assert info.name == "both"
    assert info.logarithmic == {
        "objective.lambda1",
        "objective.lambda2",
        "label_sampling.probability.duration",
        "training.batch_size",
    }


def test_the_best_comes_first_and_nothing_last(tmp_path: Path) -> None:
    least = read_search_info(make_search(tmp_path, "a"))
    most = read_search_info(make_search(tmp_path, "b", metric="q_ss_accuracy", mode="max"))
    values = [None, 0.5, 0.1, 0.9]
    assert sorted(values, key=least.rank) == [0.1, 0.5, 0.9, None]
    assert sorted(values, key=most.rank) == [0.9, 0.5, 0.1, None]
    assert least.is_better(0.1, 0.2)
    assert most.is_better(0.2, 0.1)
    assert (least.metric, most.metric) == ("zero_one_loss_ema", "q_ss_accuracy")


def test_a_search_without_a_mode_goes_by_the_direction_of_its_metric(tmp_path: Path) -> None:
    search = make_search(tmp_path)
    for metric, mode in (("fd_judge", "min"), ("q_ss_accuracy", "max")):
        search.write_bytes("search.yaml", f"metric: {metric}\n".encode())
        assert read_search_info(search).mode == mode
    search.write_bytes("search.yaml", b"metric: diversity\n")
    with pytest.raises(CorruptFile, match="does not say how to compare diversity"):
        read_search_info(search)


def test_what_is_not_a_search_is_corrupt(tmp_path: Path) -> None:
    search = make_search(tmp_path)
    search.write_bytes("search.yaml", b"- no\n- search\n")
    with pytest.raises(CorruptFile, match=r"search\.yaml cannot be read: it holds no fields"):
        read_search_info(search)
