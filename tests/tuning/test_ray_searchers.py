"""Search algorithms that take up the state of a search elsewhere, or of a shorter one."""

from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle, tune
from ray.tune.experiment import Experiment, Trial
from ray.tune.search import Searcher
from ray.tune.search.basic_variant import BasicVariantGenerator

from ssgan.tuning.ray_searchers import Grid, Suggestions, continuing
from ssgan.tuning.tuner import TrialNames


def experiment(folder: Path, samples: int) -> Experiment:
    space = {"lambda1": tune.uniform(0.0, 1.0), "seed": tune.grid_search([1, 2])}
    return Experiment(
        "search", lambda config: None, config=space, num_samples=samples, storage_path=str(folder)
    )


def draw(algorithm: Any) -> list[Trial]:
    return list(iter(algorithm.next_trial, None))


def drawn(trials: list[Trial]) -> list[tuple[str, dict[str, Any]]]:
    return [(TrialNames()(trial), trial.config) for trial in trials]


def grid(kind: type[BasicVariantGenerator] = Grid) -> BasicVariantGenerator:
    return kind(constant_grid_search=True, random_state=7)


def state_of(algorithm: Any) -> Any:
    return cloudpickle.loads(cloudpickle.dumps(algorithm.get_state()))


@pytest.mark.parametrize("kind", [Grid, BasicVariantGenerator])  # the latter as 0.1 pickled it
@pytest.mark.parametrize("before", [0, 3, 4])
def test_a_longer_search_draws_what_it_would_have_drawn(
    tmp_path: Path, before: int, kind: type[BasicVariantGenerator]
) -> None:
    whole, first = grid(kind), grid(kind)
    whole.add_configurations([experiment(tmp_path / "whole", 3)])
    first.add_configurations([experiment(tmp_path / "first", 2)])
    trials = [first.next_trial() for _ in range(before)]
    if before == 4:
        assert first.next_trial() is None
        assert first.is_finished()
    resumed = continuing(grid(kind), str(tmp_path / "moved"), 3)
    resumed.set_state(state_of(first))
    assert resumed.total_samples == 6
    more = draw(resumed)
    assert drawn([*trials, *more]) == drawn(draw(whole))
    assert {trial.storage.storage_fs_path for trial in more} == {str(tmp_path / "moved")}
    again = continuing(grid(), str(tmp_path / "moved"), 3)
    again.set_state(state_of(resumed))
    assert (draw(again), again.total_samples) == ([], 6)


class Counting(Searcher):
    """Suggests 0, 1, 2 and so on."""

    def __init__(self) -> None:
        super().__init__(metric="loss", mode="min")
        self.count = -1

    def suggest(self, trial_id: str) -> dict[str, Any]:
        self.count += 1
        return {"lambda1": self.count}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass


def test_a_searcher_may_suggest_more(tmp_path: Path) -> None:
    first = continuing(Counting(), str(tmp_path / "first"), 2)
    assert isinstance(first, Suggestions)
    first.add_configurations([experiment(tmp_path / "first", 2)])
    assert [trial.config["lambda1"] for trial in draw(first)] == [0, 1]
    resumed = continuing(Counting(), str(tmp_path / "moved"), 3)
    resumed.set_state(state_of(first))
    (trial,) = draw(resumed)
    assert TrialNames(first=1)(trial) == "00002"
    assert trial.storage.storage_fs_path == str(tmp_path / "moved")
