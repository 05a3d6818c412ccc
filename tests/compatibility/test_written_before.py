"""What 0589714 wrote is read, resumed, synced, sampled and evaluated (written-by-0589714).

Names in quotation marks are those of then: they are data, and stay as they are when a field, a
metric or a split gets another name in the code.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from ssgan.data.store import Store, prepare
from ssgan.evaluation.judge import Judge
from ssgan.experiment.fields import difference
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.export import NamedGenerator
from ssgan.launch.preparation import load_run_data
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.data_info import read_budget
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, open_run
from ssgan.report.pages import write_report
from ssgan.tuning import Search, load_search
from ssgan.tuning.search import difference as difference_of_searches

Ssgan = Callable[..., str]

TABLE = "6c187e37386ece36678c99c78762ddda143babe2265b909755d8bdc6e6bd8311"
"""Hash of the manifest of `table.yaml`'s store."""
GROUPS = "a69e8ec09f97b3ec9921057e5ce850ed57a6811e1c664acc645d5a02160d41b6"
"""Hash of the manifest of `groups.yaml`'s store."""
OF_RUN = [
    "data.source.size=8",
    "codes.unsupervised=[{name: style_1}]",
    "codes.noise=2",
    "networks.width=2",
    "networks.hidden=16",
    "networks.q_hidden=4",
    "networks.output_gain=20",
    "optimizer.discriminator_lr=0.003",
    "optimizer.generator_lr=0.01",
    "label_sampling.batch_size=16",
    "training.epochs=2",
    "training.steps_per_epoch=40",
    "training.batch_size=16",
    "training.check_every=4",
    "training.keep_last=1",
    "evaluation.every=2",
    "evaluation.samples=60",
    "evaluation.real_images=100",
    "evaluation.held_out_images=100",
    "evaluation.columns=1",
    "evaluation.judge.epochs=1",
    "evaluation.judge.least_updates=60",
    "scaling.threads=1",
]
"""What `run` changed of the preset `digits`."""
OF_SEARCH = [
    "codes.supervised=[hat]",
    "data.source.labels=[hat]",
    "networks.width=1",
    "networks.hidden=8",
    "networks.q_hidden=2",
    "training.epochs=2",
    "training.steps_per_epoch=20",
    "training.keep_best=0",
    "evaluation.samples=60",
    "evaluation.every=1",
    "evaluation.judge.classifier={architecture: cnn, width: 1, depth: 1}",
    "search.trials=3",
    "search.seed=3",
    "search.scheduler.grace=1",
    "search.scheduler.reduction=3",
    "search.finals.best=1",
    "search.finals.seeds=1",
]
"""What `search` changed of the search `quickstart` over `groups.yaml`."""
OF_TRAINING = {
    *(f"loss/{term}" for term in ("d_real", "d_fake", "L_I", "L1_IS", "g_adv", "L_I_g", "L2_IS")),
    *("label_probability", "labels_seen", "lambda1", "lambda2"),
    *("discriminator_lr", "generator_lr"),
}
"""What is recorded of every epoch, evaluated or not, beside the speed."""


def metrics_of(file: Path) -> dict[str, float | None]:
    """Read the metrics of a record, but the speed."""
    metrics: dict[str, float | None] = json.loads(file.read_text())["metrics"]
    return {name: value for name, value in metrics.items() if name != "images_per_second"}


def assert_alike(found: dict[str, float | None], expected: dict[str, float | None]) -> None:
    """Compare metrics, with room for another CPU's rounding.

    With vector units from SSE 4 to AVX-512, and one thread or two, G and Q differed by less than
    1e-6 and what the judge measures by at most 0.02, or 1 % of the Fréchet distance. Shares are
    counts of 40 to 100 images, of which one or two may cross a border.
    """
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=0.05, abs=0.05), name


