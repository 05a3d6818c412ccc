"""Training by one worker and by two; this file is also the program that each of the two runs."""

import hashlib
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist

from ssgan.data.dataset import Dataset
from ssgan.data.sources import DigitsSource
from ssgan.data.store import Store, prepare
from ssgan.experiment.tree import Experiment
from ssgan.method.extra_term import ExtraTerm, Half
from ssgan.method.optimizer import Weights
from ssgan.networks.batch_norm import rank_buffers
from ssgan.records.saved_state import leaves
from ssgan.training.distributed import Worker
from ssgan.training.state import Training
from ssgan.training.step import TERMS, StepInput, Terms
from tests.helpers.runs import assert_same_state

CPU = torch.device("cpu")


class Slope(ExtraTerm):
    """A penalty on D's slope between real and synthetic images, at random points."""

    kind: Literal["elsewhere.Slope"] = "elsewhere.Slope"

    def discriminator_term(self, half: Half) -> Tensor:
        draw = half.generators("between")
        at = torch.rand(len(half.x), 1, 1, 1, generator=draw, device=draw.device)
        x = torch.lerp(half.x, half.fake, at).requires_grad_()
        (slope,) = torch.autograd.grad(half.d(half.trunk(x)).sum(), x, create_graph=True)
        return slope.square().sum(dim=(1, 2, 3)).mean()


class Undefined(ExtraTerm):
    """A term without a value."""

    kind: Literal["elsewhere.Undefined"] = "elsewhere.Undefined"

    def generator_term(self, half: Half) -> Tensor:
        return (-half.fake.mean()).log()


EXTRA = {"objective": {"extra": [{"kind": "elsewhere.Slope", "weight": 5}]}}
CONSISTENCY = {"information": 0.5, "fairness": 0.5, "half_life": 30, "strong": {"cut": 0.3}}
TREE: dict[str, Any] = {
    "codes": {"noise": 4},
    "networks": {"width": 2, "hidden": 8, "q_hidden": 4},
    "data": {"labels": "10%"},
    "label_sampling": {"batch_size": 4, "floor": 0.5},
    "training": {"batch_size": 8, "steps_per_epoch": 4},
    "optimizer": {"discriminator_lr": 2e-3, "generator_lr": 1e-2},
}
MODES: dict[str, dict[str, Any]] = {
    "separate": {"label_sampling": {"augment": {}}},
    "batch": {"label_sampling": {"unit": "batch"}},
    "example": {"label_sampling": {"unit": "example"}},
    "spread": {"data": {"spread": {"neighbors": 5, "weight": 0.5}}},
    "spread by example": {
        "data": {"spread": {"neighbors": 5, "weight": 0.5}},
        "label_sampling": {"unit": "example"},
    },
    "infogan": {"data": {"labels": 0}},
    "noise": {"instance_noise": {"kind": "linear", "start": 0.3, "duration": 2}},
    "augmentation": {"augmentation": {"flip": True}},
    "gaussian": {"codes": {"posterior": "gaussian"}},
    "falling rates": {"optimizer": {"lr_schedule": {"kind": "linear", "duration": 50}}},
    "bfloat16": {"training": {"precision": "bfloat16"}},
    "extra": EXTRA,
    "extra in bfloat16": {**EXTRA, "training": {"precision": "bfloat16"}},
    "consistency": {"objective": {"consistency": CONSISTENCY}},
    "consistency, no labels": {"objective": {"consistency": CONSISTENCY}, "data": {"labels": 0}},
}


def experiment(mode: str = "separate", **more: dict[str, Any]) -> Experiment:
    tree = {branch: dict(fields) for branch, fields in TREE.items()}
    for branch, fields in [*MODES[mode].items(), *more.items()]:
        tree[branch] = tree.get(branch, {}) | fields
    return Experiment.model_validate(tree)


def build(store: Store, made: Experiment, worker: Worker | None = None) -> Training:
    dataset = Dataset.load(made.data, made.codes, store)
    return Training(made, dataset, worker or Worker.join(CPU))


