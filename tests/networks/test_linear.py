"""Linear layers by oneDNN: the same function, its derivatives, and where torch's own stays."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ssgan.networks.linear import Linear, speed_up_linear

ROWS, WIDE, NARROW = 128, 512, 256  # just above what counts as large


def layers(rows: int = ROWS) -> tuple[nn.Linear, Linear, Tensor]:
    generator = torch.Generator().manual_seed(0)
    plain = nn.Linear(WIDE, NARROW)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.normal_(generator=generator)
    ours = copy.deepcopy(plain)
    speed_up_linear(ours)
    assert isinstance(ours, Linear)
    return plain, ours, torch.randn(rows, WIDE, generator=generator)


def derivatives(layer: nn.Linear, x: Tensor) -> list[Tensor]:
    """Return the output, the gradients, and those of the input's gradient."""
    x = x.clone().requires_grad_()
    out = layer(x)
    wanted = [x, layer.weight, layer.bias]
    first = torch.autograd.grad(out.square().sum(), wanted, create_graph=True)
    second = torch.autograd.grad(first[0].square().sum(), [x, layer.weight])
    return [out.detach(), *(one.detach() for one in first), *second]


def test_large_products_and_their_derivatives_are_exact_up_to_rounding() -> None:
    plain, ours, x = layers()
    assert ours._is_large(x)
    exact = derivatives(plain.double(), x.double())
    for truth, found in zip(exact, derivatives(ours, x), strict=True):
        assert (found - truth).abs().max() <= 2e-6 * truth.abs().max()


def test_the_same_input_gives_the_same_bits() -> None:
    _, ours, x = layers()
    for one, other in zip(derivatives(ours, x), derivatives(ours, x), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes_are_torchs(dtype: str) -> None:
    plain, ours, x = layers()
    kind = getattr(torch, dtype)
    assert torch.equal(plain.to(kind)(x.to(kind)), ours.to(kind)(x.to(kind)))


def test_autocast_and_small_products_are_torchs() -> None:
    plain, ours, x = layers()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain(x), ours(x))
    plain, ours, x = layers(rows=8)
    assert torch.equal(plain(x), ours(x))


def test_layers_stay_what_they_are_but_for_the_product() -> None:
    class OwnLinear(nn.Linear):
        pass

    plain, normed = nn.Linear(WIDE, NARROW, bias=False), nn.Linear(WIDE, NARROW)
    network = nn.Sequential(plain, nn.ReLU(), nn.Sequential(OwnLinear(NARROW, WIDE), normed))
    spectral_norm(normed)  # makes it a layer of a class of its own
    seen = []
    plain.register_forward_hook(lambda *_: seen.append("hook"))
    layers, names = [*network.modules()], [*network.state_dict()]
    kinds = [type(layer) for layer in layers]
    speed_up_linear(network)
    assert [*network.modules()] == layers
    assert [*network.state_dict()] == names
    changed = [layer for layer, kind in zip(layers, kinds, strict=True) if type(layer) is not kind]
    assert changed == [plain]
    network(torch.zeros(2, WIDE))
    assert seen == ["hook"]
