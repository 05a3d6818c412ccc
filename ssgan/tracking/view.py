"""A ready view for MLflow's interface: the metrics that matter, and the pictures, large.

Left alone, the interface draws a chart for every metric in alphabetical order, and above every
picture all parameters of its run. It keeps named views as tags of an experiment; ours, "ssgan",
stands in the menu "Views" of the runs' page. A search with finals has a second one, of stage one.
Should another MLflow not understand it, it says so and shows its own.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssgan.base.formatting import fields_of, flat_values
from ssgan.evaluation.catalog import KNOWN
from ssgan.records.histories import History
from ssgan.records.rundir import Record
from ssgan.records.search_info import SearchInfo
from ssgan.tracking.description import pictured_trials, rank_trials

_VIEW, _STAGE_ONE = "ssgan", "ssgan-stage-one"  # keys in addresses
_TAG = "mlflow.sharedViewState."
_PICTURES = ("samples_ema", "traversal_", "confusion_")
_SHOWN = 10  # runs, the first of the list: the interface has grids of no more

MARK, WINNER = "ssgan.mark", "winner"
"""Tag of the run that won its search, and its value."""
CHAMPION = "ssgan.champion"
"""Tag of the run whose export is the champion of a registered model, named there."""


def view_tags(records: Sequence[Record]) -> dict[str, str]:
    """Return the tag of an experiment whose runs have such records; none where there are none.

    The run's last pictures set the step that is shown first.
    """
    if not records:
        return {}
    last = max(records, key=lambda record: (bool(record.images), record.epoch))
    charts = _charts(records, last.images, last.epoch)
    return {f"{_TAG}{_VIEW}": _tag("ssgan", records[0].timestamp_ms, charts)}


def search_view_tags(histories: Sequence[History], info: SearchInfo) -> dict[str, str]:
    """Return the tags of a search's experiment, one for each view.

    The first shows the stage that decides: the finals once there are any. Values of stage one, the
    best of many by another judge, do not stand beside them; they have a view of their own then.
    """
    trained = [history for history in histories if history.records]
    finals = [history for history in trained if history.row.stage == "final"]
    of_stage_one = [history for history in trained if history.row.stage == "search"]
    tags = {}
    if trained:
        tags[f"{_TAG}{_VIEW}"] = _stage_view("ssgan", finals or of_stage_one, info)
    if finals and of_stage_one:
        name = "ssgan: stage one of the search"
        tags[f"{_TAG}{_STAGE_ONE}"] = _stage_view(name, of_stage_one, info)
    return tags


def _stage_view(name: str, trained: Sequence[History], info: SearchInfo) -> str:
    """Return the view of a stage's trials: settings against the metric, then all runs.

    The runs are listed by the metric. In the order of time the interface would fold the trials
    away under their search, and draw no charts of them.
    """
    records = [record for history in trained for record in history.records]
    images = dict.fromkeys(name for record in records for name in record.images)
    flats = [flat_values(history.row.values) for history in trained]
    varied = [
        name
        for name in fields_of(flats)
        if len({str(flat[name]) for flat in flats if name in flat}) > 1
    ]
    charts = _charts(records, images, _common_step(trained, info), (info.metric,))
    if varied:
        charts.insert(0, _parallel(varied, info.metric))
    when = min(record.timestamp_ms for record in records)
    metric = f"metrics.`{info.metric}`"
    shown = {
        "searchFilter": f"tags.`ssgan.stage` = '{trained[0].row.stage}'",
        "orderByKey": metric,
        "orderByAsc": info.mode == "min",
        "runsHiddenMode": f"FIRST_{_SHOWN}_RUNS",
        "selectedColumns": [
            f"tags.`{MARK}`",
            f"tags.`{CHAMPION}`",
            metric,
            *(f"params.`{name}`" for name in varied),
            *(f"tags.`ssgan.{name}`" for name in ("status", "seed")),
        ],
    }
    return _tag(name, when, charts, shown)


def _common_step(trained: Sequence[History], info: SearchInfo) -> int:
    """Return the last epoch of which all trials that are shown have pictures, or else most."""
    pictured = pictured_trials((one.row for one in trained), info)
    by_run = {one.row.run: one for one in trained}
    shown = rank_trials((one.row for one in trained), info)[:_SHOWN]
    steps = Counter[int]()
    for history in (by_run[row.run] for row in shown):
        epochs = [record.epoch for record in history.records if record.images]
        # MLflow has pictures of the other trials' last epochs alone.
        steps.update(epochs if history.row.run in pictured else epochs[-1:])
    return max(steps, key=lambda epoch: (steps[epoch], epoch), default=0)


def _charts(
    records: Iterable[Record], images: Iterable[str], step: int, first: Sequence[str] = ()
) -> list[dict[str, Any]]:
    charted = (m.name if m.is_total else f"{m.name}/" for m in KNOWN.values() if m.chart)
    names = _pick(charted, (name for record in records for name in record.metrics))
    metrics = dict.fromkeys([*first, *names])
    return [*map(_line, metrics), *(_grid(name, step) for name in _pick(_PICTURES, images))]


def _tag(
    name: str, when: int, charts: list[dict[str, Any]], more: Mapping[str, Any] | None = None
) -> str:
    state = {
        **(more or {}),
        "compareRunCharts": charts,
        "compareRunSections": [
            {"uuid": "ssgan", "name": "ssgan", "display": True, "isReordered": False}
        ],
        "isAccordionReordered": True,  # or the section goes behind those that MLflow makes
    }
    view = {"name": name, "createdAt": when, "updatedAt": when, "state": json.dumps(state)}
    return json.dumps(view)


def view_path(experiment_id: str) -> str:
    """Return the path that opens the first view, to be put behind the address of a server.

    Without its part on the workflow the interface opens on traces, of which there are none.
    """
    return (
        f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        f"&viewStateShareKey={_VIEW}&compareRunsMode=CHART"
    )


def _pick(wanted: Iterable[str], names: Iterable[str]) -> list[str]:
    """Take for each of the wanted ones its name, or else the first that begins with it."""
    there = list(dict.fromkeys(names))
    found = (
        one if one in there else next((name for name in there if name.startswith(one)), None)
        for one in wanted
    )
    return [name for name in found if name is not None]


def _parallel(params: list[str], metric: str) -> dict[str, Any]:
    return _chart("parallel", "PARALLEL", 100) | {
        "selectedParams": params,
        "selectedMetrics": [metric],
        "showAllRuns": True,
    }


def _line(metric: str) -> dict[str, Any]:
    return _chart(metric, "LINE") | {
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _grid(picture: str, step: int) -> dict[str, Any]:
    return _chart(picture, "IMAGE") | {
        "imageKeys": [picture],
        "step": step,
        "showRunParams": False,
    }


def _chart(name: str, kind: str, runs: int = 10) -> dict[str, Any]:
    return {
        "metricSectionId": "ssgan",
        "deleted": False,
        "isGenerated": False,
        "uuid": f"ssgan-{name}",
        "type": kind,
        "runsCountToCompare": runs,
    }
