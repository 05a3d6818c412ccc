"""The best of a search as metrics of its run in MLflow: how it improved, and what won."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlflow.entities import Metric

from ssgan.records.histories import History
from ssgan.records.search_info import SearchInfo


class BestSoFar:
    """How the best value of stage one improves: a curve that shows how a search gets on.

    It is the best of many epochs of many trials, so that luck is part of it. What a search comes to
    is in `result_points`.
    """

    def __init__(self, info: SearchInfo, told: Sequence[Metric]) -> None:
        """Take up where points leave off that MLflow has already."""
        self._info = info
        self._told_until = max((point.timestamp for point in told), default=-1)
        self._best = min((point.value for point in told), key=info.rank, default=None)

    def points(self, histories: Iterable[History], news: Iterable[History]) -> list[Metric]:
        """Return the points that are new; only trials with news can have improved the best."""
        info = self._info
        values = [value for one in _of_stage_one(news) for _, value in one.curve(info.metric)]
        best = min(values, key=info.rank, default=None)
        if best is None or (self._best is not None and not info.is_better(best, self._best)):
            return []
        self._best = best
        points = self._improvements(histories)
        if points:
            self._told_until = points[-1].timestamp
        return points

    def _improvements(self, histories: Iterable[History]) -> list[Metric]:
        """Return how the best value improved since the last point.

        The step counts the epochs of all trials until then. Trials report from several machines, so
        that an epoch may come late; what was told before stands.
        """
        info = self._info
        reported = sorted(
            (record.timestamp_ms, history.row.trial, value)
            for history in _of_stage_one(histories)
            for record, value in history.curve(info.metric)
        )
        points = []
        best: float | None = None
        for step, (timestamp, _, value) in enumerate(reported, start=1):
            if best is None or info.is_better(value, best):
                best = value
                if timestamp > self._told_until:
                    points.append(Metric(progress_name(info), value, timestamp, step))
        return points


def progress_name(info: SearchInfo) -> str:
    """Return the name of the curve of `BestSoFar`."""
    return f"best_so_far/{info.metric}"


def winning_configuration(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first line of the table over seeds in a search's summary; empty without one."""
    found: Mapping[str, Any] = next(iter(summary.get("configurations") or ()), {})
    return found


def result_points(
    histories: Sequence[History], info: SearchInfo, summary: Mapping[str, Any]
) -> list[Metric]:
    """Return what a search came to: the winning configuration over its seeds, and its run.

    They are the mean, the spread (standard deviation) and the number of its runs, of stage two
    where there was one, and the value of the run that was registered. Each has a single point,
    after all epochs: so it counts whatever a version before this one has written there.
    """
    first = winning_configuration(summary)
    winner = [one.row.metric for one in histories if one.row.run == summary.get("winner")]
    name = f"best/{info.metric}"
    values = {
        name: first.get("mean"),
        f"{name}_spread": first.get("spread"),
        f"{name}_n": first.get("n"),
        f"{name}_registered": next(iter(winner), None),
    }
    records = [record for history in histories for record in history.records]
    when = max((record.timestamp_ms for record in records), default=0)
    known = values.items() if values[name] is not None else ()
    return [
        Metric(key, float(value), when, len(records)) for key, value in known if value is not None
    ]


def _of_stage_one(histories: Iterable[History]) -> list[History]:
    return [history for history in histories if history.row.stage == "search"]
