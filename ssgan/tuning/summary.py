"""The table over seeds: configurations by mean, spread and number of runs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from ssgan.evaluation.catalog import MAIN, direction
from ssgan.records.searchdir import TrialRow


@dataclass(frozen=True)
class Configuration:
    """One configuration, over all seeds that it was run with."""

    values: dict[str, Any]
    """The searched fields."""
    trials: tuple[str, ...]
    """Names of its runs."""
    seeds: tuple[int, ...]
    """Seeds of its runs."""
    metrics: tuple[float, ...]
    """Values of the metric, of the runs that have one."""
    failed: int
    """Runs without a value."""

    @property
    def mean(self) -> float | None:
        """Mean of the metric."""
        return mean(self.metrics) if self.metrics else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of the metric over seeds; None below two runs."""
        return stdev(self.metrics) if len(self.metrics) > 1 else None

    @property
    def n(self) -> int:
        """Runs with a value."""
        return len(self.metrics)


@dataclass(frozen=True)
class SeedTable:
    """All configurations, the best first; those without a value last."""

    configurations: tuple[Configuration, ...]
    metric: str
    mode: str

    @property
    def best(self) -> Configuration | None:
        """The configuration with the best mean."""
        first = self.configurations[0] if self.configurations else None
        return first if first is not None and first.metrics else None


def summarize(
    results: Any, metric: str = MAIN, mode: str | None = None, stage: str | None = None
) -> SeedTable:
    """Group runs by configuration, over seeds.

    Args:
        results: A `ray.tune.ResultGrid`, or rows of a search directory.
        metric: What configurations are compared by; of a result grid.
        mode: Whether the least (``min``) or the largest mean is best; None is the metric's own
            direction.
        stage: Only rows of this stage; by default the finals if there are any, else all.
    """
    rows = list(_rows(results, metric))
    if stage is None and any(row.stage == "final" for row in rows):
        stage = "final"
    groups: dict[str, list[TrialRow]] = {}
    for row in rows:
        if stage is None or row.stage == stage:
            values = {path: value for path, value in row.values.items() if path != "seed"}
            groups.setdefault(json.dumps(values, sort_keys=True), []).append(row)
    configurations = [_configuration(group) for group in groups.values()]
    mode = mode or direction(metric) or "min"
    sign = 1 if mode == "min" else -1
    configurations.sort(key=lambda one: (one.mean is None, sign * (one.mean or 0.0), one.trials))
    return SeedTable(tuple(configurations), metric, mode)


def best_trials(rows: Iterable[TrialRow], count: int, mode: str) -> Sequence[TrialRow]:
    """Return the rows of stage one that continue in stage two, at most `count`.

    Those that finished go before those that were stopped early, whatever their values.
    """
    sign = 1 if mode == "min" else -1
    known = [
        (row.status == "STOPPED", sign * row.metric, row.trial, row)
        for row in rows
        if row.stage == "search" and row.metric is not None
        if row.status in ("FINISHED", "STOPPED")
    ]
    return [row for *_, row in sorted(known)[:count]]


def _configuration(rows: list[TrialRow]) -> Configuration:
    known = [row for row in rows if row.is_scored]
    return Configuration(
        values={path: value for path, value in rows[0].values.items() if path != "seed"},
        trials=tuple(row.trial for row in rows),
        seeds=tuple(row.seed for row in rows),
        metrics=tuple(row.metric for row in known if row.metric is not None),
        failed=len(rows) - len(known),
    )


def _rows(results: Any, metric: str) -> Iterable[TrialRow]:
    """Read rows, or make them of the results of a Tuner."""
    if not hasattr(results, "num_errors"):
        yield from results
        return
    from ssgan.tuning.trial import FINAL

    for index, result in enumerate(results):
        config, metrics = dict(result.config or {}), dict(result.metrics or {})
        final = config.get(FINAL)
        drawn = {path: value for path, value in config.items() if "[" not in path}
        values = dict(final["values"]) if final else drawn
        yield TrialRow(
            trial=str(final["trial"]) if final else f"{index:05d}",
            stage="final" if final else "search",
            values=values,
            seed=int(final["seed"]) if final else int(values.get("seed", 0)),
            status="FAILED" if result.error else "FINISHED",
            epoch=int(metrics.get("epoch", 0)),
            metric=metrics.get(metric),
        )
