"""The same experiment with 1, 2 and 8 workers, and what normalization over them costs.

``python -m benchmarks.workers --out runs/workers --write`` trains the preset `digits` for 600
updates with each number of workers and each seed, as ``ssgan train`` does (runs that are finished
are kept, so that the command can be repeated), then times the step of two processes with BatchNorm
over both, and in groups that need no communication, in turn. ``--small`` shows in a minute that it
runs.
"""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import distributed as dist

from benchmarks.results_page import ResultsPage
from ssgan.data.dataset import Dataset
from ssgan.data.store import prepare
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.driver import train
from ssgan.launch.machine import describe_machine
from ssgan.records.rundir import RunDir
from ssgan.training.distributed import Worker
from ssgan.training.state import Training

_SMALL = (
    *("networks.width=2", "networks.hidden=8", "training.steps_per_epoch=3"),
    *("evaluation.samples=20", "evaluation.judge.epochs=1", "evaluation.judge.least_updates=2"),
)
_GROUPS = (8, 16, 32)
_RANKS = 2


class Arm(NamedTuple):
    """One way to train: its title, its part of the runs' names, its overrides."""

    title: str
    name: str
    overrides: tuple[str, ...]


ARMS = (
    Arm("1 worker of 64 images", "workers-1", ()),
    Arm("1 worker of 64 images, 2 threads", "threads-2", ("scaling.threads=2",)),
    Arm("2 workers of 32 images", "workers-2", ("scaling.workers=2",)),
    Arm("8 workers of 8 images", "workers-8", ("scaling.workers=8", "scaling.cpus=0.25")),
    *(
        Arm(
            f"1 worker, groups of {group}",
            f"group-{group}",
            (f"networks.batch_norm.group={group}",),
        )
        for group in _GROUPS
    ),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing, measure the cost, print the page, and write it if asked to."""
    page = ResultsPage("workers.md", __doc__, "one worker, a few tiny updates")
    page.add_argument("--out", default="runs/workers", help="folder of the runs")
    page.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    page.add_argument("--rounds", type=int, default=15, help="rounds of the timing")
    page.add_argument("--updates", type=int, default=20, help="updates of each step in a round")
    arguments = page.read(argv)
    arms = ARMS[:1] + ARMS[4:5] if arguments.small else ARMS
    common = ("training.epochs=3", "scaling.threads=1", *(_SMALL if arguments.small else ()))
    losses = {}
    for seed in arguments.seeds:
        for arm in arms:
            losses[arm.title, seed] = _loss(arm, seed, common, arguments.out)
            print(f"{arm.title}, seed {seed}: {losses[arm.title, seed]:.4f}", flush=True)
    costs = _cost(common, arguments.rounds, arguments.updates)
    text = _page(losses, arguments.seeds, arms, costs, arguments.rounds, arguments.updates)
    page.publish(text, write=arguments.write)


def _loss(arm: Arm, seed: int, common: Sequence[str], out: str) -> float:
    """Return the 0-1 loss of EMA's samples after the last update; train unless that is done."""
    name = f"{arm.name}-seed-{seed}"
    run = RunDir(Path(out, name))
    if run.summary() is None:
        experiment = load_experiment("digits", [*common, *arm.overrides, f"seed={seed}"])
        is_begun = run.exists("run.json")
        train(experiment, out, name, resume=run.location if is_begun else None)
    summary = run.summary()
    assert summary is not None
    return float(summary["metrics"]["zero_one_loss_ema"])


class Cost(NamedTuple):
    """Seconds of one round: of the clock, and of the CPU over both processes."""

    wall: float
    cpu: float


def _cost(common: Sequence[str], rounds: int, updates: int) -> tuple[list[Cost], list[Cost]]:
    """Time the updates of two processes: with BatchNorm over both, and in groups, in turn."""
    experiments = [
        load_experiment("digits", [*common, *more])
        for more in ((), ("networks.batch_norm.group=32",))
    ]
    prepare(experiments[0].data.source)
    with tempfile.TemporaryDirectory() as folder:
        # Spawned, since this process may have threads, which do not survive a fork.
        context = multiprocessing.get_context("spawn")
        given = (folder, experiments, rounds, updates)
        workers = [context.Process(target=_time, args=(rank, *given)) for rank in range(_RANKS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0, f"a timed worker ended with {worker.exitcode}"
        found = [torch.load(f"{folder}/{rank}.pt") for rank in range(_RANKS)]
    both = [
        [
            Cost(max(of[index][0] for of in pair), sum(of[index][1] for of in pair))
            for pair in zip(*found, strict=True)
        ]
        for index in range(2)
    ]
    return both[0], both[1]


def _time(rank: int, folder: str, experiments: list[Experiment], rounds: int, updates: int) -> None:
    """Be one of the processes; write its wall and CPU seconds of both steps, round by round."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/group", rank=rank, world_size=_RANKS)
    worker = Worker.join(torch.device("cpu"))
    trainings = []
    for experiment in experiments:
        store = prepare(experiment.data.source)
        dataset = Dataset.load(experiment.data, experiment.codes, store)
        trainings.append(Training(experiment, dataset, worker))
        trainings[-1].update()  # a warm-up
    table = []
    for index in range(rounds):
        row = [(0.0, 0.0)] * 2
        for which in (0, 1) if index % 2 else (1, 0):
            worker.wait()
            began = time.perf_counter(), time.process_time()
            for _ in range(updates):
                trainings[which].update()
            row[which] = (time.perf_counter() - began[0], time.process_time() - began[1])
        table.append(row)
    torch.save(table, f"{folder}/{rank}.pt")
    worker.wait()
    dist.destroy_process_group()


def _page(
    losses: dict[tuple[str, int], float],
    seeds: Sequence[int],
    arms: Sequence[Arm],
    costs: tuple[list[Cost], list[Cost]],
    rounds: int,
    updates: int,
) -> str:
    lines = [
        "# The number of workers",
        "",
        "Command: `python -m benchmarks.workers --write`. The preset `digits`, 600 updates of 64",
        "images over all workers, each trained as `ssgan train digits training.epochs=3` does.",
        "BatchNorm's statistics are over the images of all workers, or over",
        "{field}`networks.batch_norm.group` images, which mean the same on any number of workers.",
        "The 0-1 loss is C's, on EMA's samples after the last update; chance is 0.9.",
        "",
        f"| 0-1 loss | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | spread |",
        f"| --- |{' --- |' * (len(seeds) + 2)}",
    ]
    for arm in arms:
        values = [losses[arm.title, seed] for seed in seeds]
        spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else "of one there is none"
        cells = [*(f"{value:.4f}" for value in values), f"{statistics.mean(values):.4f}", spread]
        lines.append(f"| {arm.title} | {' | '.join(cells)} |")
    lines += [
        "",
        "The spread is the standard deviation over seeds. Two threads compute what one does, only",
        "rounded otherwise: so much do the losses of one seed differ by rounding alone. For the",
        "first 20 updates, in float64, `tests/training/test_world_size.py` shows 1, 2, 4 and 8",
        "workers to be the same to 1e-6 of the way that the weights have travelled.",
        "",
        "## The cost of synchronization",
        "",
        f"Two processes on one machine, gloo, one thread each, {rounds} rounds of {updates}",
        "updates in rotating order: the step with statistics over both processes, divided by the",
        "one in groups of 32 images, which are those of one process and need no communication.",
        "",
        "| ratio | median | quartiles |",
        "| --- | --- | --- |",
    ]
    for index, name in enumerate(("wall time", "CPU time of both")):
        ratios = [a[index] / b[index] for a, b in zip(*costs, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        lines.append(f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} |")
    return "\n".join([*lines, "", f"Machine: {describe_machine()}.", ""])


if __name__ == "__main__":
    main()
