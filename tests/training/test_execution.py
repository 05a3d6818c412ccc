"""The body of an update executed as graphs, whose capture is played by a call that is kept."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from ssgan.data.dataset import Dataset
from ssgan.data.store import Store
from ssgan.experiment.tree import Experiment
from ssgan.method.extra_term import ExtraTerm, Half
from ssgan.training.distributed import Worker
from ssgan.training.execution import Capture, Eager, Graphs, numerics
from ssgan.training.state import Training
from tests.helpers.runs import assert_same_state

CPU = torch.device("cpu")


class Twice(ExtraTerm):
    """A term that draws from one stream in both halves, and twice in one of them."""

    kind: Literal["elsewhere.Twice"] = "elsewhere.Twice"

    def discriminator_term(self, half: Half) -> Tensor:
        one, other = (self._noise(half) for _ in range(2))
        return (
            (half.d(half.trunk(half.x + one)) - half.d(half.trunk(half.x + other))).square().mean()
        )

    def generator_term(self, half: Half) -> Tensor:
        return half.d(half.trunk(half.fake + self._noise(half))).square().mean()

    def _noise(self, half: Half) -> Tensor:
        return torch.randn(half.x.shape, generator=half.generators("blur")) / 10


TREE: dict[str, Any] = {
    "codes": {"noise": 4},
    "networks": {"width": 2, "hidden": 8, "q_hidden": 4},
    "data": {"labels": "10%"},
    "label_sampling": {
        "batch_size": 4,
        "floor": 0.5,
        "probability": {"kind": "constant", "value": 0.5},
    },
    "training": {"epochs": 3, "steps_per_epoch": 4, "batch_size": 8},
    # Rates that float32 holds: a graph reads them from a tensor.
    "optimizer": {"discriminator_lr": 2.0**-13, "generator_lr": 2.0**-10},
}
SHIFT = {"rotation": 0, "scale": 0, "shear": 0, "shift": 0.2}
ENDING = {"kind": "step", "start": 0.2, "drop": 0.2, "floor": 0, "duration": 2}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "augmented": {"augmentation": SHIFT},
    "own images augmented": {"label_sampling": {"augment": SHIFT}},
    "noise that ends": {
        "instance_noise": {"kind": "step", "start": 0.2, "drop": 0.2, "floor": 0, "duration": 2}
    },
    "consistency": {"objective": {"consistency": {"fairness": 0.5, "strong": {"cut": 0.3}}}},
    "a coin an image": {"label_sampling": {"unit": "example"}},
    "empirical prior": {"codes": {"prior": "empirical"}},
    "another term": {"objective": {"extra": [{"kind": "elsewhere.Twice"}]}},
}


def build(store: Store, changes: dict[str, Any] | None = None) -> Training:
    tree = {branch: dict(fields) for branch, fields in TREE.items()}
    for branch, fields in (changes or {}).items():
        tree[branch] = {**tree.get(branch, {}), **fields}
    if tree["label_sampling"].get("unit") == "example":
        del tree["label_sampling"]["batch_size"]
    made = Experiment.model_validate(tree)
    return Training(made, Dataset.load(made.data, made.codes, store), Worker(0, 1, CPU))


def kept(call: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
    return call


def with_graphs(training: Training, capture: Capture = kept, *, is_strict: bool = True) -> Training:
    state = training._changed_tensors
    training._execution = Graphs(training.streams, CPU, state, capture, is_strict=is_strict)
    return training


def updated(training: Training, count: int = 12) -> Training:
    for _ in range(count):
        training.update()
    return training


def assert_same(one: Training, other: Training) -> None:
    assert_same_state(one.state(), other.state())
    assert one.find_not_finite() == other.find_not_finite() is None


@pytest.mark.parametrize("kind", KINDS)
def test_graphs_make_the_updates_of_the_operators(kind: str, digits_store: Store) -> None:
    captured: list[int] = []

    def capture(
        call: Callable[[], None], generators: Sequence[torch.Generator]
    ) -> Callable[[], None]:
        captured.append(len(generators))
        return call

    by_graphs = updated(with_graphs(build(digits_store, KINDS[kind]), capture))
    assert_same(by_graphs, updated(build(digits_store, KINDS[kind])))
    assert captured
    assert all(captured)


def test_a_graph_is_made_of_each_kind_of_update_once(digits_store: Store) -> None:
    training = build(digits_store)
    captured: list[int] = []

    def capture(
        call: Callable[[], None], generators: Sequence[torch.Generator]
    ) -> Callable[[], None]:
        captured.append(training.updates)
        return call

    with_graphs(training, capture)
    coins = [training.batches.read(step, 0.5).labeled is not None for step in range(12)]
    updated(training)
    expected = sorted(
        [step for step in range(12) if coins[step] is kind][1] for kind in (False, True)
    )
    assert captured == expected


def test_what_is_resumed_is_captured_again(digits_store: Store) -> None:
    whole = updated(with_graphs(build(digits_store)))
    first = updated(with_graphs(build(digits_store)), 6)
    second = build(digits_store)
    second.load(first.state())
    assert isinstance(second._execution, Eager)  # on a CPU
    assert_same(updated(with_graphs(second), 6), whole)


def refused(call: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
    call()  # a capture computes nothing, but what is half done must not count
    raise RuntimeError("operation not permitted when stream is capturing")


def of_the_past(
    call: Callable[[], None], generators: Sequence[torch.Generator]
) -> Callable[[], None]:
    """Play a graph that is not seeded again."""
    states = [generator.get_state() for generator in generators]

    def replay() -> None:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state.roll(1))
        call()

    return replay


def of_nothing(
    call: Callable[[], None], generators: Sequence[torch.Generator]
) -> Callable[[], None]:
    return lambda: None


BROKEN = [
    (refused, "it cannot be captured: operation not permitted"),
    (of_nothing, r"its graph moves \d+% of what is trained otherwise"),
    (of_the_past, r"its graph moves \d+% of what is trained otherwise"),
]


@pytest.mark.parametrize(("capture", "why"), BROKEN)
def test_a_graph_that_does_something_else_is_not_used(
    capture: Capture, why: str, digits_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    training = updated(with_graphs(build(digits_store), capture, is_strict=False))
    assert_same(training, updated(build(digits_store)))
    (told,) = caplog.messages  # not of each kind again
    assert told.startswith("training goes on without CUDA graphs, as eager: ")
    with pytest.raises(RuntimeError, match=f"training.execution=graph: .*{why}"):
        updated(with_graphs(build(digits_store), capture))


@pytest.mark.parametrize("tf32", [False, True])
def test_numerics_hold_for_a_while(tf32: bool) -> None:
    flags = torch.backends.cudnn, torch.backends.cuda.matmul

    def now() -> tuple[bool, ...]:
        return (*(flag.allow_tf32 for flag in flags), torch.backends.cudnn.deterministic)

    before = now()
    with numerics(CPU, tf32=tf32, deterministic=True):
        assert now() == before
    with numerics(torch.device("cuda"), tf32=tf32, deterministic=True):
        assert now() == (tf32, tf32, True)
    assert now() == before
