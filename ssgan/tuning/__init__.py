"""The search: Ray Tune over the fields of an experiment.

`load_search` builds a `Search`, `build_tuner` a plain `ray.tune.Tuner` from it, `summarize` a table
over seeds from its results.
"""

from ssgan.tuning.loading import load_search, search_names
from ssgan.tuning.search import Search
from ssgan.tuning.summary import summarize
from ssgan.tuning.tuner import build_tuner, restore_tuner

__all__ = [
    "Search",
    "build_tuner",
    "load_search",
    "restore_tuner",
    "search_names",
    "summarize",
]
