"""One worker and several make the same updates; this file is also the program of each of them."""

import itertools
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
import torch
import torch._dynamo  # which DDP imports: once, before workers are forked
from torch import Tensor, nn
from torch import distributed as dist

from ssgan.data.dataset import Dataset
from ssgan.data.sources import DigitsSource
from ssgan.data.store import prepare
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.method.extra_term import ExtraTerm, Half
from ssgan.networks.dcgan import DcganConfig
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator
from ssgan.training.distributed import Worker
from ssgan.training.rebuild import rebuild_labels
from ssgan.training.state import Training
from tests.compatibility.test_losses import TINY, in_float64, made_up_mnist

CPU = torch.device("cpu")
UPDATES = 20
SMALLER = ("networks.width=8", "networks.hidden=64", "training.batch_size=32")
CONSISTENCY = "objective.consistency={information: 0.5, fairness: 0.5, half_life: 60}"
PENALTY = "objective.extra=[{kind: elsewhere.RealSlope, weight: 5}]"
REBUILT = "data.spread={neighbors: 5, rebuild: 1, first: none}"
OWN = "label_sampling.batch_size=16"
GROUPS = (
    "label_sampling.batch_size=32",
    "training.batch_size=32",
    "networks.batch_norm.group=4",
)
CASES: dict[str, tuple[str, tuple[str, ...], tuple[int, ...]]] = {
    "digits": ("digits", (), (2,)),
    "mnist-authors": ("mnist-authors", SMALLER, (2,)),
    "tiny digits": ("digits", (*TINY, OWN), (4, 8)),
    "tiny mnist-authors": ("mnist-authors", TINY, (4, 8)),
    "one image a worker": ("digits", (*TINY, OWN, "training.batch_size=4"), (4,)),
    "with a penalty on the slope": ("digits", (*TINY, OWN, PENALTY), (2,)),
    "with consistency": ("digits", (*TINY, OWN, CONSISTENCY), (2, 4)),
    "with spread labels": ("digits", (*TINY, OWN, "data.spread.weight=0.5"), (2,)),
    "with labels spread again": ("digits", (*TINY, OWN, REBUILT), (2, 4)),
    "in groups": ("digits", (*TINY, *GROUPS), (2, 4)),
}
PAIRS = [(case, world) for case, (*_, worlds) in CASES.items() for world in worlds]
WORLDS = sorted({world for _, world in PAIRS}, reverse=True)


class RealSlope(ExtraTerm):
    """The penalty R1 on D's slope at real images."""

    kind: Literal["elsewhere.RealSlope"] = "elsewhere.RealSlope"

    def discriminator_term(self, half: Half) -> Tensor:
        x = half.x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(half.d(half.trunk(x)).sum(), x, create_graph=True)
        return slope.square().sum(dim=(1, 2, 3)).mean()


class InFloat64(DcganConfig):
    """DCGAN that computes in float64."""

    kind: Literal["elsewhere.InFloat64"] = "elsewhere.InFloat64"  # type: ignore[assignment]

    def build_generator(self, *how: Any) -> Generator:
        return in_float64(super().build_generator(*how))

    def build_discriminator(self, *how: Any) -> Discriminator:
        return in_float64(super().build_discriminator(*how))


def measure(case: str, folder: Path) -> dict[str, Tensor]:
    """Make the first updates of a case as one of the workers that there are.

    The first gradient is taken in float32, where the order of sums alone moves it by 2e-6 to 1e-5
    of its length, by the seed. Later on, float32 tells little: one worker with two threads is half
    of the way apart from itself with one after 20 updates of digits, because at first many
    gradients are all but zero, and Adam takes a step by their sign. In float64 they vanish beside
    Adam's epsilon.
    """
    worker = Worker.join(CPU)
    first = Training(*load(case, folder), worker)
    first.update()
    gradients = [p.grad.flatten() for p in first.step.generator.parameters() if p.grad is not None]

    experiment, dataset = load(case, folder, "networks.kind=elsewhere.InFloat64")
    training = Training(experiment, dataset, worker)
    networks = (training.step.generator, training.step.discriminator)
    start = torch.cat([effective(network) for network in networks])
    for _ in range(UPDATES):
        rebuild_labels(experiment, dataset, training, worker)
        training.update()
    training.synchronize()
    return {
        "gradient": torch.cat(gradients),
        "start": start,
        "end": torch.cat([effective(network) for network in networks]),
        "statistics": torch.cat([b.double().flatten() for n in networks for b in n.buffers()]),
        "labels": training.batches.y.nan_to_num(-1),
    }


