"""Labels spread again: over a graph of the features that D, Q_ss and Q_us share by then.

Pixels say little of what a photograph shows, and the trunk learns to tell more (Iscen et al., 2019,
*Label Propagation for Deep Semi-supervised Learning*). Its features count by their direction alone,
so that two images are as far apart as the angle between what the trunk makes of them.

All workers find the same labels. Each runs the trunk over batches of its own, and every worker has
the features of all; the main one spreads the labels and hands them out.
"""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from ssgan.base.errors import BadInput
from ssgan.data.dataset import Dataset
from ssgan.data.features import principal_components
from ssgan.data.memmap import Take
from ssgan.data.neighbors import build_graph, check_count
from ssgan.data.spread_labels import spread_labels
from ssgan.evaluation.reading import Q_BATCH
from ssgan.experiment.tree import Experiment
from ssgan.networks.discriminator import Discriminator
from ssgan.training.distributed import Worker
from ssgan.training.snapshot import take_snapshot
from ssgan.training.state import Training

_COMPONENTS = 50
_GRAINS = 2.0**14  # to the length of a feature vector, whose parts become integers by it

_log = logging.getLogger(__name__)


def rebuild_labels(
    experiment: Experiment, dataset: Dataset, training: Training, worker: Worker
) -> None:
    """Spread labels again if an epoch begins before which that is due; all workers call this.

    It follows from the state that the epoch before has ended with, so a run that resumes from there
    finds the same labels. They stay as they are, with a warning, where the trunk makes the same of
    nearly all images. Which images D gets stays as it is too (`Dataset.foreign`).

    Raises:
        BadInput: What finds the neighbors of so many images is not installed (`check_count`).
    """
    config = experiment.data.spread
    epochs, updates = divmod(training.updates, experiment.training.steps_per_epoch)
    if config is None or config.rebuild is None or updates or not epochs or epochs % config.rebuild:
        return
    check_count(len(dataset.train))  # which no later epoch mends, unlike what the trunk makes
    discriminator = take_snapshot(
        experiment, dataset, training.state(), worker.device
    ).discriminator
    features = trunk_features(discriminator, dataset.train.take, len(dataset.train), worker)

    def find() -> Tensor | None:
        try:
            graph = build_graph(features.to(worker.device), config.neighbors)
        except BadInput as error:
            _log.warning("labels are not spread again after epoch %d: %s", epochs, error)
            return None
        codes, apart = dataset.space.supervised, dataset.budget.held_out
        return spread_labels(config, codes, dataset.given, apart, graph).y

    gained = worker.share(find)
    if gained is not None:
        training.replace_gained(gained)


def trunk_features(discriminator: Discriminator, take: Take, count: int, worker: Worker) -> Tensor:
    """Return principal components of the directions of the trunk's features, float32 (N, F).

    Args:
        discriminator: In eval mode, on the worker's device.
        take: Reads images by their rows, from 0 to N - 1.
        count: Number of images N.
        worker: One of those that call this together, and get the same.
    """

    @torch.no_grad()
    def direction(rows: Tensor) -> Tensor:
        """Compute the features of a batch as integers on the device, padded to a whole one."""
        h = discriminator.trunk(take(rows).to(worker.device).float() / 255)
        found = (normalize(h.double(), dim=1) * _GRAINS).round().float()
        return pad(found, (0, 0, 0, Q_BATCH - len(rows)))

    def directions(rows: Tensor) -> Iterator[Tensor]:
        batches = rows.split(Q_BATCH)
        for first in range(0, len(batches), worker.world_size):
            # With fewer batches than workers the last one is computed more than once.
            own = batches[min(first + worker.rank, len(batches) - 1)]
            everyones = worker.gather(direction(own))
            for batch, found in zip(batches[first:], everyones, strict=False):
                yield found[: len(batch)].cpu().double()

    return principal_components(directions, count, _COMPONENTS)
