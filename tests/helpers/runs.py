"""A small experiment, a driver that is killed, and comparisons of what runs leave."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ssgan.base.storage import join
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.preparation import load_dataset, save_data
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.training.distributed import Worker
from ssgan.training.state import Training

SMALL = (
    "codes.noise=4",
    "networks.width=2",
    "networks.hidden=8",
    "networks.q_hidden=4",
    "label_sampling.batch_size=8",
    "training.batch_size=16",
    "training.epochs=3",
    "training.steps_per_epoch=40",
    "training.check_every=4",
    "evaluation.samples=20",
    "evaluation.real_images=60",
    "evaluation.held_out_images=40",
    "evaluation.judge.epochs=1",
    "evaluation.judge.least_updates=2",
    "scaling.threads=1",
)


def small(*overrides: str) -> Experiment:
    """Return the digits preset, cut down to three epochs of forty updates of sixteen images."""
    return load_experiment("digits", [*SMALL, *overrides])


_DRIVER = """
import sys
from ssgan import train
from ssgan.experiment.tree import Experiment
from ssgan.training.loop import Watch

experiment = Experiment.from_yaml(sys.stdin.read())
watch = Watch(lambda now: print(now.updates, flush=True))
train(experiment, *sys.argv[1:], watch=watch)
"""


def train_and_kill(
    experiment: Experiment, out: str, name: str, is_time: Callable[[int], bool]
) -> RunDir:
    """Train in a process of its own, and kill it when `is_time` says so of its updates."""
    command = [sys.executable, "-c", _DRIVER, out, name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(experiment.to_yaml())
        driver.stdin.close()
        for line in driver.stdout:
            if is_time(int(line)):
                break
        driver.kill()
    return RunDir.open(join(out, name))


def short_run(location: Path, experiment: Experiment, updates: int) -> RunDir:
    """Train for some updates, in this process, and leave a run directory with a checkpoint."""
    dataset = load_dataset(experiment)
    run = RunDir.create(location, experiment.to_yaml())
    save_data(run, dataset)
    training = Training(experiment, dataset, Worker(0, 1, torch.device("cpu")))
    for _ in range(updates):
        training.update()
    Checkpoints(run).save(updates, training.state())
    return run


def final_state(run_dir: str) -> dict[str, Any]:
    """Return the state that a run ended with."""
    found = Checkpoints(RunDir.open(run_dir)).latest()
    assert found is not None
    return found[1]


def assert_same_state(one: Any, other: Any) -> None:
    """Compare all tensors and numbers of two states, bit for bit."""
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def assert_same_bits(one: str, other: str) -> None:
    """Compare all that two runs ended with, but what depends on the clock."""
    assert_same_state(final_state(one), final_state(other))
    clocked = {"images_per_second"}
    for ours, theirs in zip(RunDir(one).records(), RunDir(other).records(), strict=True):
        assert ours.epoch == theirs.epoch
        assert {k: v for k, v in ours.metrics.items() if k not in clocked} == {
            k: v for k, v in theirs.metrics.items() if k not in clocked
        }
