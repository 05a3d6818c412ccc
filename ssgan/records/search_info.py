"""What a search asks for, as far as a page about it needs to know."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from ssgan.base.errors import CorruptFile
from ssgan.evaluation.catalog import MAIN, Direction, direction
from ssgan.records.searchdir import SearchDir


class SearchInfo(NamedTuple):
    """The parts of search.yaml that pages and charts show."""

    name: str
    """Name of the search."""
    metric: str
    """Metric that it goes by, a name in the records."""
    mode: Direction
    """Whether less or more of it is better."""
    logarithmic: frozenset[str]
    """Flat names of the fields that are drawn on a logarithmic scale."""

    def is_better(self, one: float, other: float) -> bool:
        """Whether one value of the metric beats the other."""
        return one < other if self.mode == "min" else one > other

    def rank(self, value: float | None) -> tuple[bool, float]:
        """Return a key that sorts the best value first and no value last."""
        if value is None:
            return True, 0.0
        return False, value if self.mode == "min" else -value


def read_search_info(search: SearchDir) -> SearchInfo:
    """Read a search directory's search.yaml.

    Raises:
        CorruptFile: It does not hold a search.
    """
    tree = yaml.safe_load(search.search_yaml())
    if not isinstance(tree, Mapping):
        raise CorruptFile(f"{search.locate('search.yaml')} does not hold a search")
    metric = str(tree.get("metric") or MAIN)
    mode = tree.get("mode") or direction(metric)
    if mode not in ("min", "max"):
        where = search.locate("search.yaml")
        raise CorruptFile(f"{where} does not say how to compare {metric}")
    return SearchInfo(
        name=search.info.name,
        metric=metric,
        mode=mode,
        logarithmic=frozenset(_logarithmic(tree.get("space") or {})),
    )


def _logarithmic(space: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, node in space.items():
        if not isinstance(node, Mapping):
            continue
        if node.get("kind") == "loguniform" or node.get("log") is True:
            found.append(f"{prefix}{name}")
        for option in node.get("options") or ():
            if isinstance(option, Mapping):
                found += _logarithmic(option, f"{prefix}{name}.")
    return found
