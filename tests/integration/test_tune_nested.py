"""Searches whose trials have workers of their own: a TorchTrainer inside each trial of Tune."""

import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray.tune import Callback

from ssgan.cluster.connection import Cluster
from ssgan.records.rundir import RunDir
from ssgan.tuning import build_tuner
from tests.helpers.searches import (
    assert_exploited,
    becomes_free,
    epochs_of,
    fit,
    rows_of,
    small_search,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("digits_store"),
]


class FreeAfterStop(Callback):
    """Tells whether a trial's resources become free after it was stopped."""

    def __init__(self, cluster: Cluster, trial: str) -> None:
        self._cluster, self._trial = cluster, trial
        self._thread = threading.Thread(target=self._wait)
        self._is_free = False

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        if str(trial) == self._trial:
            self._thread.start()

    def result(self) -> bool:
        self._thread.join()
        return self._is_free

    def _wait(self) -> None:
        self._is_free = becomes_free(self._cluster)


def workers_alive() -> list[int]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any("RayTrainWorker" in part for part in process.cmdline()):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_two_workers_a_trial_and_an_early_stop_frees_them(
    ray_here: Cluster, tmp_path: Path
) -> None:
    search = small_search(
        {"optimizer.generator_lr": {"kind": "grid", "values": [1e-2, 1e-6]}},
        "scaling.workers=2",
        "training.epochs=12",
        "training.steps_per_epoch=16",
        scheduler={"kind": "asha", "grace": 2, "reduction": 2},
        concurrent=1,
    )
    location = tmp_path / "search"
    free = FreeAfterStop(ray_here, "00001")
    results = fit(build_tuner(search, location, cluster=ray_here), free)
    assert free.result()
    assert workers_alive() == []
    assert results.num_errors == 0
    first, second = rows_of(location).values()
    assert (first.status, first.epoch) == ("FINISHED", 12)
    assert epochs_of(location, first) == list(range(1, 13))
    run = RunDir.open(location / first.run)
    assert run.exists("export/model.safetensors")
    assert not run.exists("ray")
    assert second.status == "STOPPED"
    assert second.epoch < 12
    assert epochs_of(location, second)[: second.epoch] == list(range(1, second.epoch + 1))
    assert not RunDir.open(location / second.run).exists("export")


def test_a_nested_exploit_continues_from_the_very_state_of_its_source(
    ray_here: Cluster, tmp_path: Path
) -> None:
    search = small_search(
        {"objective.lambda1": {"kind": "loguniform", "low": 0.05, "high": 2}},
        # Of one worker under Ray Train the numbers are those of this process, bit for bit.
        "scaling.workers=[1,1]",
        "training.epochs=3",
        scheduler={"kind": "pbt", "interval": 2, "quantile": 0.5},
        trials=2,
    )
    location = tmp_path / "search"
    results = build_tuner(search, location, cluster=ray_here).fit()
    assert results.num_errors == 0
    copy = assert_exploited(location, rows_of(location))
    assert epochs_of(location, copy) == [1, 2, 3]
    assert becomes_free(ray_here)
