"""Searchers: who draws the values of the trials."""

from typing import Any

from ssgan.tuning.search import OptunaSearcher, Pb2, Pbt, Search
from ssgan.tuning.space import DefineByRun


def make_searcher(search: Search, concurrent: int) -> Any:
    """Return Ray Tune's search algorithm.

    Args:
        search: The search.
        concurrent: Trials at a time. A population takes turns instead, so it is not limited.
    """
    if isinstance(search.searcher, OptunaSearcher):
        return _make_optuna(search, search.searcher, concurrent)
    is_population = isinstance(search.scheduler, Pbt | Pb2)
    return walk_grid(0 if is_population else concurrent, search.seed)


def walk_grid(concurrent: int, seed: int = 0) -> Any:
    """Return the search algorithm that draws at random and walks all grids with each draw.

    So a grid of seeds gives every drawn configuration once with each seed.

    Args:
        concurrent: Trials at a time; 0 is no limit.
        seed: Seed of the draws.
    """
    from ray.tune.search.basic_variant import BasicVariantGenerator

    return BasicVariantGenerator(
        max_concurrent=concurrent, constant_grid_search=True, random_state=seed
    )


def param_space(search: Search) -> dict[str, Any]:
    """Return the parameters of Ray Tune; Optuna draws them by itself."""
    if isinstance(search.searcher, OptunaSearcher):
        return {}
    return {path: part.domain() for path, part in search.space.items()}


def _make_optuna(search: Search, config: OptunaSearcher, concurrent: int) -> Any:
    import optuna
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=config.startup)
    searcher = OptunaSearch(
        DefineByRun(search.space), metric=search.metric, mode=search.mode, sampler=sampler
    )
    return ConcurrencyLimiter(searcher, max_concurrent=concurrent)
