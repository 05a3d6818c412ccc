"""Networks and a classifier from outside of the package: trained, measured, exported, sampled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssgan.evaluation.judge import JudgeConfig
from ssgan.experiment.fields import check_resume
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.export.generator import NamedGenerator
from ssgan.launch.driver import train
from ssgan.networks.architecture import NetworksConfig
from ssgan.networks.classifier import ClassifierConfig
from ssgan.records.rundir import RunDir
from tests.helpers.outside import module_outside
from tests.launch.conftest import TINY

MLP = """
from math import prod
from typing import Literal

from torch import nn

from ssgan.networks.architecture import NetworksConfig, initialize
from ssgan.networks.classifier import ClassifierConfig
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator


class Mlp(NetworksConfig):
    kind: Literal["mlp_for_tests.Mlp"] = "mlp_for_tests.Mlp"
    units: int = 32

    def check(self, shape):
        pass  # any images will do

    def build_generator(self, space, shape, generator):
        hidden = nn.Linear(space.width, self.units)
        last = nn.Linear(self.units, prod(shape))
        network = Generator(hidden, nn.ReLU(), last, nn.Sigmoid(), nn.Unflatten(1, shape))
        initialize(network, generator)
        return network

    def build_discriminator(self, space, shape, generator):
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), self.units), nn.LeakyReLU())
        network = Discriminator(trunk, self.units, space)
        initialize(network, generator)
        return network


class Layer(ClassifierConfig):
    kind: Literal["mlp_for_tests.Layer"] = "mlp_for_tests.Layer"

    def trunk(self, shape):
        return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), 16), nn.ReLU()), 16

    def deeper(self):
        return self
"""
OVERRIDES = [
    *(value for value in TINY if not value.startswith("networks")),
    "networks.kind=mlp_for_tests.Mlp",
    "networks.units=12",
    "codes.unsupervised=[]",
    "training.epochs=1",
    "evaluation.judge.classifier.kind=mlp_for_tests.Layer",
]


@pytest.fixture
def mlp(tmp_path: Path) -> Iterator[None]:
    with module_outside(tmp_path, "mlp_for_tests", MLP, NetworksConfig, ClassifierConfig):
        yield


@pytest.mark.usefixtures("mlp", "endings", "digits_store")
def test_a_run_with_networks_of_another_package(tmp_path: Path) -> None:
    experiment = load_experiment("digits", OVERRIDES)
    assert experiment.networks.model_dump(exclude={"batch_norm"}) == {
        "kind": "mlp_for_tests.Mlp",
        "units": 12,
    }
    assert isinstance(experiment.evaluation.judge, JudgeConfig)
    result = train(experiment, tmp_path, "first")
    assert 0 <= result.summary["zero_one_loss_ema"] <= 1
    started = Experiment.from_yaml(RunDir.open(tmp_path / "first").definition())
    assert started == experiment
    check_resume(started, load_experiment("digits", OVERRIDES))
    assert NamedGenerator.load(tmp_path / "first").sample(digit=7, n=2).shape == (2, 16, 16, 1)