def train(training: Training, updates: int) -> Training:
    for _ in range(updates):
        training.update()
    return training


def flat(value: object) -> dict[str, Any]:
    return dict(leaves(value))


@pytest.mark.parametrize("mode", MODES)
def test_a_restored_run_goes_on_bit_for_bit(mode: str, digits_store: Store) -> None:
    made = experiment(mode)
    undisturbed = train(build(digits_store, made), 6)
    file = io.BytesIO()
    torch.save(train(build(digits_store, made), 3).state(), file)
    file.seek(0)
    resumed = build(digits_store, made)
    train(resumed, 1)  # what was there before leaves no trace
    resumed.load(torch.load(file, weights_only=True))
    assert resumed.updates == 3
    train(resumed, 3)
    assert_same_state(resumed.state(), undisturbed.state())
    assert resumed.take_losses() == undisturbed.take_losses()


def test_a_run_follows_from_its_seed(digits_store: Store) -> None:
    torch.manual_seed(1)
    one = train(build(digits_store, experiment()), 2)
    torch.manual_seed(2)
    assert_same_state(one.state(), train(build(digits_store, experiment()), 2).state())
    other_seed = build(digits_store, experiment().model_copy(update={"seed": 1}))
    weights = [next(t.step.generator.parameters()) for t in (one, train(other_seed, 2))]
    assert not torch.equal(*weights)


def test_progress_is_counted_in_images(digits_store: Store) -> None:
    probability = {"kind": "step", "drop": 0.25, "duration": 1}
    made = experiment(label_sampling={"probability": probability, "floor": "share"})
    training = build(digits_store, made)
    seen = []
    for _ in range(9):
        seen.append((training.images_seen, training.label_probability(training.updates)))
        training.update()
    assert [images for images, _ in seen] == [8 * step for step in range(9)]
    assert [p for _, p in seen] == pytest.approx([1.0] * 4 + [0.75] * 4 + [0.5])


def test_losses_are_means_since_they_were_taken(digits_store: Store) -> None:
    training = build(digits_store, experiment())
    step, made = training.step, []

    def record(inputs: StepInput, weights: Weights) -> Terms:
        terms = step(inputs, weights)
        made.append(terms.values())
        return terms

    training.step = record  # type: ignore[assignment]
    assert all(value == 0 for value in training.take_losses().values())
    for updates in (3, 2):
        made.clear()
        train(training, updates)
        expected = torch.stack(made).mean(0).tolist()
        assert training.take_losses() == pytest.approx(
            {f"loss/{term}": value for term, value in zip(TERMS, expected, strict=True)}
        )


def test_the_average_follows_the_generator(digits_store: Store) -> None:
    made = experiment(training={"average": {"half_life": 1e-6}})
    training = train(build(digits_store, made), 2)
    for averaged, value in zip(
        training.ema.parameters, training.step.generator.parameters(), strict=True
    ):
        torch.testing.assert_close(averaged, value.detach())


def spoil(training: Training, at: int, field: str, value: float = math.nan) -> None:
    """Make one input of one update something that is not a number."""
    draw = training._inputs

    def spoilt(*args: Any) -> StepInput:
        inputs = draw(*args)
        if training.updates == at:
            getattr(inputs, field)[0] = value
        return inputs

    training._inputs = spoilt  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("field", "value", "term"), [("x", math.nan, "d_real"), ("z", math.inf, "d_fake")]
)
def test_a_term_that_is_not_finite_is_named_with_its_update(
    field: str, value: float, term: str, digits_store: Store
) -> None:
    training = build(digits_store, experiment())
    spoil(training, 2, field, value)
    train(training, 2)
    assert training.find_not_finite() is None
    train(training, 3)
    assert training.find_not_finite() == (term, 2)
    assert all(p.isfinite().all() for p in training.step.discriminator.parameters())
    assert all(p.isfinite().all() for p in training.step.generator.parameters())


