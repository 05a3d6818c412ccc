"""Runs made by hand, what MLflow has of runs and searches, and a server that is dead."""

import io
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.tracking._tracking_service import utils
from PIL import Image

from ssgan.data.labels import LabelBudget
from ssgan.export.card import read_card
from ssgan.export.card_text import README, to_markdown
from ssgan.export.strips import draw_strips
from ssgan.launch.outcome import write_export
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.architecture import build_networks
from ssgan.networks.dcgan import DcganConfig
from ssgan.records.data_info import DATA, DataInfo
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from tests.helpers import searchdirs
from tests.helpers.exports import save_untrained

DEAD = "http://127.0.0.1:9"  # the discard port: nothing listens
START = 1_700_000_000_000
SHAPE = Code(name="5 shapes", kind="categorical", classes=("circle", "a|b"))
ANGLE = Code(name="angle", kind="continuous", low=-45, high=45)


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 16), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def commit(run: RunDir, epoch: int, **metrics: float | None) -> None:
    record = Record(
        epoch=epoch,
        step=100 * epoch,
        images_seen=12_800 * epoch,
        timestamp_ms=START + 1000 * epoch,
        metrics={"zero_one_loss": 0.5 / epoch, "zero_one_loss_ema": 0.1, "mi/digit": 2.0} | metrics,
        alarms=("code style_1 is dead",) if epoch == 2 else (),
    )
    run.commit_record(record, {"samples_ema": picture(epoch), "traversals": picture(-epoch % 7)})


def make_run(folder: Path, experiment: str, epochs: int = 3) -> RunDir:
    tree = {
        "name": experiment,
        "objective": {"lambda1": 0.8, "lambda2": 2.0},
        "codes": {"supervised": ["digit"], "prior": "uniform"},
        "tracking": {"uri": None, "experiment": None},
        "seed": 0,
    }
    run = RunDir.create(folder / "a run", yaml.safe_dump(tree), "first")
    for epoch in range(1, epochs + 1):
        commit(run, epoch)
    return run


def finish_run(run: RunDir, loss: float = 0.0215, **provenance: Any) -> None:
    """Give a run what a card is made from; its export says more of where it is from."""
    last = run.records()[-1]
    metrics = {"zero_one_loss_ema": loss, "judge_error": 0.0125, "rmse/angle": 4.5, "loss/L_I": 1}
    classes = {"zero_one_loss_ema/5_shapes.a_b": 2 * loss, "zero_one_loss_ema/5_shapes.circle": 0.0}
    record = Record(
        epoch=last.epoch + 1,
        step=last.step + 100,
        images_seen=12_800,
        timestamp_ms=last.timestamp_ms + 1000,
        metrics=metrics | classes | {"diversity": None},
        alarms=("code 'style' is dead",),
    )
    run.commit_record(record)
    space = LatentSpace(
        supervised=(SHAPE, ANGLE), unsupervised=(Code(name="style", kind="continuous"),), noise=7
    )
    budget = LabelBudget(
        train=torch.arange(12),
        held_out=torch.arange(0),
        amount="10%",
        seed=0,
        balanced=True,
        counts={"5 shapes": {"circle": 9, "a|b": 3}},
        data_hash="d" * 64,
    )
    info = DataInfo(
        name="shapes",
        hash="d" * 64,
        shape=(1, 16, 16),
        columns=(SHAPE, ANGLE),
        counts={"train": 1200, "test": 400},
    )
    assert run.local_path is not None
    provenance = {"step": record.step, "run": run.info.name} | provenance
    save_untrained(
        run.local_path / "export",
        DcganConfig(width=4, hidden=16, q_hidden=8),
        space,
        (1, 16, 16),
        data="shapes",
        data_hash=info.hash,
        labels=12,
        labels_hash=budget.hash,
        **provenance,
    )
    run.write_bytes("labels.parquet", budget.to_parquet())
    run.write_json(DATA, info.model_dump(mode="json"))
    run.write_summary({"metrics": record.metrics, "images_seen": record.images_seen, "seed": 3})