def files_below(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_a_run_is_read(written: Path) -> None:
    run = RunDir.open("run")
    info = json.loads((written / "run/run.json").read_text())
    assert (run.run_id, run.info.name, run.info.created) == (
        info["run_id"],
        "run",
        info["created"],
    )
    records = run.records()
    assert [record.epoch for record in records] == [1, 2]
    assert [record.images_seen for record in records] == [640, 1280]
    for record in records:
        raw = json.loads((written / f"run/record/{record.epoch:04d}.json").read_text())
        assert record.metrics == raw["metrics"]
        assert (record.images, list(record.alarms)) == (raw["images"], raw["alarms"])
    summary = run.summary()
    assert summary is not None
    assert summary["zero_one_loss_ema"] == records[-1].metrics["zero_one_loss_ema"]


def test_its_experiment_is_still_what_the_same_command_makes(written: Path) -> None:
    experiment = Experiment.from_yaml(RunDir.open("run").definition())
    assert difference(experiment, load_experiment("digits", OF_RUN)) == {}
    for name in ("table", "groups"):
        experiment = Experiment.from_yaml(RunDir.open(name).definition())
        assert difference(experiment, load_experiment(f"{name}.yaml")) == {}


def test_its_checkpoint_and_its_labels_are_read(written: Path) -> None:
    run = RunDir.open("run")
    found = Checkpoints(run).latest()
    assert found is not None
    step, state = found
    assert (step, state["step"]) == (80, 80)
    assert {"generator", "discriminator", "average", "g_optimizer", "d_optimizer"} <= state.keys()
    budget = read_budget(run)
    assert budget is not None
    assert (len(budget), budget.amount, budget.seed, budget.balanced) == (130, "10%", 0, True)
    assert int(state["labels_seen"].sum()) == len(budget)


@pytest.mark.parametrize("name", ["run", "table"])
def test_a_run_is_evaluated_as_it_was(name: str, written: Path, ssgan: Ssgan) -> None:
    found = json.loads(ssgan("evaluate", name, "--json"))
    recorded = metrics_of(max((written / name / "record").glob("*.json")))
    assert_alike(found["metrics"], {k: v for k, v in recorded.items() if k not in OF_TRAINING})


def test_a_run_reads_the_images_that_it_was_trained_on(written: Path, ssgan: Ssgan) -> None:
    found = json.loads(ssgan("read", "run", "--json"))
    assert (found["images"], found["step"], found["codes"][0]["fitted"]) == (1297, 80, 250)
    assert len((written / "read.csv").read_text().splitlines()) == 1298


def test_a_run_is_resumed_for_longer(written: Path, ssgan: Ssgan, uri: str) -> None:
    before = files_below(written / "run/record")
    kept = {name: (written / "run" / name).read_bytes() for name in ("run.json", "labels.parquet")}
    out = ssgan("train", "--resume", "run", "training.epochs=3", f"tracking.uri={uri}", "--json")
    assert json.loads(out)["epochs"] == 3
    run = RunDir.open("run")
    assert [(record.epoch, record.step) for record in run.records()] == [(1, 40), (2, 80), (3, 120)]
    after = files_below(written / "run/record")
    assert before.items() <= after.items()
    assert len(after) > len(before)
    assert {name: (written / "run" / name).read_bytes() for name in kept} == kept
    exported = NamedGenerator.load("run").manifest.provenance
    assert (exported["step"], exported["run_id"]) == (120, run.run_id)


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    written: Path, ssgan: Ssgan, uri: str
) -> None:
    assert RunDir.open("groups").records() == []
    ssgan("train", "--resume", "groups", f"tracking.uri={uri}", "--json")
    recorded = written / "groups/record/0001.json"
    undisturbed = written / "groups.undisturbed.json"
    assert_alike(metrics_of(recorded), metrics_of(undisturbed))
    ours, theirs = (json.loads(file.read_text()) for file in (recorded, undisturbed))
    assert ours["images"] == theirs["images"]


def test_runs_and_searches_are_synced_to_a_fresh_store(
    written: Path, ssgan: Ssgan, uri: str
) -> None:
    before = files_below(written)
    command = ("track", "sync", "run", "table", "groups", "search", "--uri", uri, "--json")
    found = json.loads(ssgan(*command, "--experiment", "written before"))
    runs, (search,) = found["runs"], found["searches"]
    assert [(one["epochs"], one["sent"], one["images"]) for one in runs] == [
        (2, 2, 4),
        (1, 1, 5),
        (0, 0, 0),
    ]
    assert (search["trials"], search["synced"], search["status"]) == (4, 4, "FINISHED")
    client = MlflowClient(uri)
    history = client.get_metric_history(runs[0]["mlflow_run_id"], "zero_one_loss_ema")
    recorded = metrics_of(written / "run/record/0002.json")
    assert [(point.step, point.value) for point in history] == [(2, recorded["zero_one_loss_ema"])]
    parent = client.get_run(search["mlflow_run_id"])
    assert parent.info.run_name == "search"
    again = json.loads(ssgan(*command, "--experiment", "written before"))
    assert [one["sent"] for one in again["runs"]] == [0, 0, 0]
    assert (again["searches"][0]["epochs"], again["searches"][0]["images"]) == (0, 0)
    assert files_below(written) == before


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("run", ["digit=all", "-n", "2"]),
        ("table", ["hat=no,yes", "angle=0..28.5"]),
        ("search", ["hat=no,yes", "-n", "4"]),
    ],
)
def test_exports_are_sampled(name: str, codes: list[str], written: Path, ssgan: Ssgan) -> None:
    ssgan("sample", name, *codes, "--seed", "3", "--out", "again.npy")
    found, expected = np.load("again.npy").astype(int), np.load(f"{name}.npy").astype(int)
    assert expected.std() > 10  # there is something to see
    # Another CPU's rounding may move a pixel by one.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1)


