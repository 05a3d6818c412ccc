import torch
from torch import nn

from ssgan.networks.architecture import initialize, undrawn


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


def test_undrawn_are_parameters_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(5)
    before = generator.get_state()
    with undrawn():
        network = layers()
        initialize(network, generator)
        assert generator.get_state().equal(before)
        noise = torch.empty(9).normal_(generator=generator)
        assert network[1].running_mean.eq(0).all()
        assert network[1].running_var.eq(1).all()
    assert noise.equal(torch.empty(9).normal_(generator=torch.Generator().manual_seed(5)))
    initialize(network, torch.Generator().manual_seed(5))
    assert abs(network[0].weight.std().item() - 0.02) < 0.001
