"""MLflow's ready views show what the catalog calls worth a chart, and stages of a search apart."""

import json
from collections import Counter
from typing import Any

from mlflow import MlflowClient

from ssgan.evaluation.catalog import METRICS
from ssgan.records.rundir import Record
from ssgan.records.searchdir import SearchDir
from ssgan.tracking.search import sync_search
from ssgan.tracking.view import CHAMPION, MARK, view_tags
from tests.helpers.searchdirs import fill_search
from tests.helpers.tracking import limited, pictures_of


def test_charts_are_of_the_metrics_that_the_catalog_charts() -> None:
    names = [name for m in METRICS.values() for name in ([m.name] if m.is_total else [])]
    names += ["zero_one_loss_ema/digit.7", "mi_real/digit", "mi/digit", "mi/style"]
    record = Record(
        epoch=1, step=4, images_seen=32, timestamp_ms=1, metrics=dict.fromkeys(names, 0.5)
    )
    (tag,) = view_tags([record]).values()
    charts = json.loads(json.loads(tag)["state"])["compareRunCharts"]
    shown = [chart["metricKey"] for chart in charts if chart["type"] == "LINE"]
    assert shown == ["zero_one_loss_ema", "q_ss_accuracy", "mi/digit"]


def view_of(uri: str, search: SearchDir, key: str = "ssgan") -> dict[str, Any]:
    experiment = MlflowClient(uri).get_experiment_by_name(search.info.name)
    tag = experiment.tags[f"mlflow.sharedViewState.{key}"]
    return dict(json.loads(json.loads(tag)["state"]))


def step_of(view: dict[str, Any]) -> int:
    (grid,) = (one for one in view["compareRunCharts"] if one["type"] == "IMAGE")
    return int(grid["step"])


def shown_by(uri: str, search: SearchDir, view: dict[str, Any]) -> list[str]:
    """Return the trials that the interface shows of a view: the first ten of its list."""
    assert view["runsHiddenMode"] == "FIRST_10_RUNS"
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(search.info.name)
    order = f"{view['orderByKey']} {'ASC' if view['orderByAsc'] else 'DESC'}"
    found = client.search_runs([experiment.experiment_id], view["searchFilter"], order_by=[order])
    return [run.data.tags["ssgan.trial"] for run in found][:10]


def test_the_experiment_has_a_view_of_settings_and_trials(uri: str, search: SearchDir) -> None:
    fill_search(search, trials=6, epochs=5)
    report = sync_search(uri, search)
    experiment = MlflowClient(uri).get_experiment_by_name(search.info.name)
    assert experiment.experiment_id in report.view
    assert "mlflow.sharedViewState.ssgan-stage-one" not in experiment.tags
    state = view_of(uri, search)
    parallel, line, *_, grid = state["compareRunCharts"]
    assert parallel["type"] == "PARALLEL"
    assert parallel["selectedParams"] == ["objective.lambda1", "objective.lambda2"]
    assert parallel["selectedMetrics"] == ["zero_one_loss_ema"]
    # Ordered by a metric, trials are not folded away under their search.
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`zero_one_loss_ema`", True)
    columns = {"params.`objective.lambda2`", f"tags.`{MARK}`", f"tags.`{CHAMPION}`"}
    assert columns <= set(state["selectedColumns"])
    assert line["metricKey"] == "zero_one_loss_ema"
    assert (grid["imageKeys"], grid["step"]) == (["samples_ema"], 2)  # which all trials reached
    assert state["searchFilter"] == "tags.`ssgan.stage` = 'search'"


def test_each_stage_has_a_view_at_a_step_that_all_its_shown_runs_have(
    uri: str, search: SearchDir
) -> None:
    rows = fill_search(search, trials=14, epochs=6, finals=2)
    search.write_summary({})
    sync_search(uri, search)
    finals, stage_one = view_of(uri, search), view_of(uri, search, "ssgan-stage-one")
    pictures = pictures_of(uri, search)
    assert set(shown_by(uri, search, finals)) == {row.trial for row in rows if row.stage == "final"}
    assert step_of(finals) == 6
    shown = shown_by(uri, search, stage_one)
    assert (len(shown), any("-s" in trial for trial in shown)) == (10, False)
    common = set.intersection(*(set(pictures[trial]) for trial in shown))
    assert step_of(stage_one) == max(common)


def test_where_trials_have_their_last_pictures_alone_the_view_shows_most_of_them(
    uri: str, search: SearchDir
) -> None:
    rows = fill_search(limited(search, 1), trials=6, epochs=5)
    sync_search(uri, search)
    pictures = pictures_of(uri, search)
    assert len(pictures) == len(rows)
    assert not set.intersection(*map(set, pictures.values()))
    counts = Counter(step for steps in pictures.values() for step in steps)
    assert counts[step_of(view_of(uri, search))] == max(counts.values()) < len(rows)
