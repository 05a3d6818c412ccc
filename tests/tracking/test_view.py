"""MLflow's ready view shows what the catalog calls worth a chart."""

import json

from ssgan.evaluation.catalog import METRICS
from ssgan.records.rundir import Record
from ssgan.tracking.view import view_tag


def test_charts_are_of_the_metrics_that_the_catalog_charts() -> None:
    names = [name for m in METRICS.values() for name in ([m.name] if m.is_total else [])]
    names += ["zero_one_loss_ema/digit.7", "mi_real/digit", "mi/digit", "mi/style"]
    record = Record(
        epoch=1, step=4, images_seen=32, timestamp_ms=1, metrics=dict.fromkeys(names, 0.5)
    )
    tag = view_tag([record])
    assert tag is not None
    charts = json.loads(json.loads(tag)["state"])["compareRunCharts"]
    shown = [chart["metricKey"] for chart in charts if chart["type"] == "LINE"]
    assert shown == ["zero_one_loss_ema", "q_ss_accuracy", "mi/digit"]
