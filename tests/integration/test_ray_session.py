"""Ray outlives a signal to the group of the driver that started it, and nothing outlives that."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

_DRIVER = """
import signal, sys, time
import ray
from ssgan.cluster.connection import connect

@ray.remote(num_cpus=0)
class Trial:
    def answer(self):
        return "alive"

with connect(sys.argv[1]) as cluster:
    told = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    trial = Trial.remote()
    print(ray.get(trial.answer.remote()), flush=True)
    while not told:  # pause() would wait for another signal, were this one here before it
        time.sleep(0.05)
    others = [ray.remote(num_cpus=0)(lambda: "starts").remote() for _ in range(2)]
    print(ray.get(trial.answer.remote()), *ray.get(others), flush=True)
    signal.pause()
"""


@pytest.fixture
def driver() -> Iterator["subprocess.Popen[str]"]:
    """A process that starts Ray, in a process group of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    # So long Ray's agents look for the head that is gone, to tell it that the raylet is gone.
    environment["RAY_gcs_rpc_server_reconnect_timeout_s"] = "2"
    with (
        tempfile.TemporaryDirectory(prefix="ray") as folder,
        subprocess.Popen(
            [sys.executable, "-c", _DRIVER, folder],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        yield process
        process.kill()


def test_a_signal_to_the_group_leaves_ray_and_a_killed_driver_leaves_nothing(
    driver: "subprocess.Popen[str]",
) -> None:
    assert driver.stdout is not None
    assert driver.stdout.readline() == "alive\n"
    started = psutil.Process(driver.pid).children(recursive=True)
    names = " ".join(" ".join(process.cmdline()) for process in started)
    assert "gcs_server" in names
    assert "raylet" in names
    assert "ray::Trial" in names
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.stdout.readline() == "alive starts starts\n"
    started = [*started, *psutil.Process(driver.pid).children(recursive=True)]
    driver.kill()
    _, left = psutil.wait_procs(started, timeout=90)
    assert [" ".join(process.cmdline()) for process in left] == []