def test_so_is_a_term_of_another_package(digits_store: Store) -> None:
    extra = [{"kind": "elsewhere.Slope"}, {"kind": "elsewhere.Undefined"}]
    training = train(build(digits_store, experiment(objective={"extra": extra})), 2)
    assert training.find_not_finite() == ("Undefined", 0)
    assert list(training.take_losses())[-2:] == ["loss/Slope", "loss/Undefined"]
    assert all(p.isfinite().all() for p in training.step.generator.parameters())


def test_instance_noise_follows_its_schedule(digits_store: Store) -> None:
    noise = {"kind": "step", "start": 0.3, "drop": 0.2, "floor": 0, "duration": 1}
    training = build(digits_store, experiment(instance_noise=noise))
    for updates, expected in ((0, 0.3), (4, 0.1)):
        training.updates = updates
        inputs = training.draw()
        assert inputs.noise_real is not None
        assert inputs.noise_fake is not None
        both = torch.stack([inputs.noise_real, inputs.noise_fake])
        assert both.std().item() == pytest.approx(expected, rel=0.1)
        assert abs((both[0] * both[1]).mean().item()) < 0.1 * expected**2  # independent
    training.updates = 8
    assert training.draw().noise_real is None


def test_every_look_at_an_image_has_a_map_of_its_own(digits_store: Store) -> None:
    augmentation = {"rotation": 0, "scale": 0, "shear": 0, "shift": 0.2}
    training = build(digits_store, experiment(augmentation=augmentation))
    drawn = []
    for step in range(2):
        training.updates = step
        maps = training.draw().maps
        assert maps.labeled is not None  # the probability is 1 at first
        assert [len(part) for part in maps if part is not None] == [8, 4, 8, 8]
        drawn.append(torch.cat([part for part in maps if part is not None]))
    every = torch.cat(drawn)
    assert len(every.unique(dim=0)) == 2 * 28
    assert every[:, :, 2].abs().max() <= 2 * 0.2  # an image is 2 units wide
    assert torch.equal(every[:, :, :2], torch.eye(2).expand(2 * 28, 2, 2))
    assert set(build(digits_store, experiment()).draw().maps) == {None}


def test_every_image_is_strongly_changed_in_its_own_way(digits_store: Store) -> None:
    training = build(digits_store, experiment("consistency"))
    drawn = []
    for step in range(2):
        training.updates = step
        inputs = training.draw()
        assert inputs.strong is not None
        assert inputs.strong.shape == inputs.x.shape
        assert inputs.strong.ne(inputs.x).flatten(1).any(dim=1).all()
        drawn.append(inputs)
    plain = build(digits_store, experiment())
    plain.updates = 1
    others = plain.draw()
    assert others.strong is None
    for field in ("x", "c", "z"):
        assert torch.equal(getattr(others, field), getattr(drawn[1], field))


@pytest.mark.parametrize("averages", [None, {}, 5, {"confidence": torch.ones(2)}])
def test_averages_that_no_run_had_are_refused_in_a_line(
    averages: object, digits_store: Store
) -> None:
    training = build(digits_store, experiment("consistency"))
    training.check(training.state())
    with pytest.raises(ValueError, match=r"consistency: .*tensor") as refused:
        training.check(training.state() | {"consistency": averages})
    assert len(str(refused.value).splitlines()) == 1
    assert "consistency" not in build(digits_store, experiment()).state()


def test_lambda2_warms_up(digits_store: Store) -> None:
    warm_up = {"start": 0.5, "delay": 1, "duration": 2}
    training = build(
        digits_store, experiment(objective={"lambda2": 2.0, "lambda2_warm_up": warm_up})
    )
    assert [training.weights(updates).lambda2 for updates in (0, 4, 6, 8, 12, 99)] == pytest.approx(
        [1.0, 1.0, 1.25, 1.5, 2.0, 2.0]
    )
    plain = build(digits_store, experiment(objective={"lambda2": 1.0}))
    for one in (training, plain):
        train(one, 4)
    same = list(
        map(torch.equal, training.step.generator.parameters(), plain.step.generator.parameters())
    )
    assert all(same)
    for one in (training, plain):
        train(one, 7)
    assert not torch.equal(
        next(training.step.generator.parameters()), next(plain.step.generator.parameters())
    )