def load(case: str, folder: Path, *overrides: str) -> tuple[Experiment, Dataset]:
    experiment = load_experiment(CASES[case][0], [*CASES[case][1], *overrides])
    source = experiment.data.source
    store = (
        prepare(source) if isinstance(source, DigitsSource) else made_up_mnist(folder / uuid4().hex)
    )
    return experiment, Dataset.load(experiment.data, experiment.codes, store)


def effective(network: nn.Module) -> Tensor:
    """Return the parameters in one row, without those that have no effect."""
    without = set(silent(network))
    return torch.cat([p.detach().flatten() for p in network.parameters() if id(p) not in without])


def silent(network: nn.Module) -> Iterator[int]:
    """Yield biases that BatchNorm takes away again.

    Their gradient is nothing but rounding, which Adam makes whole steps of.
    """
    for stack in network.modules():
        layers = list(stack.children()) if isinstance(stack, nn.Sequential) else []
        for layer, following in itertools.pairwise(layers):
            if isinstance(following, nn.modules.batchnorm._BatchNorm):
                yield id(layer.bias)


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).double().norm())


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {case: measure(case, tmp_path_factory.mktemp("alone")) for case in CASES}
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    """What each of eight workers found, by case and number of workers."""
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "tests.training.test_world_size", str(folder)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    return [torch.load(folder / f"{rank}.pt") for rank in range(max(WORLDS))]


@pytest.mark.parametrize(("case", "world"), PAIRS)
def test_any_number_of_workers_makes_the_updates_of_one(
    case: str, world: int, alone: dict[str, dict[str, Tensor]], together: list[dict[Any, Any]]
) -> None:
    one, several = alone[case], together[0][case, world]
    assert torch.equal(one["start"], several["start"])
    gradient = distance(one["gradient"], several["gradient"])
    assert gradient < 3e-5 * one["gradient"].norm()
    travelled = distance(one["start"], one["end"])
    assert distance(one["end"], several["end"]) < 1e-3 * travelled
    torch.testing.assert_close(several["statistics"], one["statistics"], rtol=1e-3, atol=1e-5)
    assert torch.equal(one["labels"], several["labels"])


@pytest.mark.parametrize(("case", "world"), PAIRS)
def test_all_workers_end_with_the_same_bits(
    case: str, world: int, together: list[dict[Any, Any]]
) -> None:
    first = together[0][case, world]
    for found in together[1:world]:
        for name, values in first.items():
            assert torch.equal(found[case, world][name], values), name


def work(rank: int, folder: Path) -> None:
    """Be one of two, of four and of eight workers in turn."""
    torch.set_num_threads(1)
    found = {}
    for world in WORLDS:
        if rank >= world:
            continue
        group = f"file://{folder}/group-{world}"
        dist.init_process_group("gloo", group, rank=rank, world_size=world)
        for case, (*_, worlds) in CASES.items():
            if world in worlds:
                found[case, world] = measure(case, folder)
        dist.barrier()  # a rank that leaves early can make gloo abort the others
        dist.destroy_process_group()
    torch.save(found, folder / f"{rank}.pt")


def main(folder: Path) -> None:
    """Be all workers: they are forked, before torch has any thread, to import everything once."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(rank, folder)) for rank in range(max(WORLDS))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(any(worker.exitcode for worker in workers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
