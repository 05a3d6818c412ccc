"""Measure the shipped step against the plain one, and against itself in bfloat16: `make bench`.

The protocol: one process, one thread, process CPU time, rotating order, the same networks and
the same draws; the result is the median of per-round ratios, with quartiles. Absolute times
depend on the machine and are not reported. ``python -m benchmarks.run --small`` shows in seconds
that it runs.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.kernels import kernel_time
from benchmarks.plain_step import PlainStep
from benchmarks.results_page import ResultsPage
from benchmarks.synthetic import SMALL, SPACE, build_step, synthetic_split
from ssgan.base.rng import Streams
from ssgan.data.batches import Batches
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.machine import describe_machine
from ssgan.method.optimizer import Weights
from ssgan.method.schedules import Clock
from ssgan.training.step import StepInput, TrainingStep

_SHAPE = (1, 28, 28)


def main(argv: Sequence[str] | None = None) -> None:
    """Run all rounds, print the table, and write the page of results."""
    page = ResultsPage("step.md", __doc__, "small networks, two rounds of one")
    page.add_argument("--rounds", type=int, default=15)
    page.add_argument("--updates", type=int, default=4, help="updates of each step in a round")
    arguments = page.read(argv)
    torch.set_num_threads(1)
    if arguments.small:
        table = measure(load_experiment("mnist", SMALL), rounds=2, updates=1)
    else:
        table = measure(load_experiment("mnist"), arguments.rounds, arguments.updates)
    page.publish(table, write=arguments.write)


def measure(experiment: Experiment, rounds: int, updates: int) -> str:
    """Return the page of results.

    Args:
        experiment: Networks, batch size, objective and optimizer.
        rounds: Rounds, each with every step in turn; two or more.
        updates: Updates of each step in a round.
    """
    draws = _Draws(experiment)
    clock = Clock(0, experiment.images_per_epoch)
    weights = Weights.at(experiment.objective, experiment.optimizer, clock)
    build = partial(build_step, experiment, _SHAPE)
    _check_equal(
        build(TrainingStep, torch.float64), build(PlainStep, torch.float64), draws, weights
    )
    shipped, plain = build(TrainingStep), build(PlainStep)
    half = build(partial(TrainingStep, precision="bfloat16"))
    ratios, halves, shares, data_shares = [], [], [], []
    order = [("shipped", shipped), ("plain", plain), ("half", half)]
    for _, step in order:
        step(draws(0), weights)  # a warm-up
    for index in range(rounds):
        walk = range(index * updates, (index + 1) * updates)
        inputs, data_time = _timed(draws, walk)
        turn = index % len(order)
        spent = {
            name: _timed(partial(step, weights=weights), inputs)[1]
            for name, step in order[turn:] + order[:turn]
        }
        latents = SPACE.encode(inputs[0].c, inputs[0].z)
        kernels = sum(kernel_time(shipped, one, latents) for one in inputs)
        ratios.append(spent["plain"] / spent["shipped"])
        halves.append(spent["shipped"] / spent["half"])
        shares.append(kernels / spent["shipped"])
        data_shares.append(data_time / spent["shipped"])
    rows = [
        ("plain step / shipped step (speed-up)", ratios, "{:.2f}"),
        ("shipped step / the same in bfloat16 (speed-up)", halves, "{:.2f}"),
        ("layers' own kernels / shipped step", shares, "{:.2f}"),
        ("data path / shipped step", data_shares, "{:.4f}"),
    ]
    return _page(rows, rounds, updates)


class _Draws:
    """The draws of the preset on images of MNIST's size; speed does not depend on their content."""

    def __init__(self, experiment: Experiment) -> None:
        self._streams, self._size = Streams(0), experiment.training.batch_size
        split, y = synthetic_split(_SHAPE)
        self._batches = Batches(
            experiment.label_sampling,
            split.take,
            y,
            batch_size=self._size,
            streams=self._streams,
        )

    def __call__(self, update: int) -> StepInput:
        real = self._batches.draw(update, 0.2)
        c, z = SPACE.sample(self._size, self._streams.generator("latents", update))
        return StepInput(real.x, real.y, real.labeled, c, z)


def _check_equal(shipped: TrainingStep, plain: PlainStep, draws: _Draws, weights: Weights) -> None:
    """Refuse to compare steps that do not compute the same, in double precision.

    In single precision Adam turns a rounding error of a small gradient into a difference of a whole
    update; how many of them depends on the machine.
    """
    for index in range(3):
        inputs = _double(draws(index))
        ours, theirs = (step(inputs, weights).values() for step in (shipped, plain))
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def _double(inputs: StepInput) -> StepInput:
    labeled = inputs.labeled and (inputs.labeled[0].double(), inputs.labeled[1].double())
    x, y, c, z = (one.double() for one in (inputs.x, inputs.y, inputs.c, inputs.z))
    return StepInput(x, y, labeled, c, z)


def _timed(call: Callable[[Any], Any], over: Iterable[Any]) -> tuple[list[Any], float]:
    """Return what the calls return, and their process CPU time in seconds."""
    started = time.process_time()
    result = [call(one) for one in over]
    return result, time.process_time() - started


def _page(rows: list[tuple[str, list[float], str]], rounds: int, updates: int) -> str:
    lines = [
        "# The training step next to a plain one",
        "",
        "Command: `make bench`. The authors' MNIST networks, batch 128, fp32 unless stated",
        "otherwise, one thread of one process, process CPU time, rotating order, the same draws",
        f"for all (labeled with probability 0.2); {rounds} rounds of {updates} updates each.",
        "The plain step is `benchmarks/plain_step.py`; before timing, three updates of both are",
        "checked to agree in double precision. The layers' own kernels are each layer alone at its",
        "own shapes, forward and backward as often as the step runs it (`benchmarks/kernels.py`).",
        "bfloat16 is {field}`training.precision`, faster only with AVX512-BF16 or AMX.",
        "",
        "| ratio | median | quartiles |",
        "| --- | --- | --- |",
    ]
    for name, values, form in rows:
        low, median, high = statistics.quantiles(values, n=4)
        lines.append(
            f"| {name} | {form.format(median)} | {form.format(low)} to {form.format(high)} |"
        )
    lines += ["", f"Machine: {describe_machine()}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
