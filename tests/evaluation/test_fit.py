import copy
import math

import pytest
import torch

from ssgan.base.errors import BadInput, NonFiniteLoss
from ssgan.base.rng import Streams
from ssgan.data.memmap import Split, Take
from ssgan.evaluation.fit import FitConfig, FitState, fit
from ssgan.method.codes import Code
from ssgan.networks.classifier import Classifier, CnnConfig

SIDE = Code(name="side", kind="categorical", classes=("left", "right"))
LEVEL = Code(name="level", kind="continuous", low=0, high=100)
CONFIG = FitConfig(epochs=2, least_updates=40, batch_size=16, learning_rate=0.02)


def halves(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw images whose brighter half is the class and whose brightness is the level."""
    generator = torch.Generator().manual_seed(0)
    side = torch.arange(n) % 2
    level = torch.rand(n, generator=generator) * 2 - 1
    images = torch.randint(0, 20, (n, 1, 8, 8), generator=generator)
    bright = (150 + 80 * level)[:, None, None].expand(n, 8, 4).long()
    images[side == 0, 0, :, :4] += bright[side == 0]
    images[side == 1, 0, :, 4:] += bright[side == 1]
    return images.to(torch.uint8), torch.stack([side.float(), level], dim=1)


def reader(images: torch.Tensor) -> Take:
    return Split(images, torch.empty(len(images), 0)).take


def fresh(codes: tuple[Code, ...]) -> Classifier:
    generator = Streams(0).generator("weights")
    return CnnConfig(width=4).build(codes, (1, 8, 8), generator)


def test_it_learns_a_class_and_a_value_from_partial_labels() -> None:
    images, labels = halves(64)
    partial = labels.clone()
    partial[::4, 0] = math.nan
    partial[1::4, 1] = math.nan
    network = fresh((SIDE, LEVEL))
    fit(network, CONFIG, (SIDE, LEVEL), reader(images), partial, Streams(0))
    out = network(images.float() / 255)
    assert not network.training
    assert torch.equal(out[:, :2].argmax(dim=1).float(), labels[:, 0])
    assert (out[:, 2] - labels[:, 1]).abs().mean() < 0.25


def test_the_result_follows_the_streams_alone() -> None:
    images, labels = halves(32)

    def train(seed: int) -> torch.Tensor:
        network = fresh((SIDE,))
        config = FitConfig(epochs=1, least_updates=3, batch_size=16)
        fit(network, config, (SIDE,), reader(images), labels[:, :1], Streams(seed))
        return network(images.float() / 255)

    first = train(0)
    torch.rand(5)  # the global generator has no say
    assert torch.equal(first, train(0))
    assert not torch.equal(first, train(1))


def test_bfloat16_is_for_the_layers_of_a_training_only() -> None:
    images, labels = halves(64)
    network = fresh((SIDE, LEVEL))
    formats: dict[str, set[torch.dtype]] = {"trunk": set(), "head": set()}

    def watch(name: str, layer: torch.nn.Module) -> None:
        layer.register_forward_hook(lambda *args: formats[name].add(args[2].dtype))

    watch("trunk", network._trunk[0])
    watch("head", network._head)
    config = CONFIG.model_copy(update={"precision": "bfloat16"})
    fit(network, config, (SIDE, LEVEL), reader(images), labels, Streams(0))
    assert formats == {"trunk": {torch.bfloat16}, "head": {torch.float32}}
    formats["trunk"].clear()
    out = network(images.float() / 255)
    assert formats["trunk"] == {torch.float32}
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}
    assert torch.equal(out[:, :2].argmax(dim=1).float(), labels[:, 0])


def test_small_sets_are_walked_until_there_were_enough_updates() -> None:
    images, labels = halves(10)
    told: list[tuple[int, int]] = []
    config = FitConfig(epochs=1, least_updates=7, batch_size=4)
    fit(
        fresh((SIDE,)),
        config,
        (SIDE,),
        reader(images),
        labels[:, :1],
        Streams(0),
        lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 8) for done in range(1, 9)]  # two batches of four an epoch


def test_it_goes_on_from_the_state_after_any_epoch() -> None:
    images, labels = halves(16)
    config = FitConfig(epochs=3, least_updates=0, batch_size=8)
    states: list[FitState] = []
    undisturbed = fresh((SIDE,))
    data = (config, (SIDE,), reader(images), labels[:, :1], Streams(0))
    fit(undisturbed, *data, keep=lambda state: states.append(copy.deepcopy(state)))
    assert [state["epochs"] for state in states] == [1, 2, 3]
    for state in states:
        told: list[tuple[int, int]] = []
        network = fresh((SIDE,))
        fit(network, *data, lambda done, total: told.append((done, total)), state=state)  # noqa: B023
        assert told == [(done, 6) for done in range(2 * state["epochs"] + 1, 7)]
        assert not network.training
        for name, weights in undisturbed.state_dict().items():
            assert torch.equal(network.state_dict()[name], weights), name


def test_augmentation_is_left_out_for_continuous_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = halves(8)
    augmented: list[int] = []

    def record(config: object, x: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        augmented.append(len(x))
        return x

    monkeypatch.setattr("ssgan.evaluation.fit.augment", record)
    config = FitConfig(epochs=1, least_updates=1, batch_size=8)
    fit(fresh((LEVEL,)), config, (LEVEL,), reader(images), labels[:, 1:], Streams(0))
    assert augmented == []
    fit(fresh((SIDE,)), config, (SIDE,), reader(images), labels[:, :1], Streams(0))
    assert augmented == [8]


def test_rows_that_cannot_teach_are_refused() -> None:
    images, labels = halves(4)
    with pytest.raises(BadInput, match="1 images"):
        fit(fresh((SIDE,)), CONFIG, (SIDE,), reader(images[:1]), labels[:1, :1], Streams(0))
    labels[:, 1] = math.nan
    with pytest.raises(BadInput, match="labels no image with level"):
        fit(fresh((SIDE, LEVEL)), CONFIG, (SIDE, LEVEL), reader(images), labels, Streams(0))


def test_divergence_ends_it_at_once_and_names_the_learning_rate() -> None:
    images, labels = halves(8)
    network = fresh((SIDE,))
    with torch.no_grad():
        next(network.parameters()).fill_(math.nan)
    told: list[int] = []
    kept: list[FitState] = []
    with pytest.raises(NonFiniteLoss, match="learning_rate"):
        fit(
            network,
            CONFIG,
            (SIDE,),
            reader(images),
            labels[:, :1],
            Streams(0),
            lambda done, total: told.append(done),
            keep=kept.append,
        )
    assert told == [1]  # the first epoch's one update, of forty
    assert kept == []
