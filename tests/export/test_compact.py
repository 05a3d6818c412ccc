"""Networks for a page compute what the networks do, and say so where they cannot."""

import pytest
import torch
from torch import nn

from ssgan.base.errors import BadInput
from ssgan.export.compact import Layer, factor, fold, quantize, run
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig

SPACE = LatentSpace(
    supervised=(Code(name="digit", kind="categorical", classes=tuple("0123456789")),),
    unsupervised=(Code(name="style", kind="continuous"),),
    noise=12,
)
NETWORKS = DcganConfig(width=8, hidden=32, q_hidden=16, leak=0.2)
SHAPE = (3, 16, 16)


def settled(network: nn.Module, *inputs: torch.Tensor) -> nn.Module:
    """Give BatchNorms statistics of their own, and put the network into eval mode."""
    with torch.no_grad():
        for given in inputs:
            network(given)
    return network.eval().requires_grad_(False)


def flat(images: torch.Tensor) -> torch.Tensor:
    """Return images (B, C, H, W) flat, in HWC order."""
    return images.permute(0, 2, 3, 1).flatten(1)


def test_a_folded_generator_draws_what_it_drew() -> None:
    draw = torch.Generator().manual_seed(1)
    g = NETWORKS.build_generator(SPACE, SHAPE, draw)
    batches = [SPACE.encode(*SPACE.sample(32, draw)) for _ in range(9)]
    settled(g, *batches)
    layers = fold([g.layers])
    assert [layer.kind for layer in layers] == ["linear", "linear", "deconv", "deconv"]
    images = run(layers, batches[0])
    assert torch.allclose(images, flat(g(batches[0])), atol=1e-5)


@pytest.mark.parametrize("section", ["q_ss", "q_us"])
def test_a_folded_trunk_with_its_heads_reads_what_it_read(section: str) -> None:
    draw = torch.Generator().manual_seed(2)
    d = NETWORKS.build_discriminator(SPACE, SHAPE, draw)
    images = torch.rand(64, *SHAPE, generator=draw)
    with torch.no_grad():
        d.q_us(d.trunk(images))
    d.eval().requires_grad_(False)
    layers = (*fold([d.sections()["trunk"]], SHAPE), *fold([d.sections()[section]]))
    expected = getattr(d, section)(d.trunk(images))
    assert torch.allclose(run(layers, flat(images)), expected, atol=1e-5)


def test_convolutions_of_any_stride_and_padding_are_run() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(2, 5, 3, stride=1, padding=1, bias=False),
        nn.BatchNorm2d(5),
        nn.LeakyReLU(0.1),
        nn.Sequential(nn.Conv2d(5, 4, 5, stride=3, padding=0), nn.ReLU()),
        nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(3 * 5 * 5, 7),
    )
    images = torch.rand(6, 2, 11, 11)
    settled(network, images, images)
    expected = network(images)
    assert torch.allclose(run(fold([network], (2, 11, 11)), flat(images)), expected, atol=1e-5)


@pytest.mark.parametrize(
    "module",
    [
        nn.Tanh(),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, (3, 1)),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.ConvTranspose2d(4, 4, 3, output_padding=1, stride=2),
    ],
)
def test_a_layer_that_a_page_cannot_run_is_named(module: nn.Module) -> None:
    with pytest.raises(BadInput, match=f"cannot run the layer {type(module).__name__}"):
        fold([nn.Conv2d(4, 4, 1), module], (4, 8, 8))


def test_batch_norm_behind_an_activation_is_not_folded() -> None:
    with pytest.raises(BadInput, match="cannot run the layer BatchNorm1d"):
        fold([nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4)])


def test_first_and_small_layers_have_sixteen_bits_and_rounding_is_half_a_step() -> None:
    torch.manual_seed(4)
    layers = [Layer("linear", torch.randn(300, 300), torch.randn(300)) for _ in range(2)]
    small = Layer("deconv", torch.randn(4, 4, 6, 2), torch.randn(2), side=7, stride=2, padding=1)
    made = quantize([*layers, small])
    assert [one.bits for one in made] == [16, 8, 16]
    for one, layer in zip(made, [*layers, small], strict=True):
        assert one.numbers.abs().max() == 2 ** (one.bits - 1) - 1
        step = one.scale[:, None] if layer.kind == "linear" else one.scale
        assert ((one.layer.weight - layer.weight).abs() <= step * 0.51).all()
        described = one.describe()
        sizes = 4 * 2 * len(layer.bias) + layer.weight.numel() * one.bits // 8
        assert len(one.to_bytes()) == sizes
        assert (described["inputs"], described["outputs"]) in {(300, 300), (6, 2)}


def test_an_output_without_weights_is_only_its_bias() -> None:
    layer = Layer("linear", torch.zeros(3, 5), torch.tensor([1.0, 2.0, 3.0]))
    assert run(quantize([layer]), torch.ones(1, 5)).tolist() == [[1, 2, 3]]


def test_a_wide_layer_keeps_what_differs_over_its_inputs() -> None:
    torch.manual_seed(5)
    wide = Layer("linear", torch.randn(1024, 4000) / 60, torch.randn(1024), leak=0.2)
    inputs = torch.randn(300, 20) @ torch.randn(20, 4000)
    first, second = factor([wide], inputs)
    assert first.weight.numel() + second.weight.numel() < wide.weight.numel() / 5
    assert torch.allclose(second(first(inputs)), wide(inputs), atol=1e-3)
    narrow = Layer("linear", torch.randn(100, 400), torch.randn(100))
    assert factor([narrow], torch.randn(9, 400)) == [narrow]