def draw_card(run: RunDir) -> None:
    """Write the card of a run's export, with its pictures."""
    card = read_card(run)
    assert card is not None
    generator, _ = build_networks(card.manifest.networks, card.manifest.space, card.manifest.shape)
    strips = draw_strips(generator.eval(), card.manifest.space, labeled=True)
    write_export(run, {README: to_markdown(card, title=True).encode(), **strips})


def rows(uri: str, run_id: str, key: str = "zero_one_loss") -> list[tuple[int, int, float]]:
    """Read a metric past MLflow: (step, timestamp, value), doubles included."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        found = database.execute(
            "SELECT step, timestamp, value FROM metrics WHERE run_uuid = ? AND key = ?"
            " ORDER BY step",
            (run_id, key),
        )
        return found.fetchall()


def images(uri: str, run_id: str) -> Counter[tuple[str, str]]:
    """Count pictures by name and step."""
    files = MlflowClient(uri).list_artifacts(run_id, "images")
    names = [file.path.removeprefix("images/") for file in files if file.path.endswith(".png")]
    return Counter((name.split("+")[0], name.split("+")[2]) for name in names)


ALL_IMAGES = {(name, str(e)): 1 for name in ("samples_ema", "traversals") for e in (1, 2, 3)}
ALL_ROWS = [(e, START + 1000 * e, 0.5 / e) for e in (1, 2, 3)]


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note from now on the calls that recorders make to MLflow's client, by name."""
    called: list[str] = []
    public = (name for name in vars(MlflowClient) if not name.startswith("_"))
    for name in public:
        original = getattr(MlflowClient, name)
        if callable(original):
            monkeypatch.setattr(MlflowClient, name, _noting(called, name, original))
    return called


def _noting(called: list[str], name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **more: Any) -> Any:
        called.append(name)
        return original(*args, **more)

    return call


def forget_places() -> None:
    """Let MLflow look where the files of a run are, as a new process does."""
    utils._artifact_repos_cache.clear()


def runs_of(uri: str, search: SearchDir) -> tuple[Run, dict[str, Run]]:
    """Return the parent, and its children by the names of their trials."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(search.info.name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in found if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in found if run.data.tags.get("mlflow.parentRunId")]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parent.info.run_id}
    named = {run.data.tags["ssgan.trial"]: run for run in children}
    assert len(named) == len(children) == len(found) - 1
    return parent, named


def points(uri: str, run: Run, key: str = "zero_one_loss_ema") -> list[tuple[int, float]]:
    """Read a metric past MLflow: (step, value), doubles included."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        found = database.execute(
            "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY timestamp",
            (run.info.run_id, key),
        )
        return found.fetchall()


def begin(search: SearchDir, trial: int = 0, epochs: int = 0) -> TrialRow:
    """Start a trial."""
    values = searchdirs.make_values(trial)
    row = TrialRow(trial=f"{trial:05d}", stage="search", values=values, seed=0, status="RUNNING")
    run = searchdirs.make_run(search, row)
    for epoch in range(1, epochs + 1):
        searchdirs.commit(run, trial, epoch, 0.5 / epoch, searchdirs.tiny(trial, epoch, 0))
    return row.model_copy(update={"epoch": epochs, "metric": 0.5 / epochs if epochs else None})


def pictures_of(uri: str, search: SearchDir) -> dict[str, list[int]]:
    """Return the epochs of which trials have pictures in MLflow."""
    client = MlflowClient(uri)
    names = {
        trial: [file.path for file in client.list_artifacts(run.info.run_id, "images")]
        for trial, run in runs_of(uri, search)[1].items()
    }
    return {
        trial: sorted(int(name.split("+")[2]) for name in files if name.endswith(".png"))
        for trial, files in names.items()
    }


def limited(search: SearchDir, pictures: int) -> SearchDir:
    """Let so many trials have all their pictures in MLflow."""
    search.write_definition(f"{search.definition()}pictures: {pictures}\n")
    return search


def recorded(search: SearchDir, row: TrialRow) -> list[tuple[int, float]]:
    """Return what the epochs of a trial measured, by its run directory."""
    records = search.run(row).records()[: row.epoch]
    return [(record.epoch, record.metrics["zero_one_loss_ema"] or 0) for record in records]
