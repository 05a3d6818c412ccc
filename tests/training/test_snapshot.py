import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ssgan.data.dataset import DataConfig, Dataset
from ssgan.data.store import Store
from ssgan.experiment.tree import Experiment
from ssgan.method.codes import CodesConfig
from ssgan.training.distributed import Worker
from ssgan.training.snapshot import Snapshot, copy_state, take_snapshot
from ssgan.training.state import Training

CPU = torch.device("cpu")
B = 8
EXPERIMENT = Experiment.model_validate(
    {
        "codes": {"noise": 4},
        "networks": {"width": 2, "hidden": 8, "q_hidden": 4},
        "label_sampling": {"batch_size": 4},
        "training": {"batch_size": B, "average": {"half_life": 100, "ramp_up": 1}},
        "optimizer": {"generator_lr": 0.01},
    }
)


@pytest.fixture(scope="module")
def dataset(digits_store: Store) -> Dataset:
    return Dataset.load(DataConfig(labels="10%"), CodesConfig(noise=4), digits_store)


@pytest.fixture
def training(dataset: Dataset) -> Training:
    made = Training(EXPERIMENT, dataset, Worker(0, 1, CPU))
    for _ in range(3):
        made.update()
    return made


def snapshot_of(training: Training, dataset: Dataset) -> Snapshot:
    return take_snapshot(EXPERIMENT, dataset, training.state(), CPU)


def copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def saved(state: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    torch.save(state, sink)
    return sink.getvalue()


def test_a_copied_state_is_saved_as_the_very_bytes_of_its_moment(training: Training) -> None:
    at_once = saved(training.state())
    copied = copy_state(training.state())
    training.update()
    assert saved(copied) == at_once != saved(training.state())


def test_training_goes_on_undisturbed(training: Training, dataset: Dataset) -> None:
    networks = (training.step.generator, training.step.discriminator)
    before, ambient = [copy(network) for network in networks], torch.get_rng_state()
    average = [value.clone() for value in training.ema.parameters]
    snapshot_of(training, dataset)
    assert all(same(old, copy(now)) for old, now in zip(before, networks, strict=True))
    assert all(map(torch.equal, average, training.ema.parameters))
    assert torch.equal(ambient, torch.get_rng_state())
    assert all(network.training for network in networks)
    momenta = {m.momentum for n in networks for m in n.modules() if hasattr(m, "momentum")}
    assert momenta == {0.1}


def test_copies_have_the_parameters_that_they_are_named_for(
    training: Training, dataset: Dataset
) -> None:
    snapshot = snapshot_of(training, dataset)
    raw, ema = snapshot.generators["raw"], snapshot.generators["ema"]
    assert all(map(torch.equal, raw.parameters(), training.step.generator.parameters()))
    assert all(map(torch.equal, ema.parameters(), training.ema.parameters))
    assert not all(map(torch.equal, raw.parameters(), ema.parameters()))
    assert all(
        map(
            torch.equal,
            snapshot.discriminator.parameters(),
            training.step.discriminator.parameters(),
        )
    )
    assert not any(copied.training for copied in (raw, ema, snapshot.discriminator))


def test_a_snapshot_follows_from_the_state_alone(training: Training, dataset: Dataset) -> None:
    state = torch.load(io.BytesIO(saved(training.state())))
    one = snapshot_of(training, dataset)
    training.update()
    other = take_snapshot(EXPERIMENT, dataset, state, CPU)
    for a, b in (
        (one.generators["raw"], other.generators["raw"]),
        (one.generators["ema"], other.generators["ema"]),
        (one.discriminator, other.discriminator),
    ):
        assert same(copy(a), copy(b))


@pytest.mark.parametrize("name", ["raw", "ema"])
def test_statistics_of_G_are_those_of_its_own_parameters(
    name: str, training: Training, dataset: Dataset
) -> None:
    generator = snapshot_of(training, dataset).generators[name]  # type: ignore[index]
    norm = next(m for m in generator.modules() if isinstance(m, nn.BatchNorm1d))
    linear = next(m for m in generator.modules() if isinstance(m, nn.Linear))
    means = []
    for index in range(8):
        draw = training.streams.generator("statistics of G", index)
        latents = dataset.space.encode(*dataset.space.sample(B, draw))
        means.append(linear(latents).mean(0))
    torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(0))
    assert norm.num_batches_tracked == 8


def test_statistics_of_D_are_of_real_and_synthetic_images_alike(
    training: Training, dataset: Dataset
) -> None:
    snapshot = snapshot_of(training, dataset)
    norms = [m for m in snapshot.discriminator.modules() if hasattr(m, "running_mean")]
    assert len(norms) == 3
    assert all(norm.num_batches_tracked == 16 for norm in norms)
    for index, norm in enumerate(norms):
        assert norm.running_mean.isfinite().all(), index
        assert norm.running_var.gt(0).all(), index


def test_evaluation_does_not_depend_on_running_statistics(
    training: Training, dataset: Dataset
) -> None:
    before = snapshot_of(training, dataset)
    for network in (training.step.generator, training.step.discriminator):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.reset_running_stats()
    after = snapshot_of(training, dataset)
    assert same(copy(before.discriminator), copy(after.discriminator))
    assert same(copy(before.generators["ema"]), copy(after.generators["ema"]))


def test_statistics_of_D_are_not_of_foreign_images(training: Training, dataset: Dataset) -> None:
    foreign = torch.arange(len(dataset.train)) % 3 > 0
    images = dataset.train.images.clone()
    images[foreign] = 255
    whole, half = dataset, replace(dataset, train=replace(dataset.train, images=images))
    assert not same(*(copy(snapshot_of(training, one).discriminator) for one in (whole, half)))
    whole, half = (replace(one, foreign=foreign) for one in (whole, half))
    assert same(*(copy(snapshot_of(training, one).discriminator) for one in (whole, half)))
