"""What a search asks for, as far as a page about it needs to know."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ssgan.base.errors import CorruptFile
from ssgan.evaluation.catalog import MAIN, Direction, direction
from ssgan.records.searchdir import SearchDir

PICTURES = 32
"""Trials with pictures of every epoch in MLflow, where the search does not say how many."""


class SearchInfo(NamedTuple):
    """The parts of search.yaml that pages and charts show."""

    name: str
    metric: str
    """Metric that it goes by, a name in the records."""
    mode: Direction
    """Whether less or more of it is better."""
    logarithmic: frozenset[str]
    """Flat names of the fields that are drawn on a logarithmic scale."""
    pictures: int = PICTURES
    """How many of the best trials have pictures of every epoch in MLflow."""

    def is_better(self, one: float, other: float) -> bool:
        """Whether one value of the metric beats the other."""
        return one < other if self.mode == "min" else one > other

    def rank(self, value: float | None) -> tuple[bool, float]:
        """Return a key that sorts the best value first and no value last."""
        return value is None, (value or 0.0) * (1 if self.mode == "min" else -1)


def read_search_info(search: SearchDir) -> SearchInfo:
    """Read a search directory's search.yaml.

    Raises:
        CorruptFile: It does not hold a search.
    """
    tree = search.definition_tree()
    metric = str(tree.get("metric") or MAIN)
    mode = tree.get("mode") or direction(metric)
    if mode not in ("min", "max"):
        raise CorruptFile(f"{search.locate('search.yaml')} does not say how to compare {metric}")
    space = tree.get("space") or {}
    pictures = tree.get("pictures", PICTURES)
    if not isinstance(space, Mapping) or not isinstance(pictures, int):
        raise CorruptFile(f"{search.locate('search.yaml')} does not hold a search")
    return SearchInfo(search.info.name, metric, mode, _logarithmic(space), pictures)


def _logarithmic(space: Mapping[str, Any], prefix: str = "") -> frozenset[str]:
    found: set[str] = set()
    for name, node in space.items():
        if isinstance(node, Mapping):
            if node.get("kind") == "loguniform" or node.get("log") is True:
                found.add(f"{prefix}{name}")
            for option in node.get("options") or ():
                if isinstance(option, Mapping):
                    found |= _logarithmic(option, f"{prefix}{name}.")
    return frozenset(found)
