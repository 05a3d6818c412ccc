import pytest
import torch
from torch import nn

from ssgan.base.errors import BadInput
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.architecture import NetworksConfig
from ssgan.networks.generator import build_generator

DIGIT = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
STYLES = tuple(Code(name=f"style_{k}", kind="continuous") for k in (1, 2))
MNIST = LatentSpace(supervised=(DIGIT,), unsupervised=STYLES, noise=62)
TINY = NetworksConfig(width=2, hidden=4, q_hidden=3)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_authors_generator() -> None:
    network = build_generator(NetworksConfig(), MNIST, (1, 28, 28), draw())
    assert sum(parameter.numel() for parameter in network.parameters()) == 6_652_481
    kinds = [type(layer) for layer in network.layers]
    assert kinds == [
        *(nn.Linear, nn.BatchNorm1d, nn.ReLU) * 2,
        nn.Unflatten,
        *(nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU),
        *(nn.ConvTranspose2d, nn.Sigmoid),
    ]
    assert [
        tuple(layer.weight.shape) for layer in network.layers if hasattr(layer, "kernel_size")
    ] == [
        (128, 64, 4, 4),
        (64, 1, 4, 4),
    ]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 16, 24, 28, 32, 40, 48, 56, 64])
def test_images_have_the_shape_asked_for(size: int, channels: int) -> None:
    network = build_generator(TINY, MNIST, (channels, size, size), draw())
    images = network(MNIST.encode(*MNIST.sample(3, draw(1))))
    assert images.shape == (3, channels, size, size)
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1


def test_every_input_reaches_the_images() -> None:
    network = build_generator(TINY, MNIST, (1, 16, 16), draw())
    latents = MNIST.encode(*MNIST.sample(8, draw(1))).requires_grad_()
    network(latents)[0].square().sum().backward()
    assert latents.grad is not None
    assert latents.grad[0].ne(0).all()


def test_weights_follow_from_the_generator_of_random_numbers() -> None:
    weights = [build_generator(TINY, MNIST, (1, 16, 16), draw(s)).state_dict() for s in (3, 3, 4)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not torch.equal(weights[0]["layers.0.weight"], weights[2]["layers.0.weight"])


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(BadInput, match=r"data\.source\.size"):
        build_generator(TINY, MNIST, (1, 30, 30), draw())


def test_the_output_gain_enlarges_the_last_weights_alone() -> None:
    plain, enlarged = (
        build_generator(TINY.model_copy(update={"output_gain": gain}), MNIST, (3, 32, 32), draw())
        for gain in (1.0, 4.0)
    )
    for (name, a), (_, b) in zip(
        plain.named_parameters(), enlarged.named_parameters(), strict=True
    ):
        factor = 4.0 if name == f"layers.{len(plain.layers) - 2}.weight" else 1.0
        torch.testing.assert_close(b, a * factor, rtol=0, atol=0)
