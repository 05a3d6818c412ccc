import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ssgan.base.errors import BadInput
from ssgan.networks.dcgan import DcganConfig, Stages
from tests.helpers.networks import MNIST, TINY, draw


def test_the_authors_generator() -> None:
    network = DcganConfig().build_generator(MNIST, (1, 28, 28), draw())
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
    network = TINY.build_generator(MNIST, (channels, size, size), draw())
    images = network(MNIST.encode(*MNIST.sample(3, draw(1))))
    assert images.shape == (3, channels, size, size)
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1


def test_every_input_reaches_the_images() -> None:
    network = TINY.build_generator(MNIST, (1, 16, 16), draw())
    latents = MNIST.encode(*MNIST.sample(8, draw(1))).requires_grad_()
    network(latents)[0].square().sum().backward()
    assert latents.grad is not None
    assert latents.grad[0].ne(0).all()


def test_weights_follow_from_the_generator_of_random_numbers() -> None:
    weights = [TINY.build_generator(MNIST, (1, 16, 16), draw(s)).state_dict() for s in (3, 3, 4)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not torch.equal(weights[0]["layers.0.weight"], weights[2]["layers.0.weight"])


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(BadInput, match=r"data\.source\.size"):
        TINY.build_generator(MNIST, (1, 30, 30), draw())


def test_the_output_gain_enlarges_the_last_weights_alone() -> None:
    plain, enlarged = (
        TINY.model_copy(update={"output_gain": gain}).build_generator(MNIST, (3, 32, 32), draw())
        for gain in (1.0, 4.0)
    )
    for (name, a), (_, b) in zip(
        plain.named_parameters(), enlarged.named_parameters(), strict=True
    ):
        factor = 4.0 if name == f"layers.{len(plain.layers) - 2}.weight" else 1.0
        torch.testing.assert_close(b, a * factor, rtol=0, atol=0)


SIZES = [(8, 4, 1), (16, 4, 2), (24, 6, 2), (28, 7, 2), (32, 4, 3), (40, 5, 3), (48, 6, 3)]
SIZES += [(56, 7, 3), (64, 4, 4)]


@pytest.mark.parametrize(("size", "base", "depth"), SIZES)
def test_images_are_halved_to_seven_pixels_or_fewer(size: int, base: int, depth: int) -> None:
    stages = Stages(DcganConfig(width=3), (1, size, size))
    assert stages.base == base
    assert stages.channels == [3 * 2**stage for stage in range(depth)]
    assert stages.features == 3 * 2 ** (depth - 1) * base**2
    assert stages.base * 2**depth == size


def test_the_authors_mnist_stages() -> None:
    stages = Stages(DcganConfig(), (1, 28, 28))
    assert stages.channels == [64, 128]
    assert stages.features == 6272


@pytest.mark.parametrize("size", [1, 4, 7, 9, 18, 27, 30, 33, 45])
def test_sizes_that_cannot_be_halved_are_refused(size: int) -> None:
    with pytest.raises(BadInput, match=rf"{size} pixels.*data\.source\.size"):
        Stages(DcganConfig(), (3, size, size))


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(BadInput, match=r"24x32 pixels.*square.*data\.source\.size"):
        Stages(DcganConfig(), (3, 32, 24))


@pytest.mark.parametrize("field", ["width", "hidden", "q_hidden"])
def test_networks_have_a_size(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        DcganConfig(**{field: 0})
