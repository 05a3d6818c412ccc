"""A whole search by the program: both stages, the report, the registered winner, going on."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from ssgan.base.errors import BadInput
from ssgan.cluster.connection import Cluster
from ssgan.experiment.loading import load_experiment
from ssgan.export import NamedGenerator
from ssgan.records.searchdir import BEST, SearchDir, open_run
from ssgan.tuning.program import run_search
from tests.helpers.searches import becomes_free, small_search

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("digits_store"),
]


def test_a_search_ends_with_a_registered_winner(ray_here: Cluster, tmp_path: Path) -> None:
    search = small_search(
        {"objective.lambda1": {"kind": "grid", "values": [0.1, 1.0]}},
        "training.epochs=2",
        finals={"best": 1, "seeds": 3},
    )
    opened: list[SearchDir] = []
    result = run_search(search, str(tmp_path), "whole", opened=opened.append)
    directory, summary = result.directory, result.summary
    assert [one.location for one in opened] == [directory.location]
    rows = directory.rows()
    assert [row.stage for row in rows] == ["search", "search", "final", "final", "final"]
    assert {row.status for row in rows} == {"FINISHED"}
    assert (summary["trials"], summary["stopped_early"], summary["failed"]) == (5, 0, 0)
    assert summary == directory.summary()

    # The winner is the better of stage one, and of its runs the one in the middle is registered.
    chosen = max((row for row in rows if row.stage == "search"), key=lambda row: row.metric or 0)
    assert summary["best"] == chosen.values
    (line,) = summary["configurations"]
    finals = {row.seed: row.metric or 0.0 for row in rows if row.stage == "final"}
    assert (line["n"], line["seeds"]) == (3, [1, 2, 3])
    assert summary["metrics"]["diversity"] == sorted(finals.values())[1]
    assert summary["run_dir"] == f"{directory.location}/finals/{chosen.trial}-s{summary['seed']}"
    best = load_experiment(f"{directory.location}/{BEST}")
    assert best.objective.lambda1 == chosen.values["objective.lambda1"]
    assert best.evaluation.judge.rows == "whole"

    # The search stands for its winner: what takes a run takes it too.
    assert summary["run_dir"] == f"{directory.location}/{summary['winner']}"
    assert open_run(directory.location).location == summary["run_dir"]
    generator = NamedGenerator.load(directory.location)
    assert generator.manifest.provenance["run_id"] == summary["run_id"]

    assert {"report/contact-sheet.html", "report/samples_ema.png"} <= {*directory.list("report")}
    client = MlflowClient(summary["tracking_uri"])
    version = client.get_model_version_by_alias(summary["model"], "champion")
    assert (int(version.version), summary["champion"]) == (summary["model_version"], True)
    assert version.tags["ssgan.run_id"] == summary["run_id"]
    experiment = client.get_experiment_by_name("whole")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 6
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert becomes_free(ray_here)

    with pytest.raises(BadInput, match=r"a search is already at .* with --resume whole"):
        run_search(search, str(tmp_path), "whole")
    again = run_search(search, str(tmp_path), "whole", resume=True).summary
    same = ("trials", "best", "run_id", "model_version", "images_in_all")
    assert {key: again[key] for key in same} == {key: summary[key] for key in same}
    assert directory.rows() == rows


def test_a_tracking_server_that_is_down_is_told_before_anything_starts(tmp_path: Path) -> None:
    search = small_search(
        {"objective.lambda1": {"kind": "grid", "values": [0.1, 1.0]}},
        "tracking.uri=http://127.0.0.1:9",
    )
    with pytest.raises(BadInput, match="does not answer"):
        run_search(search, str(tmp_path), "unheard")
    assert not (tmp_path / "unheard").exists()