@pytest.mark.parametrize(
    ("field", "falling"),
    [
        ("lr_schedule", {"d_lr", "g_lr"}),
        ("generator_lr_schedule", {"g_lr"}),
    ],
)
def test_learning_rates_follow_their_schedules(
    field: str, falling: set[str], digits_store: Store
) -> None:
    schedule = {"kind": "linear", "delay": 1, "duration": 2}
    training = build(
        digits_store,
        experiment(optimizer={field: schedule}, training={"epochs": 3}),
    )
    plain = build(digits_store, experiment())
    full = plain.weights(0)
    assert training.weights(4) == full == Weights(lambda1=0.8, lambda2=2.0, d_lr=2e-3, g_lr=1e-2)
    half = {name: getattr(full, name) * 0.5 for name in falling}
    assert training.weights(8) == pytest.approx(full._replace(**half))

    def parameters(made: Training) -> dict[str, list[Tensor]]:
        pair = {"d_lr": made.step.discriminator, "g_lr": made.step.generator}
        return {
            name: [value.detach().clone() for value in network.parameters()]
            for name, network in pair.items()
        }

    for one in (training, plain):
        train(one, 5)  # the factor of the fifth is still 1
    for name, values in parameters(training).items():
        assert all(map(torch.equal, values, parameters(plain)[name]))
    train(training, 7)
    before = parameters(training)
    train(training, 2)  # at a rate of 0
    for name, values in parameters(training).items():
        assert all(map(torch.equal, values, before[name])) == (name in falling)


class Unwrapped(Worker):
    """One of several workers whose gradients are not shared."""

    def wrap(self, module: nn.Module) -> nn.Module:
        return module


@pytest.mark.parametrize("mode", MODES)
def test_workers_draw_the_batch_of_one(mode: str, digits_store: Store) -> None:
    made = experiment(mode)
    whole = build(digits_store, made)
    parts = [build(digits_store, made, Unwrapped(rank, 2, CPU)) for rank in range(2)]
    for step in range(6):
        for training in (whole, *parts):
            training.updates = step
        expected = flat(whole.draw())
        drawn = [flat(part.draw()) for part in parts]
        assert expected.keys() == drawn[0].keys() == drawn[1].keys()
        for path, value in expected.items():
            if value is None:
                assert drawn[0][path] is drawn[1][path] is None
            else:
                joined = torch.cat([part[path] for part in drawn])
                torch.testing.assert_close(joined, value, rtol=0, atol=1e-6, equal_nan=True)


