"""A trial whose machine drains, and one that gets SIGTERM: it resumes from that very update."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from ray.cluster_utils import Cluster

from ssgan.experiment.loading import as_file
from ssgan.experiment.tree import Experiment
from ssgan.launch.preparation import load_dataset
from ssgan.records.checkpoint_address import step_of
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.training import loop
from ssgan.training.session import InProcess
from tests.helpers.runs import final_state
from tests.helpers.searches import rows_of, small_definition

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("digits_store"),
]

EPOCHS, STEPS = 3, 800


@pytest.fixture
def machines() -> Iterator[Cluster]:
    """A Ray of three nodes on this machine: a head that trains nothing, and two with a core."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        head = {
            "num_cpus": 0,
            "temp_dir": folder,
            "include_dashboard": False,
            "dashboard_port": None,
        }
        cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield cluster
        cluster.shutdown()


@pytest.fixture
def search(machines: Cluster, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A search of one trial, which may not fail once, on that Ray."""
    definition = small_definition(
        {"objective.lambda1": {"kind": "grid", "values": [0.5]}},
        f"training.epochs={EPOCHS}",
        f"training.steps_per_epoch={STEPS}",
        trials=1,
    )
    base = tmp_path / "small.yaml"
    base.write_text(as_file(definition["base"]))
    overrides = {**definition["overrides"], "scaling.retries": 0}
    file = tmp_path / "search.yaml"
    file.write_text(yaml.safe_dump({**definition, "base": str(base), "overrides": overrides}))
    command = [sys.executable, "-m", "ssgan", "search", "--search", str(file)]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path), "--name", "hunt"],
        env={**os.environ, "RAY_ADDRESS": machines.address, "OMP_NUM_THREADS": "1"},
    ) as process:
        yield process
        process.kill()


def test_a_trial_resumes_elsewhere_from_the_update_at_which_it_was_told(
    machines: Cluster, search: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    run = RunDir(tmp_path / "hunt/trials/00000")

    def wait(is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 240
        while not is_true():
            assert search.poll() is None, "the search ended too soon"
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stops() -> list[int]:
        """Return the updates at which the trial was interrupted, as its checkpoints say."""
        steps = [step_of(name) for name in Checkpoints(run).manifests()]
        return [step for step in steps if step % STEPS]

    wait(lambda: run.record(1) is not None)
    trial, node = trial_of(machines)
    drain(machines, node)
    wait(lambda: len(stops()) == 1)
    wait(lambda: trial_of(machines)[0] not in (0, trial) and newest(run) > stops()[0])
    again, other = trial_of(machines)
    assert other is not node
    os.kill(again, signal.SIGTERM)
    assert search.wait(240) == 0

    # The second time it may have been told between two epochs; with no retries, it has heeded.
    assert all(STEPS < at < EPOCHS * STEPS for at in stops())
    (row,) = rows_of(tmp_path / "hunt").values()
    assert (row.status, row.epoch) == ("FINISHED", EPOCHS)
    # The same training, undisturbed, here.
    experiment = Experiment.from_yaml(run.definition())
    whole = RunDir.create(tmp_path / "whole", experiment.to_yaml())
    dataset = load_dataset(experiment, run)
    loop.run(experiment, dataset, None, whole, InProcess(), torch.device("cpu"))
    torch.testing.assert_close(
        final_state(whole.location), final_state(run.location), rtol=0, atol=0
    )


def newest(run: RunDir) -> int:
    name = Checkpoints(run).newest()
    return 0 if name is None else step_of(name)


def trial_of(machines: Cluster) -> tuple[int, Any]:
    """Return the process of the trial that trains, and its node; 0 and None without one."""
    for node in machines.worker_nodes:
        for raylet in node.all_processes["raylet"]:
            with contextlib.suppress(psutil.Error):  # a node that has drained ends
                for process in psutil.Process(raylet.process.pid).children(recursive=True):
                    if "HeedingTrial" in " ".join(process.cmdline()):
                        return process.pid, node
    return 0, None


def drain(machines: Cluster, node: Any) -> None:
    """Drain a node as `ssgan.cluster.spot` does, which drains the one that it stands on."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node"]
    command += ["--address", machines.address, "--node-id", node.node_id]
    command += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
    subprocess.run(command, check=True)
