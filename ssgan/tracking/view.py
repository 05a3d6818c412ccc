"""A ready view for MLflow's interface: the metrics that matter, and the pictures, large.

Left alone, the interface draws a chart for every metric in alphabetical order, and above every
picture all parameters of its run. It keeps named views as tags of an experiment; ours, "ssgan",
stands in the menu "Views" of the runs' page. Should another MLflow not understand it, it says so
and shows its own.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssgan.base.formatting import fields_of, flat_values
from ssgan.evaluation.catalog import KNOWN
from ssgan.records.histories import History
from ssgan.records.rundir import Record
from ssgan.records.search_info import SearchInfo

VIEW_TAG = "mlflow.sharedViewState.ssgan"
_PICTURES = ("samples_ema", "traversal_", "confusion_")


def view_tag(records: Sequence[Record]) -> str | None:
    """Return the tag of an experiment whose runs have such records; None where there are none.

    The run's last pictures set the step that is shown first.
    """
    if not records:
        return None
    last = max(records, key=lambda record: (bool(record.images), record.epoch))
    return _tag(records[0].timestamp_ms, _charts(records, last.images, last.epoch))


def search_view_tag(histories: Sequence[History], info: SearchInfo) -> str | None:
    """Return the tag of a search's experiment: settings against the metric, then all runs.

    The runs are listed by the metric. In the order of time the interface would fold the trials
    away under their search, and draw no charts of them. None where no trial has a record.
    """
    trained = [history for history in histories if history.records]
    if not trained:
        return None
    records = [record for history in trained for record in history.records]
    ends = sorted(
        max((record.epoch for record in history.records if record.images), default=0)
        for history in trained
    )
    # Half of the trials have come as far; later steps leave the interface's grid almost empty.
    step = ends[(len(ends) - 1) // 2]
    images = dict.fromkeys(name for record in records for name in record.images)
    flats = [flat_values(history.row.values) for history in trained]
    varied = [
        name
        for name in fields_of(flats)
        if len({str(flat[name]) for flat in flats if name in flat}) > 1
    ]
    charts = _charts(records, images, step, (info.metric,))
    if varied:
        charts.insert(0, _parallel(varied, info.metric))
    when = min(record.timestamp_ms for record in records)
    metric = f"metrics.`{info.metric}`"
    shown = {
        "orderByKey": metric,
        "orderByAsc": info.mode == "min",
        "runsHiddenMode": "FIRST_20_RUNS",
        "selectedColumns": [
            metric,
            *(f"params.`{name}`" for name in varied),
            *(f"tags.`ssgan.{name}`" for name in ("status", "stage", "seed")),
        ],
    }
    return _tag(when, charts, shown)


def _charts(
    records: Iterable[Record], images: Iterable[str], step: int, first: Sequence[str] = ()
) -> list[dict[str, Any]]:
    charted = (m.name if m.is_total else f"{m.name}/" for m in KNOWN.values() if m.chart)
    names = _pick(charted, (name for record in records for name in record.metrics))
    metrics = dict.fromkeys([*first, *names])
    return [*map(_line, metrics), *(_grid(name, step) for name in _pick(_PICTURES, images))]


def _tag(when: int, charts: list[dict[str, Any]], more: Mapping[str, Any] | None = None) -> str:
    state = {
        **(more or {}),
        "compareRunCharts": charts,
        "compareRunSections": [
            {"uuid": "ssgan", "name": "ssgan", "display": True, "isReordered": False}
        ],
        "isAccordionReordered": True,  # or the section goes behind those that MLflow makes
    }
    view = {"name": "ssgan", "createdAt": when, "updatedAt": when, "state": json.dumps(state)}
    return json.dumps(view)


def view_path(experiment_id: str) -> str:
    """Return the path that opens the view, to be put behind the address of a server.

    Without its part on the workflow the interface opens on traces, of which there are none.
    """
    return (
        f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        "&viewStateShareKey=ssgan&compareRunsMode=CHART"
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
