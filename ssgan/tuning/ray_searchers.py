"""Search algorithms of Ray Tune that go on where a search is now, and to as many trials as it has.

Their state, which Ray pickles, says where the results of trials were to go, and how many trials
there were to be.
"""

import copy
from typing import Any

from ray.train._internal.storage import get_fs_and_path
from ray.tune.experiment import Trial
from ray.tune.search import Searcher, SearchGenerator
from ray.tune.search.basic_variant import BasicVariantGenerator


class _Continues:
    """Puts new trials where the state of Tune is today."""

    place: str | None = None
    """Where Tune keeps its state; None is where the search began."""
    samples: int | None = None
    """Draws; None is as many as there were."""

    def next_trial(self) -> Trial | None:
        """Return the next trial, if there is one now."""
        trial: Trial | None = super().next_trial()  # type: ignore[misc]
        if trial is not None and self.place is not None:
            storage: Any = copy.copy(trial.storage)
            storage.storage_filesystem, storage.storage_fs_path = get_fs_and_path(self.place)
            trial.set_storage(storage)
        return trial


class Grid(_Continues, BasicVariantGenerator):
    """Draws at random, and walks all grids with each draw."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Take up a state; the draws that are to come are those of a longer search."""
        place, samples = self.place, self.samples
        super().set_state(state)  # type: ignore[no-untyped-call]
        self.place, self.samples = place, samples
        for iterator in self._iterators:  # the only one
            more = 0 if samples is None else samples - iterator.num_samples
            if more > 0:
                self._total_samples += more * (self._total_samples // iterator.num_samples)
                iterator.num_samples += more
                iterator.num_samples_left += more
                self._finished = False


class Suggestions(_Continues, SearchGenerator):
    """One trial after the other, with values that a searcher of Ray Tune suggests."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Take up a state; there may be more trials to come."""
        super().set_state(state)
        if self.samples is not None and self.samples > self._total_samples:
            self._total_samples, self._finished = self.samples, False


def continuing(algorithm: Any, place: str, samples: int) -> Any:
    """Let a search algorithm, which takes up a state, continue at a place, to so many draws."""
    if isinstance(algorithm, Searcher):
        algorithm = Suggestions(algorithm)
    elif type(algorithm) is BasicVariantGenerator:  # as 0.1 pickled it; its state has all the rest
        algorithm = Grid(max_concurrent=algorithm.max_concurrent)
    if isinstance(algorithm, _Continues):
        algorithm.place, algorithm.samples = place, samples
    return algorithm
