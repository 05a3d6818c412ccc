import pytest
import torch
from torch import nn

from ssgan.base.errors import BadInput
from ssgan.method.codes import LatentSpace
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.networks import MNIST, TINY, draw


def test_the_authors_discriminator() -> None:
    network = DcganConfig().build_discriminator(MNIST, (1, 28, 28), draw())
    assert sum(parameter.numel() for parameter in network.parameters()) == 6_701_133
    sizes = {part: sum(p.numel() for p in ps) for part, ps in network.parts().items()}
    assert sizes["d"] == 1024 + 1
    assert sizes["q_ss"] == 1024 * 10 + 10
    assert sizes["q_us"] == 1024 * 128 + 128 + 2 * 128 + 128 * 2 + 2
    slopes = [m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.01] * 4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 16, 24, 28, 32, 40, 48, 56, 64])
def test_heads_have_a_column_a_parameter(size: int, channels: int) -> None:
    network = TINY.build_discriminator(MNIST, (channels, size, size), draw())
    h = network.trunk(torch.rand(3, channels, size, size, generator=draw(1)))
    assert h.shape == (3, 4)
    assert network.d(h).shape == (3,)
    assert network.q_ss(h).shape == (3, 10)
    assert network.q_us(h).shape == (3, 2)


def test_a_gaussian_posterior_has_a_variance_a_value() -> None:
    space = MNIST.model_copy(update={"posterior": "gaussian"})
    network = TINY.build_discriminator(space, (1, 16, 16), draw())
    h = torch.rand(3, 4)
    assert network.q_ss(h).shape == (3, 10)
    assert network.q_us(h).shape == (3, 4)


def test_parts_share_nothing_and_miss_nothing() -> None:
    network = TINY.build_discriminator(MNIST, (1, 16, 16), draw())
    parts = network.parts()
    assert list(parts) == ["trunk", "d", "q_ss", "q_us"]
    ids = [id(parameter) for parameters in parts.values() for parameter in parameters]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {id(parameter) for parameter in network.parameters()}


@pytest.mark.parametrize("missing", ["supervised", "unsupervised"])
def test_no_codes_need_no_head(missing: str) -> None:
    space = LatentSpace.model_validate(MNIST.model_dump() | {missing: ()})
    network = TINY.build_discriminator(space, (1, 16, 16), draw())
    head, part = (network.q_ss, "q_ss") if missing == "supervised" else (network.q_us, "q_us")
    assert head(torch.rand(3, 4)).shape == (3, 0)
    assert network.parts()[part] == []


def test_weights_follow_from_the_generator_of_random_numbers() -> None:
    states = [TINY.build_discriminator(MNIST, (1, 16, 16), draw(s)).state_dict() for s in (3, 3, 4)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["_d.weight"], states[2]["_d.weight"])


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(BadInput, match="square"):
        TINY.build_discriminator(MNIST, (1, 16, 24), draw())


def test_centered_pixels_reach_the_trunk_from_minus_one_to_one() -> None:
    shape = (1, 16, 16)
    plain, centered = (
        DcganConfig(width=2, hidden=8, q_hidden=4, centered=centered)
        .build_discriminator(
            MNIST,
            shape,
            torch.Generator().manual_seed(0),
        )
        .eval()
        for centered in (False, True)
    )
    x = torch.rand(4, *shape)
    torch.testing.assert_close(centered.trunk(x), plain.trunk(x * 2 - 1))


def test_the_leak_is_the_slope_below_zero() -> None:
    config = DcganConfig(width=2, hidden=8, q_hidden=4, leak=0.2)
    network = config.build_discriminator(MNIST, (1, 16, 16), torch.Generator())
    slopes = {m.negative_slope for m in network.modules() if isinstance(m, torch.nn.LeakyReLU)}
    assert slopes == {0.2}
