"""Searchers: who draws the values of the trials."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ssgan.base.config import OpenUnion
from ssgan.base.errors import BadInput
from ssgan.tuning.space import DefineByRun

if TYPE_CHECKING:
    from ssgan.tuning.search import Search


class Searcher(OpenUnion):
    """Who draws the values of the trials."""

    suggests: ClassVar[bool] = True
    """Whether it suggests the values of one trial after another, as algorithms of Ray Tune usually
    do. Such a one walks no grid, and Tune counts its trials from 1 instead of 0."""

    @abstractmethod
    def build(self, search: "Search", concurrent: int) -> Any:
        """Return Ray Tune's search algorithm, which has so many trials at a time."""

    def param_space(self, search: "Search") -> dict[str, Any]:
        """Return the parameter space of Ray Tune; none where the algorithm draws by itself."""
        return {} if self.suggests else {path: part.domain() for path, part in search.space.items()}

    def check(self, search: "Search") -> None:
        """Check what can be known before a search starts.

        Raises:
            BadInput: The search cannot work with this searcher.
        """
        for path, part in search.space.items():
            if self.suggests and part.is_grid:
                raise BadInput(
                    f"search.searcher.kind={self.kind} draws values and walks no grid ({path}); "
                    "use kind: choice there, or search.searcher.kind=random"
                )


class RandomSearcher(Searcher):
    """Draws every trial's values at random, and walks all grids."""

    suggests = False
    kind: Literal["random"] = "random"

    def build(self, search: "Search", concurrent: int) -> Any:
        """Return Ray Tune's search algorithm; a population takes turns, so it is not limited."""
        return walk_grid(0 if search.scheduler.changes_values else concurrent, search.seed)


class OptunaSearcher(Searcher):
    """Optuna's tree-structured Parzen estimator: later trials are drawn where earlier did well."""

    kind: Literal["optuna"] = "optuna"
    startup: int = Field(default=10, ge=1)
    """Trials drawn at random before the estimator begins."""

    def build(self, search: "Search", concurrent: int) -> Any:
        """Return Ray Tune's search algorithm, which draws define-by-run."""
        import optuna
        from ray.tune.search import ConcurrencyLimiter
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=self.startup)
        searcher = OptunaSearch(
            DefineByRun(search.space), metric=search.metric, mode=search.mode, sampler=sampler
        )
        return ConcurrencyLimiter(searcher, max_concurrent=concurrent)


def walk_grid(concurrent: int, seed: int = 0) -> Any:
    """Return the search algorithm that draws at random and walks all grids with each draw.

    So a grid of seeds gives every drawn configuration once with each seed. Concurrent is the number
    of trials at a time; 0 is not a limit.
    """
    from ssgan.tuning.ray_searchers import Grid

    return Grid(max_concurrent=concurrent, constant_grid_search=True, random_state=seed)
