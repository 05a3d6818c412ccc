import pytest
import torch

from ssgan.base.errors import BadInput
from ssgan.base.rng import Streams
from ssgan.method.codes import Code
from ssgan.networks.classifier import Classifier, ClassifierConfig, CnnConfig, WrnConfig

DIGIT = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
ANGLE = Code(name="angle", kind="continuous", low=-30, high=30)
SMALL = CnnConfig(width=4)
SMALL_WRN = WrnConfig(width=1, depth=10)


@pytest.mark.parametrize("config", [SMALL, SMALL_WRN], ids=["cnn", "wrn"])
@pytest.mark.parametrize("side", [8, 16, 28, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_size_gives_logits_code_by_code(
    config: ClassifierConfig, side: int, channels: int
) -> None:
    network = config.build((DIGIT, ANGLE), (channels, side, side), torch.Generator()).eval()
    x = torch.rand(2, channels, side, side)
    features = network.features(x)
    assert network(x).shape == (2, 11)
    assert features.shape == (2, network.feature_width)
    assert (features >= 0).all()
    assert torch.equal(network(x), network.head(features))


@pytest.mark.parametrize(
    ("depth", "width", "millions"), [(40, 4, 8.9), (16, 8, 11.0), (28, 10, 36.5)]
)
def test_wide_resnets_have_the_published_size(depth: int, width: int, millions: float) -> None:
    config = WrnConfig(depth=depth, width=width)
    with torch.device("meta"):
        network = Classifier(*config.trunk((3, 32, 32)), (DIGIT,))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize("config", [SMALL, SMALL_WRN], ids=["cnn", "wrn"])
def test_weights_follow_the_generator_alone(config: ClassifierConfig) -> None:
    def build(seed: int) -> dict[str, torch.Tensor]:
        generator = Streams(seed).generator("weights")
        return config.build((DIGIT,), (1, 16, 16), generator).state_dict()

    first, again, other = build(0), build(0), build(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["_head.weight"], other["_head.weight"])


def test_deeper_stages_have_more_convolutions() -> None:
    def convolutions(depth: int) -> int:
        network = CnnConfig(depth=depth, width=4).trunk((1, 28, 28))[0]
        return sum(isinstance(module, torch.nn.Conv2d) for module in network.modules())

    assert (convolutions(1), convolutions(2)) == (3, 6)


@pytest.mark.parametrize("depth", [1, 9, 17])
def test_a_wide_resnet_of_impossible_depth_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="6 n \\+ 4"):
        WrnConfig(depth=depth)


def test_a_wide_resnet_is_16_4_unless_told_otherwise() -> None:
    config = WrnConfig()
    assert (config.depth, config.width) == (16, 4)
    assert WrnConfig(width=10, depth=28).depth == 28
    assert ClassifierConfig.model_validate({}) == CnnConfig(width=16, depth=2)


@pytest.mark.parametrize(
    ("tree", "config"),
    [
        ({"architecture": "cnn", "width": 3}, CnnConfig(width=3)),
        ({"architecture": "wrn"}, WrnConfig()),
        ({"architecture": "wrn", "width": 10, "depth": 28}, WrnConfig(width=10, depth=28)),
    ],
)
def test_a_former_version_said_architecture(
    tree: dict[str, object], config: ClassifierConfig, caplog: pytest.LogCaptureFixture
) -> None:
    assert ClassifierConfig.model_validate(tree) == config
    assert "architecture is called kind now" in caplog.text


def test_the_second_judge_is_deeper() -> None:
    assert CnnConfig(width=3, depth=2).deeper() == CnnConfig(width=3, depth=3)
    assert WrnConfig(width=2, depth=16).deeper() == WrnConfig(width=2, depth=22)


def test_images_too_small_and_no_codes_are_refused() -> None:
    with pytest.raises(BadInput, match="8 or more"):
        SMALL.build((DIGIT,), (1, 7, 7), torch.Generator())
    with pytest.raises(BadInput, match="one code or more"):
        SMALL.build((), (1, 8, 8), torch.Generator())
