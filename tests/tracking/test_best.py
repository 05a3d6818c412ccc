"""What MLflow tells of the best of a search: how it improved, and what won over its seeds."""

import pytest
from mlflow import MlflowClient

from ssgan.records.searchdir import SearchDir
from ssgan.tracking.search import SearchRecorder, sync_search
from ssgan.tuning.summary import summarize
from tests.helpers.searchdirs import START, fill_search
from tests.helpers.tracking import points, recorded, runs_of

METRIC = "best/zero_one_loss_ema"


def test_the_best_so_far_only_improves(uri: str, search: SearchDir) -> None:
    rows = fill_search(search, trials=6, epochs=5, finals=2)
    sync_search(uri, search)
    parent, _ = runs_of(uri, search)
    told = points(uri, parent, "best_so_far/zero_one_loss_ema")
    assert not [name for name in parent.data.metrics if name.startswith("best/")]
    values = [value for _, value in told]
    assert values == sorted(values, reverse=True)
    every = [v for row in rows if row.stage == "search" for _, v in recorded(search, row)]
    assert values[-1] == min(every)
    assert [step for step, _ in told] == sorted({step for step, _ in told})
    assert told[-1][0] <= len(every)


def test_the_best_of_a_search_is_its_winner_over_seeds(uri: str, search: SearchDir) -> None:
    rows = fill_search(search, trials=6, epochs=5, finals=2)
    table = summarize(rows)
    first, best = table.configurations[0], table.best
    assert best is not None
    winner = next(row for row in rows if row.stage == "final" and row.trial in best.trials)
    epochs = sum(row.epoch for row in rows)
    MlflowClient(uri).log_metric(  # as a version before this one told it
        SearchRecorder(search, uri).sync().mlflow_run_id, METRIC, 0.0, START + 10**6, epochs - 1
    )
    configuration = {"mean": first.mean, "spread": first.spread, "n": first.n}
    search.write_summary({"configurations": [configuration], "winner": winner.run})
    for _ in range(2):
        sync_search(uri, search)
    parent, _ = runs_of(uri, search)
    found = {name: value for name, value in parent.data.metrics.items() if name.startswith("best/")}
    assert found == {
        METRIC: pytest.approx(first.mean),
        f"{METRIC}_spread": pytest.approx(first.spread),
        f"{METRIC}_n": 3,
        f"{METRIC}_registered": winner.metric,
    }
    assert len(points(uri, parent, f"{METRIC}_n")) == 1
    assert parent.data.tags["ssgan.winner"] == winner.trial
    note = parent.data.tags["mlflow.note.content"]
    assert f"Winner: {winner.trial} (lambda1 " in note
    assert f"{first.mean:.4f} ± {first.spread:.4f} (mean and standard deviation of 3 runs)" in note
