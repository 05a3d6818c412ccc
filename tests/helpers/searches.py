"""Small searches over the digits, and what is asked of those that ran."""

import time
from pathlib import Path
from typing import Any

import ray
import torch
from ray.tune import Callback
from ray.util.state import list_placement_groups

from ssgan.cluster.connection import Cluster
from ssgan.experiment.tree import Experiment
from ssgan.launch.preparation import load_dataset
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.training import loop
from ssgan.training.session import InProcess
from ssgan.tuning import Search, load_search
from tests.helpers.runs import final_state, small

# Half a core each, so that two trials of two workers, or four of one, train at a time here.
_SMALL = ("training.steps_per_epoch=8", "training.keep_last=9", "evaluation.judge.epochs=1")


def assert_exploited(location: Path, rows: dict[str, TrialRow]) -> TrialRow:
    """Check an exploit after epoch 2 of 3, by weights; return the copy's row."""
    (copy,) = [row for row in rows.values() if row.lineage]
    (exploit,) = copy.lineage
    assert (exploit.epoch, copy.epoch, copy.status) == (2, 3, "FINISHED")
    assert_continues(location, copy.run, f"trials/{exploit.source_trial}", epoch=2)
    # Nothing is kept longer than needed.
    assert not [name for name in RunDir(location).list("trials") if "held-by" in name]
    return copy


def small_search(space: dict[str, Any], *overrides: str, **fields: Any) -> Search:
    """Return a search of short trials; its metric is one that differs between untrained nets."""
    return load_search(small_definition(space, *overrides, **fields))


def small_definition(space: dict[str, Any], *overrides: str, **fields: Any) -> dict[str, Any]:
    """Return the same as `load_search` takes it."""
    definition = {
        "base": small(*_SMALL, *(one for one in overrides if not one.startswith("scaling.retr"))),
        "overrides": {"scaling.cpus": 0.5, "scaling.retries": 1},
        "space": space,
        "metric": "diversity",
        "mode": "max",
        "finals": {"best": 0},
        "keep": "all",
    }
    return {**definition, **fields}


def rows_of(location: Any) -> dict[str, TrialRow]:
    """Return the table of a search by trial."""
    return {row.trial: row for row in SearchDir.open(location).rows()}


def epochs_of(location: Any, row: TrialRow) -> list[int]:
    """Return the epochs that a trial recorded."""
    run: RunDir = SearchDir.open(location).run(row)
    return [record.epoch for record in run.records()]


def becomes_free(cluster: Cluster, limit: float = 30) -> bool:
    """Whether all of Ray's resources are free and no placement group is left, soon."""
    started = time.monotonic()
    while not is_free(cluster):
        if time.monotonic() - started > limit:
            return False
        time.sleep(0.1)
    return True


def is_free(cluster: Cluster) -> bool:
    """Whether every CPU is free and every placement group is removed."""
    cpus = sum(node.cpus for node in cluster.nodes)
    groups = list_placement_groups(address=cluster.address)
    return ray.available_resources().get("CPU") == cpus and all(
        group.state == "REMOVED" for group in groups
    )


def fit(tuner: Any, *callbacks: Callback) -> Any:
    """Run a `Tuner` with more callbacks."""
    tuner._local_tuner._run_config.callbacks.extend(callbacks)
    return tuner.fit()


def assert_continues(location: Path, copy: str, source: str, epoch: int) -> None:
    """Train the epoch after an exploit again, from the source trial's state; it ends the same."""
    run = RunDir.open(location / copy)
    experiment = Experiment.from_yaml(run.definition())
    step = epoch * experiment.training.steps_per_epoch
    address = Checkpoints(RunDir(location / source)).location(f"{step:08d}")
    again = RunDir.create(location.parent / "again", experiment.to_yaml())
    dataset = load_dataset(experiment, run)
    loop.run(experiment, dataset, None, again, InProcess(address), torch.device("cpu"))
    torch.testing.assert_close(
        final_state(again.location), final_state(run.location), rtol=0, atol=0
    )
