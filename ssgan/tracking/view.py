"""A ready view for MLflow's interface: the metrics that matter, and the pictures, large.

Left alone, the interface draws a chart for every metric in alphabetical order, and above every
picture all parameters of its run. It keeps named views as tags of an experiment; ours, "ssgan",
stands in the menu "Views" of the runs' page. Should another MLflow not understand it, it says so
and shows its own.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ssgan.rundir import Record

VIEW_TAG = "mlflow.sharedViewState.ssgan"
_METRICS = ("zero_one_loss_ema", "q_ss_accuracy", "mi/")
_PICTURES = ("samples_ema", "traversal_", "confusion_")
_CHART = {"metricSectionId": "ssgan", "deleted": False, "isGenerated": False}


def view_tag(records: Sequence[Record]) -> str | None:
    """Describe the view of an experiment whose runs have such records.

    Args:
        records: Those of one run; its last pictures set the step that is shown first.

    Returns:
        The tag's value, or None where there is nothing to show.
    """
    if not records:
        return None
    metrics = _pick(_METRICS, (name for record in records for name in record.metrics))
    last = max(records, key=lambda record: (bool(record.images), record.epoch))
    charts = [_line(name) for name in metrics]
    charts += [_grid(name, last.epoch) for name in _pick(_PICTURES, last.images)]
    state = {
        "compareRunCharts": charts,
        "compareRunSections": [
            {"uuid": "ssgan", "name": "ssgan", "display": True, "isReordered": False}
        ],
        "isAccordionReordered": True,  # or the section goes behind those that MLflow makes
    }
    when = records[0].timestamp_ms
    view = {"name": "ssgan", "createdAt": when, "updatedAt": when, "state": json.dumps(state)}
    return json.dumps(view)


def view_path(experiment_id: str) -> str:
    """Return the path that opens the view, to be put behind the address of a server."""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey=ssgan&compareRunsMode=CHART"


def _pick(wanted: Iterable[str], names: Iterable[str]) -> list[str]:
    """Take for each of the wanted ones its name, or else the first that begins with it."""
    there = list(dict.fromkeys(names))
    found = (
        one if one in there else next((name for name in there if name.startswith(one)), None)
        for one in wanted
    )
    return [name for name in found if name is not None]


def _line(metric: str) -> dict[str, Any]:
    return {
        **_CHART,
        "uuid": f"ssgan-{metric}",
        "type": "LINE",
        "runsCountToCompare": 10,
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
    return {
        **_CHART,
        "uuid": f"ssgan-{picture}",
        "type": "IMAGE",
        "runsCountToCompare": 10,
        "imageKeys": [picture],
        "step": step,
        "showRunParams": False,
    }
