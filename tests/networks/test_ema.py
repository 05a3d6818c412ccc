import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from ssgan.networks.ema import Ema, EmaConfig, reestimate_batchnorm

unhurried = settings(deadline=None, max_examples=30)  # no timed assertions


def network(value: float = 0.0) -> nn.Linear:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(value)
    return layer


def test_an_old_value_has_half_its_weight_after_the_half_life() -> None:
    layer = network(1.0)
    average = Ema(layer, EmaConfig(half_life=640, ramp_up=1))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    for _ in range(10):
        average.update(average.weight(64, 10**6))
    for parameter in average.parameters:
        torch.testing.assert_close(parameter, torch.full_like(parameter, 0.5))


@unhurried
@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=8),
    st.floats(1, 1e4),
    st.floats(0.01, 1),
    st.integers(1, 512),
)
def test_the_average_has_its_closed_form(
    values: list[float], half_life: float, ramp_up: float, images: int
) -> None:
    layer = network(0.5)
    average = Ema(layer, EmaConfig(half_life=half_life, ramp_up=ramp_up))
    # The value at update k keeps prod_{j > k} decay_j of its weight (1 - decay_k).
    decays = [
        0.5 ** (images / min(half_life, ramp_up * images * (k + 1))) for k in range(len(values))
    ]
    for k, value in enumerate(values):
        layer.weight.data.fill_(value)
        average.update(average.weight(images, images * (k + 1)))
    expected = 0.5 * math.prod(decays) + sum(
        value * (1 - decays[k]) * math.prod(decays[k + 1 :]) for k, value in enumerate(values)
    )
    assert average.parameters[0][0, 0].item() == pytest.approx(expected, abs=1e-5)


def test_the_start_is_forgotten() -> None:
    layer = network(100.0)
    average = Ema(layer, EmaConfig(half_life=50_000, ramp_up=0.05))
    with torch.no_grad():
        layer.weight.zero_()
    for step in range(1, 101):
        average.update(average.weight(64, 64 * step))
    assert average.parameters[0].abs().max() < 1e-4


def test_an_average_is_a_copy() -> None:
    layer = network(1.0)
    average = Ema(layer, EmaConfig())
    layer.weight.data.fill_(2.0)
    assert average.parameters[0].eq(1).all()
    average.load([torch.full((1, 2), 5.0), torch.full((1,), 6.0)])
    assert average.parameters[0].eq(5).all()
    with pytest.raises(ValueError, match="shorter"):
        average.load([torch.zeros(1, 2)])


@pytest.mark.parametrize("fields", [{"half_life": 0}, {"ramp_up": 0}, {"ramp_up": 1.1}])
def test_bad_averages_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(fields))):
        EmaConfig(**fields)


def test_statistics_are_the_mean_of_those_of_the_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(6, 3, 4, 4, generator=generator) * 2 + 1 for _ in range(5)]
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(48))
    layers(torch.randn(6, 3, 4, 4, generator=generator) * 100)  # to be forgotten
    reestimate_batchnorm(layers, layers, batches)
    first, last = layers[0], layers[2]
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    variances = torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(first.running_mean, means)
    torch.testing.assert_close(first.running_var, variances)
    # Later layers see what training shows them: batches that were normalized by themselves.
    assert last.running_mean.abs().max() < 1
    assert not layers.training
    assert first.momentum == last.momentum == 0.1


def test_statistics_do_not_move_parameters_or_record_gradients() -> None:
    layers = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    before = [parameter.clone() for parameter in layers.parameters()]
    outputs: list[torch.Tensor] = []
    reestimate_batchnorm(layers, lambda x: outputs.append(layers(x)), [torch.rand(4, 3)])
    assert not outputs[0].requires_grad
    assert all(map(torch.equal, before, layers.parameters()))
