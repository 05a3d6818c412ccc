"""The speed of an experiment's updates, measured on random images."""

import time
from collections.abc import Sequence

import torch

from ssgan.data.dataset import Dataset, build_space
from ssgan.data.labels import LabelBudget
from ssgan.data.memmap import Split
from ssgan.data.store import Manifest
from ssgan.experiment.tree import Experiment
from ssgan.method.codes import Code
from ssgan.training.distributed import Worker
from ssgan.training.state import Training


def measure_speed(
    experiment: Experiment,
    columns: Sequence[Code],
    shape: tuple[int, int, int],
    device: torch.device,
    seconds: float = 1.0,
) -> float:
    """Make updates for so many seconds, one at least, after one to warm up.

    Args:
        experiment: Its networks, codes, batches and objective.
        columns: The label columns that its codes are made of.
        shape: Channels, height and width of an image, whatever the experiment's data has.
        device: Where to compute.
        seconds: How long to measure.

    Returns:
        Real images a second, without evaluation and checkpoints.
    """
    count = experiment.training.batch_size
    manifest = Manifest(name="random images", shape=shape, columns=tuple(columns), splits={})
    space = build_space(experiment.codes, manifest)
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, *shape), generator=draws, dtype=torch.uint8)
    y = torch.zeros(count, len(space.supervised))
    rows = torch.arange(count if space.supervised else 0)
    budget = LabelBudget(
        train=rows,
        held_out=rows[:0],
        amount=len(rows),
        seed=0,
        balanced=False,
        counts={},
        data_hash=manifest.hash,
    )
    dataset = Dataset(manifest, Split(images, y), None, space, y, y, None, budget)
    training = Training(experiment, dataset, Worker(0, 1, device))
    training.update()
    training.find_not_finite()  # waits until the device is done
    started, first = time.perf_counter(), training.updates
    while (elapsed := time.perf_counter() - started) < seconds or training.updates == first:
        training.update()
        training.find_not_finite()
    return (training.updates - first) * count / elapsed
