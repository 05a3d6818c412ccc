"""What a run ends with: the exported generator, the figures, summary.json."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ssgan.base.errors import BadInput
from ssgan.data.dataset import Dataset
from ssgan.data.labels import LabelBudget
from ssgan.drawing.charts import loss_curve
from ssgan.drawing.encoding import png
from ssgan.evaluation.catalog import HEADLINES
from ssgan.experiment.tree import Experiment
from ssgan.export.format import pack_export
from ssgan.launch.preparation import load_dataset
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import open_run
from ssgan.training.distributed import Worker
from ssgan.training.snapshot import Snapshot, take_snapshot
from ssgan.training.state import Training

_EXPORT, _FIGURES, _LABELS = "export", "figures", "labels.parquet"


@dataclass(frozen=True)
class Result:
    """What a run reached.

    Attributes:
        run_dir: The run directory.
        summary: Content of its summary.json.
    """

    run_dir: str
    summary: dict[str, Any]


@dataclass(frozen=True)
class Reached:
    """The networks of a checkpoint, ready to be evaluated or exported.

    Attributes:
        step: Updates made.
        training: The training as it was then.
        snapshot: Copies in eval mode, BatchNorm statistics estimated anew.
    """

    step: int
    training: Training
    snapshot: Snapshot


def save_budget(run: RunDir, budget: LabelBudget) -> None:
    """Write labels.parquet."""
    run.write_bytes(_LABELS, budget.to_parquet())


def read_budget(run: RunDir) -> LabelBudget | None:
    """Read labels.parquet; None where the run was stopped before there was one."""
    return LabelBudget.from_parquet(run.read_bytes(_LABELS)) if run.exists(_LABELS) else None


def load_run(location: str) -> tuple[RunDir, Experiment, Dataset]:
    """Open a run, or the winner of a search, with its experiment and data.

    Raises:
        BadInput: There is no run, or its data is not here.
    """
    run = open_run(location)
    experiment = Experiment.from_yaml(run.experiment_yaml())
    return run, experiment, load_dataset(experiment, read_budget(run))


def reach(
    run: RunDir,
    experiment: Experiment,
    dataset: Dataset,
    device: torch.device,
    name: str | None = None,
) -> Reached:
    """Load the networks of a checkpoint.

    Args:
        run: The run directory.
        experiment: The run's own.
        dataset: The run's own.
        device: Where the networks shall stand.
        name: Name of the checkpoint; None is the newest.

    Raises:
        BadInput: The run has no checkpoint, or none of that name.
        CorruptFile: It is not whole; of the newest, none before it either.
    """
    checkpoints = Checkpoints(run)
    found = checkpoints.latest() if name is None else checkpoints.load(name)
    if found is None:
        raise BadInput(f"{run.location} has no checkpoint yet; train it first, with --resume")
    step, state = found
    training = Training(experiment, dataset, Worker(0, 1, device))
    training.load(state)
    snapshot = take_snapshot(training, dataset)
    return Reached(step, training, snapshot)


def export(run: RunDir, experiment: Experiment, dataset: Dataset, reached: Reached) -> str:
    """Write the moving average of G, the trunk and the Q heads to the run's export folder.

    Returns:
        The folder's location.
    """
    files = pack_export(
        reached.snapshot.generators["ema"],
        reached.snapshot.discriminator,
        networks=experiment.networks,
        space=dataset.space,
        shape=dataset.manifest.shape,
        copy_of="ema",
        provenance={
            "run_id": run.run_id,
            "run": run.info.name,
            "experiment": experiment.name,
            "step": reached.step,
            "seed": experiment.seed,
            "data": dataset.manifest.name,
            "data_hash": dataset.manifest.hash,
            "labels": len(dataset.budget),
            "labels_hash": dataset.budget.hash,
        },
    )
    for name, content in files.items():
        run.write_bytes(f"{_EXPORT}/{name}", content)
    return run.locate(_EXPORT)


def draw_figures(run: RunDir) -> list[str]:
    """Write the last evaluation's pictures and the curve of the 0-1 loss into `figures`.

    Returns:
        The files' names, relative to the run directory.
    """
    evaluated = [record for record in run.records() if record.images]
    if not evaluated:
        return []
    pictures = {name: run.read_bytes(file) for name, file in evaluated[-1].images.items()}
    raw = [record.metrics.get("zero_one_loss") for record in evaluated]
    ema = [record.metrics.get("zero_one_loss_ema") for record in evaluated]
    if any(value is not None for value in raw + ema):
        error = evaluated[-1].metrics.get("judge_error")
        epochs = [record.epoch for record in evaluated]
        title = f"{run.info.name}: samples that C does not recognize as asked for"
        pictures["zero_one_loss"] = png(loss_curve(epochs, raw, ema, error, title))
    for name, content in pictures.items():
        run.write_bytes(f"{_FIGURES}/{name}.png", content)
    return [f"{_FIGURES}/{name}.png" for name in pictures]


def summarize(
    run: RunDir,
    experiment: Experiment,
    tracking_uri: str | None,
    environment: dict[str, Any],
    started: float,
    *,
    export_location: str | None = None,
    stop_reason: str | None = None,
) -> dict[str, Any]:
    """Write summary.json from the records.

    Args:
        run: The run directory.
        experiment: The run's own.
        tracking_uri: Where MLflow records it.
        environment: Versions, machine, workers and threads.
        started: When this start of the run began, by `time.monotonic`.
        export_location: The export folder.
        stop_reason: Why it ended before its last epoch.
    """
    records = run.records()
    last = next((r for r in reversed(records) if "q_ss_accuracy" in r.metrics), None)
    metrics = dict(last.metrics) if last is not None else {}
    summary: dict[str, Any] = {key: metrics.get(key) for key in HEADLINES}
    summary |= {
        "epochs": records[-1].epoch if records else 0,
        "images_seen": records[-1].images_seen if records else 0,
        "images_per_second": _speed(records),
        "run_id": run.run_id,
        "name": run.info.name,
        "experiment": experiment.name,
        "tracking_uri": tracking_uri,
        "run_dir": run.location,
        "export": export_location,
        "seed": experiment.seed,
        "stop_reason": stop_reason,
        "seconds": round(time.monotonic() - started, 1),
        "environment": environment,
        "metrics": metrics,
        "reasons": last.reasons if last is not None else {},
        "alarms": list(last.alarms) if last is not None else [],
    }
    run.write_summary(summary)
    return summary


def _speed(records: Sequence[Record]) -> float | None:
    """Mean training speed over the epochs, each of them as long as the others."""
    speeds = [record.metrics.get("images_per_second") for record in records]
    known = [speed for speed in speeds if speed]
    return len(known) / sum(1 / speed for speed in known) if known else None
