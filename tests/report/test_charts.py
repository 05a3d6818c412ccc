"""The charts show what there is, and nothing where there is nothing to compare."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.records.histories import Histories, History
from ssgan.records.search_info import SearchInfo, read_search_info
from ssgan.records.searchdir import SearchDir
from ssgan.report.charts import (
    best_of,
    heat_map,
    loss_curves,
    numeric_fields,
    scored,
    shading,
)
from tests.helpers.searchdirs import ANNEALING, LAMBDAS, commit, fill_search, make_search

L1, L2 = "objective.lambda1", "objective.lambda2"
ACCENT = (9, 105, 218)  # the best trial's color
FAILED = (207, 34, 46)


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> SearchDir:
    folder = tmp_path_factory.mktemp("charts")
    search = make_search(folder, "annealing", {**LAMBDAS, **ANNEALING})
    fill_search(search, trials=24, epochs=6, annealed=True, finals=1)
    return search


@pytest.fixture(scope="module")
def histories(search: SearchDir) -> list[History]:
    return Histories().read(search)


@pytest.fixture(scope="module")
def info(search: SearchDir) -> SearchInfo:
    return read_search_info(search)


def has_color(image: Image.Image, color: Sequence[int]) -> bool:
    return bool((np.asarray(image) == np.array(color)).all(axis=2).any())


def test_curves_show_the_best_and_the_failed(histories: list[History], info: SearchInfo) -> None:
    chart = loss_curves(histories, info)
    assert chart is not None
    assert has_color(chart, ACCENT)
    assert has_color(chart, FAILED)
    finals = loss_curves(histories, info, "final")
    assert finals is not None
    assert not has_color(finals, FAILED)
    whole = [history for history in histories if history.row.status != "FAILED"]
    chart = loss_curves(whole, info)
    assert chart is not None
    assert not has_color(chart, FAILED)


def test_charts_are_functions_of_their_trials(histories: list[History], info: SearchInfo) -> None:
    assert loss_curves(histories, info) == loss_curves(histories, info)
    assert heat_map(histories, info, L1, L2) == heat_map(histories, info, L1, L2)
    assert loss_curves(histories, info) != loss_curves(histories[1:], info)


def test_trials_are_colored_by_their_metric_and_nothing_lies_between(
    histories: list[History], info: SearchInfo
) -> None:
    chart = heat_map(histories, info, L1, L2)
    assert chart is not None
    values = [metric for _, metric in scored(histories)]
    norm, colors = shading(values, info)
    best = [round(255 * part) for part in colors(norm(min(values)))[:3]]
    assert has_color(chart, best)
    inside = np.asarray(chart)[60:450, 80:520].reshape(-1, 3)
    assert (inside == 255).all(axis=1).mean() > 0.85


def test_numbers_inside_schedules_are_fields(histories: list[History]) -> None:
    assert numeric_fields(histories) == [L1, L2, "label_sampling.probability.duration"]


def test_nothing_is_drawn_of_too_little(histories: list[History], info: SearchInfo) -> None:
    assert loss_curves([], info) is None
    assert heat_map(histories[:1], info, L1, L2) is None
    assert heat_map(histories, info, L1, "label_sampling.probability.kind") is None


def test_the_best_did_not_fail(histories: list[History], info: SearchInfo) -> None:
    best = best_of([history for history, _ in scored(histories)], info)
    assert best is not None
    assert best.row.metric == min(metric for _, metric in scored(histories))
    assert all(history.row.status != "FAILED" for history, _ in scored(histories))
    failed = [history for history in histories if history.row.status == "FAILED"]
    assert best_of(failed, info) is failed[0]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_value_is_the_darkest(tmp_path: Path, mode: str) -> None:
    info = read_search_info(make_search(tmp_path, mode=mode))
    norm, colors = shading([0.2, 0.8], info)
    brightness = [sum(colors(norm(value))[:3]) for value in (0.2, 0.8)]
    assert (brightness[0] < brightness[1]) == (mode == "min")


def test_a_loss_of_zero_has_a_place_and_one_value_is_in_the_middle(tmp_path: Path) -> None:
    info = read_search_info(make_search(tmp_path))
    norm, _ = shading([0.0, 0.001, 0.9], info)
    places = [float(norm(value)) for value in (0.0, 0.001, 0.01, 0.9)]
    assert (places[0], places[-1]) == (0, 1)
    assert places[1] > 0.03
    assert places[2] > 0.2  # a linear scale would have it at 0.01
    norm, _ = shading([0.9, 0.9], info)
    assert float(norm(0.9)) == 0.5


def test_curves_that_reach_zero_are_drawn(tmp_path: Path) -> None:
    search = make_search(tmp_path)
    (row,) = fill_search(search, trials=1, epochs=3)
    commit(search.run(row), 0, 4, 0.0, None)
    search.write_rows([row.model_copy(update={"epoch": 4, "metric": 0.0})])
    histories, info = Histories().read(search), read_search_info(search)
    whole = loss_curves(histories, info)
    before = loss_curves([History(one.row, one.run, one.records[:-1]) for one in histories], info)
    assert whole is not None
    assert whole != before
