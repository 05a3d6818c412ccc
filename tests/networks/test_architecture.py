import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ssgan.base.errors import BadInput
from ssgan.networks.architecture import NetworksConfig, Stages, initialize

SIZES = [(8, 4, 1), (16, 4, 2), (24, 6, 2), (28, 7, 2), (32, 4, 3), (40, 5, 3), (48, 6, 3)]
SIZES += [(56, 7, 3), (64, 4, 4)]


@pytest.mark.parametrize(("size", "base", "depth"), SIZES)
def test_images_are_halved_to_seven_pixels_or_fewer(size: int, base: int, depth: int) -> None:
    stages = Stages(NetworksConfig(width=3), (1, size, size))
    assert stages.base == base
    assert stages.channels == [3 * 2**stage for stage in range(depth)]
    assert stages.features == 3 * 2 ** (depth - 1) * base**2
    assert stages.base * 2**depth == size


def test_the_authors_mnist_stages() -> None:
    stages = Stages(NetworksConfig(), (1, 28, 28))
    assert stages.channels == [64, 128]
    assert stages.features == 6272


@pytest.mark.parametrize("size", [1, 4, 7, 9, 18, 27, 30, 33, 45])
def test_sizes_that_cannot_be_halved_are_refused(size: int) -> None:
    with pytest.raises(BadInput, match=rf"{size} pixels.*data\.source\.size"):
        Stages(NetworksConfig(), (3, size, size))


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(BadInput, match=r"24x32 pixels.*square.*data\.source\.size"):
        Stages(NetworksConfig(), (3, 32, 24))


@pytest.mark.parametrize("field", ["width", "hidden", "q_hidden"])
def test_networks_have_a_size(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        NetworksConfig(**{field: 0})


def layers() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(100, 200),
        nn.BatchNorm1d(10_000),
        nn.Conv2d(20, 30, 4),
        nn.BatchNorm2d(10_000),
        nn.ConvTranspose2d(20, 30, 4),
    )


def test_initial_weights_are_the_authors() -> None:
    network = layers()
    initialize(network, torch.Generator().manual_seed(0))
    for layer in network:
        center = 1.0 if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) else 0.0
        assert isinstance(layer.weight, torch.Tensor)
        assert isinstance(layer.bias, torch.Tensor)
        assert abs(layer.weight.mean().item() - center) < 0.001
        assert abs(layer.weight.std().item() - 0.02) < 0.001
        assert layer.bias.eq(0).all()


def test_initial_weights_depend_on_the_generator_alone() -> None:
    drawn = []
    for ambient in (1, 2):
        torch.manual_seed(ambient)
        network = layers()
        initialize(network, torch.Generator().manual_seed(5))
        drawn.append([parameter.clone() for parameter in network.parameters()])
    assert all(map(torch.equal, *drawn))
    initialize(network, torch.Generator().manual_seed(6))
    assert not torch.equal(drawn[0][0], next(network.parameters()))
