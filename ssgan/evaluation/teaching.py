"""Does it teach? A classifier taught by synthetic images alone is read on real ones.

Its accuracy is the classification accuracy score, CAS (Ravuri and Vinyals, 2019, arXiv:1905.10887).
It says something beside that of three other teachers, which had the same labels:

- ``samples``: images of G, with the codes that they were asked for as their labels;
- ``labels``: the real images of the label budget alone;
- ``augmented labels``: the same ones, each time another way (`FitConfig.augment`);
- ``readings``: all training images, each with what Q_ss reads in it.

The classifiers are C's kind, with the same first weights, and learn by C's recipe in as many
updates of as many images: each teacher has as many images as there are to train on, and one that
has fewer repeats them. Only the augmented labels are augmented.

They are read on the test split, the only real images that no teacher has seen: G, D and Q learned
from the train split, the budget is of the train split, and so is what Q_ss reads. C has seen it,
but teaches nobody. It may have chosen: a checkpoint that is ``best``, or the winner of a search, is
best on the test split by what C learned there; the last checkpoint of a run is not chosen at all.
"""

from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from ssgan.base.errors import BadInput
from ssgan.base.progress import Advance
from ssgan.base.rng import Streams
from ssgan.data.dataset import Dataset
from ssgan.data.memmap import Take
from ssgan.data.orders import draw_order
from ssgan.evaluation.fit import count_updates, fit
from ssgan.evaluation.judge import JudgeConfig, predict
from ssgan.evaluation.metrics import accuracy, agreements
from ssgan.evaluation.reading import Q_BATCH, run_q
from ssgan.evaluation.samples import balanced_latents, generate
from ssgan.method.augment import AugmentConfig
from ssgan.method.codes import LatentSpace
from ssgan.method.objective import read_codes
from ssgan.networks.discriminator import Discriminator

Teacher = Literal["samples", "labels", "augmented labels", "readings"]
UPDATES = 2_000
"""Updates that a classifier learns for, at least: whole walks through the images."""


class Lesson(NamedTuple):
    """What a teacher taught, by reading the test split."""

    images: int
    """Different images that taught."""
    updates: int
    """Updates of the classifier."""
    accuracy: dict[str, float]
    """Share of real images that are read right, by categorical code."""
    rmse: dict[str, float]
    """Root mean squared error in the user's units, by continuous code."""
    right: dict[str, float]
    """Share of the teacher's own labels that are right, by categorical code; of readings alone."""


class _Heap(NamedTuple):
    """N images that teach, with their labels."""

    take: Take
    labels: Tensor
    """Code table, float32 (N, K_ss); NaN unknown."""
    images: int
    right: dict[str, float]
    """As `Lesson` has them."""


def teachers_of(dataset: Dataset) -> list[Teacher]:
    """Return who can teach there: labels are not augmented where that may change their values.

    Raises:
        BadInput: There is nothing to teach, no label to compare with, or nothing to read.
    """
    codes = dataset.space.supervised
    if not codes:
        raise BadInput("no code is supervised, so samples have no labels that they could teach")
    if dataset.test is None:
        raise BadInput(
            f"{dataset.manifest.name} has no test split, and all other images were seen in "
            "training; what samples teach is read on images that nobody has seen"
        )
    given = dataset.budget.mask(dataset.y_known)
    empty = [code.name for k, code in enumerate(codes) if given[:, k].isnan().all()]
    if empty:
        raise BadInput(
            f"no label of the budget names a value of {', '.join(empty)}, so what samples teach "
            "cannot be compared with what labels do"
        )
    all_classes = all(code.is_categorical for code in codes)
    return [one for one in get_args(Teacher) if all_classes or one != "augmented labels"]


def teach(
    teacher: Teacher,
    config: JudgeConfig,
    dataset: Dataset,
    generator: nn.Module,
    discriminator: Discriminator,
    streams: Streams,
    device: torch.device,
    progress: Advance | None = None,
) -> Lesson:
    """Teach a classifier, and read the test split.

    Args:
        teacher: One of `teachers_of`.
        config: Architecture and recipe; its epochs and least updates are `UPDATES` instead.
        dataset: Of the run.
        generator: The copy of G, in eval mode on the device.
        discriminator: D with its Q heads, in eval mode on the device.
        streams: The run's. All teachers' classifiers have the same draws.
        device: Where to compute.
        progress: Told of every update.

    Raises:
        BadInput: `teachers_of`.
        NonFiniteLoss: Training diverged.
    """
    teachers_of(dataset)
    assert dataset.test is not None
    assert dataset.y_test is not None
    codes = dataset.space.supervised
    streams = Streams(streams.key("teaching"))
    size = min(len(dataset.wanted), UPDATES * config.batch_size)
    if teacher == "samples":
        heap = _draw(dataset.space, generator, size, streams)
    else:
        reader = (discriminator, device) if teacher == "readings" else None
        heap = _real(dataset, size, streams, reader)
    is_augmented = teacher == "augmented labels"
    changes: dict[str, Any] = {"epochs": 1, "least_updates": UPDATES}
    changes["augment"] = (config.augment or AugmentConfig()) if is_augmented else None
    recipe = config.model_copy(update=changes)
    draw = streams.generator("judge weights")
    classifier = config.classifier.build(codes, dataset.train.shape, draw).to(device)
    fit(classifier, recipe, codes, heap.take, heap.labels, streams, progress)
    read = predict(classifier, codes, dataset.test.images).c
    errors = agreements(dataset.y_test, read, codes)
    return Lesson(
        images=heap.images,
        updates=count_updates(recipe, size),
        accuracy=accuracy(dataset.y_test, read, codes),
        rmse={name: found.rmse for name, found in errors.items()},
        right=heap.right,
    )


def _draw(space: LatentSpace, generator: nn.Module, size: int, streams: Streams) -> _Heap:
    """Draw samples, as many of each class."""
    latents = balanced_latents(space, size, streams.generator("samples"))
    images = generate(generator, space, latents)
    return _Heap(images.__getitem__, latents.c[:, : len(space.supervised)], size, {})


def _real(
    dataset: Dataset,
    size: int,
    streams: Streams,
    reader: tuple[Discriminator, torch.device] | None,
) -> _Heap:
    """Take images of the budget, or all of them with what a reader says; in random order."""
    codes, labels = dataset.space.supervised, dataset.budget.mask(dataset.y_known)
    labeled = (~labels.isnan()).any(dim=1).nonzero()[:, 0]
    rows = labeled if reader is None else dataset.wanted
    images = min(len(rows), size)
    order = draw_order(streams, "rows", len(rows))
    rows = rows[order.at(torch.arange(size) % len(rows))]

    def take(positions: Tensor) -> Tensor:
        return dataset.train.take(rows[positions])

    if reader is None:
        return _Heap(take, labels[rows], images, {})
    q_ss, _ = run_q(map(take, torch.arange(size).split(Q_BATCH)), *reader)
    read = read_codes(codes, dataset.space.posterior, q_ss, none=True).value
    read = read.where(read != torch.tensor([code.none for code in codes]), torch.nan)
    return _Heap(take, read, images, accuracy(dataset.y_known[rows], read, codes))
