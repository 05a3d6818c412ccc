from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.tuning.loading import load_search
from ssgan.tuning.search import Search
from ssgan.tuning.searchers import Searcher
from tests.helpers.outside import module_outside
from tests.tuning.conftest import definition

EVEN = '''
from typing import Literal

import optuna
from ray.tune.search.optuna import OptunaSearch

from ssgan.tuning.searchers import Searcher
from ssgan.tuning.space import DefineByRun


class Even(Searcher):
    """Draws values that cover the space more evenly than chance does."""

    kind: Literal["even.Even"] = "even.Even"

    def build(self, search, concurrent):
        return OptunaSearch(
            DefineByRun(search.space),
            metric=search.metric,
            mode=search.mode,
            sampler=optuna.samplers.QMCSampler(seed=search.seed),
        )
'''


def test_a_population_is_made_as_a_whole_and_others_a_few_at_a_time(search: Search) -> None:
    population = load_search(definition(scheduler={"kind": "pbt"}))
    assert search.searcher.build(search, 2).max_concurrent == 2
    assert population.searcher.build(population, 2).max_concurrent == 0
    optuna = load_search(definition(searcher={"kind": "optuna"}))
    assert optuna.searcher.build(optuna, 3).max_concurrent == 3
    assert optuna.searcher.param_space(optuna) == {}  # drawn define-by-run
    assert search.searcher.param_space(search).keys() == search.space.keys()


def test_a_searcher_may_come_from_outside(tmp_path: Path) -> None:
    with module_outside(tmp_path, "even", EVEN, Searcher):
        search = load_search(definition(), overrides={"search.searcher.kind": "even.Even"})
        drawn = search.searcher.build(search, 2).suggest("00000")
        assert 0.05 <= drawn["objective.lambda1"] <= 2
        assert Search.from_yaml(search.to_yaml()) == search
        grid = {"seed": {"kind": "grid", "values": [1, 2]}}
        with pytest.raises(BadInput, match=r"kind=even\.Even draws values and walks no grid"):
            load_search(definition(searcher={"kind": "even.Even"}, space=grid))
