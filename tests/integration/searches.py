"""Small searches over the digits, and what is asked of those that ran."""

import time
from typing import Any

import ray
from ray.util.state import list_placement_groups

from runs import small
from ssgan.cluster import Cluster
from ssgan.rundir import RunDir
from ssgan.searchdir import SearchDir, TrialRow
from ssgan.tuning import Search, load_search

# Half a core each, so that two trials of two workers, or four of one, train at a time here.
_SMALL = ("training.steps_per_epoch=8", "training.keep_last=9", "evaluation.judge.epochs=1")


def small_search(space: dict[str, Any], *overrides: str, **fields: Any) -> Search:
    """Return a search of short trials; its metric is one that differs between untrained nets."""
    definition = {
        "base": small(*_SMALL, *(one for one in overrides if not one.startswith("scaling.retr"))),
        "overrides": {"scaling.cpus": 0.5, "scaling.retries": 1},
        "space": space,
        "metric": "diversity",
        "mode": "max",
        "finals": {"best": 0},
    }
    return load_search({**definition, **fields})


def rows_of(location: Any) -> dict[str, TrialRow]:
    """Return the table of a search by trial."""
    return {row.trial: row for row in SearchDir.open(location).rows()}


def epochs_of(location: Any, row: TrialRow) -> list[int]:
    """Return the epochs that a trial recorded."""
    run: RunDir = SearchDir.open(location).run(row)
    return [record.epoch for record in run.records()]


def seconds_until_free(cluster: Cluster, limit: float = 30) -> float:
    """Wait until all of Ray's resources are free and no placement group is left."""
    started = time.monotonic()
    while True:
        passed = time.monotonic() - started
        if is_free(cluster) or passed > limit:
            return passed
        time.sleep(0.1)


def is_free(cluster: Cluster) -> bool:
    """Whether every CPU is free and every placement group is removed."""
    cpus = sum(node.cpus for node in cluster.nodes)
    groups = list_placement_groups(address=cluster.address)
    return ray.available_resources().get("CPU") == cpus and all(
        group.state == "REMOVED" for group in groups
    )