def test_exports_read_their_own_images(written: Path) -> None:
    read = NamedGenerator.load("run").read(np.load("run.npy"))
    assert "".join(read["digit"].values) == "00112233445566772299"  # its eights look like twos
    sure = read["digit"].confidence[[0, 8, 17]]
    np.testing.assert_allclose(sure, [0.60364, 0.40989, 0.19149], atol=1e-3)
    np.testing.assert_allclose(read["style_1"].values[:3], [-0.11935, -0.48392, -0.0244], atol=1e-3)


def test_a_store_is_opened(written: Path, tmp_path: Path) -> None:
    store = Store.open("store")
    assert store.manifest.hash == TABLE
    again = prepare(load_experiment("table.yaml").data.source, tmp_path / "cache")
    assert again.manifest.hash == TABLE
    assert sorted(split.count for split in store.manifest.splits.values()) == [36, 60]
    for name in store.manifest.splits:
        ours, theirs = (one.split(name, tmp_path / "other") for one in (store, again))
        assert torch.equal(ours.images, theirs.images)
        torch.testing.assert_close(ours.labels, theirs.labels, rtol=0, atol=0, equal_nan=True)


def test_files_with_the_field_names_of_then_are_read(
    written: Path, ssgan: Ssgan, tmp_path: Path
) -> None:
    found = json.loads(ssgan("data", "show", "groups.yaml", "--json"))
    assert (found["hash"], counts(found)) == (GROUPS, [20, 40])
    found = json.loads(
        ssgan("data", "show", "table.yaml", "data.source.judge_rows=[0, 7]", "--json")
    )
    assert counts(found) == [7, 60]
    found = json.loads(
        ssgan("data", "show", "groups.yaml", "data.source.judge_share=0.5", "--json")
    )
    assert counts(found) == [16, 44]


def counts(shown: dict[str, Any]) -> list[int]:
    """Return the sizes of the splits that `ssgan data show` tells of, the smaller one first."""
    return sorted(split["count"] for split in shown["splits"].values())


def test_a_search_is_read(written: Path) -> None:
    search = SearchDir.open("search")
    rows = search.rows()
    assert [(row.trial, row.stage, row.status, row.epoch) for row in rows] == [
        ("00000", "search", "STOPPED", 1),
        ("00001", "search", "FINISHED", 2),
        ("00002", "search", "STOPPED", 1),
        ("00001-s1", "final", "FINISHED", 2),
    ]
    for row in rows:
        records = search.run(row).records()
        assert [record.epoch for record in records] == list(range(1, row.epoch + 1))
        assert records[-1].metrics["zero_one_loss_ema"] == row.metric
    winner = search.winner()
    assert winner.run_id == open_run("search").run_id == search.run(rows[-1]).run_id
    definition = Search.from_yaml(search.definition())
    assert (definition.total, definition.metric, definition.finals.best) == (
        3,
        "zero_one_loss_ema",
        1,
    )
    best = load_experiment("search/best.yaml")
    assert best.objective.lambda1 == rows[1].values["objective.lambda1"]
    assert best.data == definition.base.data


def test_its_definition_is_still_what_the_same_command_makes(written: Path) -> None:
    started = Search.from_yaml(SearchDir.open("search").definition())
    again = load_search("quickstart", "groups.yaml", OF_SEARCH)
    assert difference_of_searches(started, again) == {}


def test_the_pages_of_a_search_are_drawn(written: Path, ssgan: Ssgan) -> None:
    drawn = write_report(SearchDir.open("search"))
    assert {"report/contact-sheet.html", "report/curves.png"} <= set(drawn)
    shown = ssgan("figures", "search").split()
    assert {Path(line).name for line in shown} >= {"samples_ema.png", "samples_raw.png"}


def test_the_judges_of_a_search_are_read(written: Path) -> None:
    _, _, dataset = load_run_data("search")
    for stage in ("search", "final"):
        judge = Judge.load(written / "search/judges" / stage)
        card = json.loads((written / "search/judges" / stage / "judge.json").read_text())
        assert judge.hash == card["hash"]
        seen = judge.predict(dataset.train.images).c
        share = (seen == dataset.y_known).float().mean().item()
        assert share == pytest.approx(card["accuracy"]["hat"], abs=0.03)


def test_a_trial_that_was_stopped_is_a_run_like_others(written: Path) -> None:
    shutil.rmtree(written / "search/finals")
    run, experiment, dataset = load_run_data("search/trials/00000")
    assert (experiment.training.epochs, len(run.records())) == (2, 1)
    assert dataset.budget.hash == read_budget(RunDir.open("search/trials/00001")).hash