@pytest.fixture(scope="module")
def ranks(digits_store: Store, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two workers, joined by gloo, ended with in every mode."""
    folder = tmp_path_factory.mktemp("ranks")
    command, root = [sys.executable, "-m", __name__], Path(__file__).parents[2]
    processes = [
        subprocess.Popen([*command, str(rank), str(folder)], cwd=root) for rank in range(2)
    ]
    assert [process.wait(timeout=280) for process in processes] == [0, 0]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("mode", MODES)
def test_two_ranks_end_with_the_same_weights(mode: str, ranks: list[dict[str, Any]]) -> None:
    one, other = (found[mode] for found in ranks)
    assert one["weights"] == other["weights"]
    assert one["weights"] != one["start"]
    assert one["losses"] == other["losses"]
    assert all(math.isfinite(value) for value in one["losses"].values())
    assert one["not_finite"] is None


def test_ranks_see_images_of_their_own(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["separate"]["seen"] != ranks[1]["separate"]["seen"]


def test_ranks_have_the_same_statistics_at_any_time(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["separate"]["statistics"] == ranks[1]["separate"]["statistics"]


def test_ranks_that_stop_within_an_epoch_go_on_bit_for_bit(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["stopped"]["own"] != ranks[1]["stopped"]["own"]
    for found in ranks:
        assert found["resumed"] == found["undisturbed"]


def test_what_ranks_stopped_with_goes_on_with_another_number_of_them(
    ranks: list[dict[str, Any]],
) -> None:
    for found in ranks:
        assert found["alone"] == pytest.approx(found["mean"], rel=1e-6)


@pytest.mark.parametrize("ranks", [5, torch.ones(1, 3), torch.ones(2) / 0])
def test_ranks_that_none_had_are_refused_in_a_line(ranks: object, digits_store: Store) -> None:
    training = build(digits_store, experiment())
    with pytest.raises(ValueError, match="ranks") as refused:
        training.check(training.state() | {"ranks": ranks})
    assert len(str(refused.value).splitlines()) == 1


def test_a_term_that_is_not_finite_on_one_rank_stops_all(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert found["spoilt"] == {"not_finite": ["d_real", 1], "d_moved": False, "g_moved": True}


def test_one_worker_makes_the_step_of_two(ranks: list[dict[str, Any]], digits_store: Store) -> None:
    alone = train(build(digits_store, experiment("separate")), 1).take_losses()
    for term, value in ranks[0]["first"].items():
        assert value == pytest.approx(alone[term], rel=1e-5), term


def summarize(training: Training) -> dict[str, Any]:
    """Say what an epoch ends with."""
    losses = training.take_losses()
    training.synchronize()
    tensors = [value for _, value in leaves(training.state()) if isinstance(value, Tensor)]
    return {"losses": losses, "state": fingerprint(tensors)}


def fingerprint(tensors: Any) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().numpy().tobytes())
    return digest.hexdigest()


def main(rank: int, folder: Path) -> None:
    """Be one of two workers."""
    torch.set_num_threads(1)
    store = prepare(DigitsSource())
    dist.init_process_group("gloo", f"file://{folder}/group", rank=rank, world_size=2)
    found: dict[str, Any] = {}
    for mode in MODES:
        training = build(store, experiment(mode))
        step = training.step
        weights = [*step.generator.parameters(), *step.discriminator.parameters()]
        start = fingerprint(weights)
        train(training, 6)
        found[mode] = {
            "start": start,
            "weights": fingerprint([*weights, *training.ema.parameters]),
            "statistics": fingerprint(step.discriminator.buffers()),
            "seen": fingerprint([training.draw().x]),
            "losses": training.take_losses(),
            "not_finite": training.find_not_finite(),
        }
    found["first"] = train(build(store, experiment()), 1).take_losses()

    # Groups, whose running statistics each rank has of its own until they are averaged.
    grouped = experiment(networks={"batch_norm": {"group": 2}})
    found["undisturbed"] = summarize(train(build(store, grouped), 3))
    stopped = train(build(store, grouped), 2)
    found["stopped"] = {"own": fingerprint(rank_buffers(stopped.step.discriminator))}
    stopped.synchronize(within_epoch=True)
    state = Worker.join(CPU).share(stopped.state)
    resumed = build(store, grouped)
    resumed.check(state)
    resumed.load(state)
    found["resumed"] = summarize(train(resumed, 1))
    # Statistics of both ranks, which a worker that is alone has of its own.
    both = train(build(store, experiment()), 2)
    both.synchronize(within_epoch=True)
    state = Worker.join(CPU).share(both.state)
    alone = build(store, experiment(), Worker(0, 1, CPU))
    alone.check(state)
    alone.load(state)
    found["mean"] = both.take_losses()
    found["alone"] = alone.take_losses()

    training = train(build(store, experiment()), 1)
    if rank == 1:
        spoil(training, 1, "x")
    networks = (training.step.discriminator, training.step.generator)
    before = [fingerprint(network.parameters()) for network in networks]
    train(training, 1)
    moved = [fingerprint(n.parameters()) != b for n, b in zip(networks, before, strict=True)]
    found["spoilt"] = {
        "not_finite": training.find_not_finite(),
        "d_moved": moved[0],
        "g_moved": moved[1],
    }
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()  # a rank that leaves early can make gloo abort the other
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
