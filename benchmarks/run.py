"""Measure the shipped step beside the plain one, and beside itself in bfloat16: `make bench`.

The protocol: one process, one thread, process CPU time, rotating order, the same networks and
the same draws; the result is the median of per-round ratios, with quartiles. Absolute times
depend on the machine and are not reported.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.kernels import kernel_time
from benchmarks.plain_step import PlainStep
from ssgan.base.rng import Streams
from ssgan.data.batches import Batches
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.machine import describe_machine
from ssgan.method.codes import Code, LatentSpace, UnsupervisedCode
from ssgan.networks.discriminator import build_discriminator
from ssgan.networks.generator import build_generator
from ssgan.training.step import StepInput, TrainingStep

_SHAPE = (1, 28, 28)
_IMAGES, _LABELS = 10_000, 132
_PAGE = Path(__file__).parent.parent / "docs" / "results" / "step.md"


def main() -> None:
    """Run all rounds, print the table, and write the page of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="updates of each in a round")
    parser.add_argument("--write", action="store_true", help=f"write {_PAGE.name} in docs/results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = measure(arguments.rounds, arguments.steps)
    print(table)
    if arguments.write:
        _PAGE.write_text(table)


def measure(rounds: int, steps: int) -> str:
    """Return the page of results."""
    experiment = load_experiment("mnist")
    space = LatentSpace(
        supervised=(Code(name="digit", kind="categorical", classes=tuple("0123456789")),),
        unsupervised=tuple(UnsupervisedCode(name=f"style_{k}").code() for k in (1, 2)),
        noise=62,
    )
    draws = _Draws(experiment, space)
    build = partial(_build, experiment=experiment, space=space)
    _check_equal(
        build(TrainingStep, dtype=torch.float64), build(PlainStep, dtype=torch.float64), draws
    )
    shipped, plain = build(TrainingStep), build(PlainStep)
    half = build(partial(TrainingStep, precision=torch.bfloat16))
    ratios, halves, shares, data_shares = [], [], [], []
    order = [("shipped", shipped), ("plain", plain), ("half", half)]
    for _, step in order:
        step(draws(0))  # a warm-up
    for index in range(rounds):
        inputs, data_time = _timed(partial(_walk, draws, range(index * steps, (index + 1) * steps)))
        turn = index % len(order)
        spent = {
            name: _timed(partial(_walk, step, inputs))[1]
            for name, step in order[turn:] + order[:turn]
        }
        latents = space.encode(inputs[0].c, inputs[0].z)
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
    return _page(rows, rounds, steps)


class _Draws:
    """The draws of the preset on images of MNIST's size; speed does not depend on their content."""

    def __init__(self, experiment: Experiment, space: LatentSpace) -> None:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (_IMAGES, *_SHAPE), generator=generator, dtype=torch.uint8)
        y = torch.full((_IMAGES, 1), float("nan"))
        y[:_LABELS, 0] = torch.arange(_LABELS) % 10
        self._space, self._streams = space, Streams(0)
        self._size = experiment.training.batch_size
        self._batches = Batches(
            experiment.label_sampling,
            images,
            y,
            batch_size=self._size,
            streams=self._streams,
        )

    def __call__(self, step: int) -> StepInput:
        real = self._batches.draw(step, 0.2)
        c, z = self._space.sample(self._size, self._streams.generator("latents", step))
        return StepInput(real.x, real.y, real.labeled, c, z)


def _build(
    kind: Callable[..., Any],
    experiment: Experiment,
    space: LatentSpace,
    dtype: torch.dtype = torch.float32,
) -> Any:
    streams = Streams(0)
    sizes = (experiment.networks, space, _SHAPE)
    return kind(
        build_generator(*sizes, streams.generator("G")).to(dtype),
        build_discriminator(*sizes, streams.generator("D")).to(dtype),
        space,
        experiment.objective,
        experiment.optimizer,
    )


def _check_equal(shipped: TrainingStep, plain: PlainStep, draws: _Draws) -> None:
    """Refuse to compare steps that do not compute the same, in double precision.

    In single precision Adam makes a rounding error of a small gradient a difference of a whole
    update, more or less of them by the machine.
    """
    for index in range(3):
        inputs = _double(draws(index))
        torch.testing.assert_close(shipped(inputs), plain(inputs), rtol=1e-9, atol=1e-9)


def _double(inputs: StepInput) -> StepInput:
    labeled = inputs.labeled and (inputs.labeled[0].double(), inputs.labeled[1].double())
    x, y, c, z = (one.double() for one in (inputs.x, inputs.y, inputs.c, inputs.z))
    return StepInput(x, y, labeled, c, z)


def _walk(call: Callable[[Any], Any], over: Iterable[Any]) -> list[Any]:
    return [call(one) for one in over]


def _timed(call: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    started = time.process_time()
    result = call()
    return result, time.process_time() - started


def _page(rows: list[tuple[str, list[float], str]], rounds: int, steps: int) -> str:
    lines = [
        "# The training step beside the plain one",
        "",
        "Command: `make bench`. The authors' MNIST networks, batch 128, fp32 where nothing else",
        "is said, one thread of one process, process CPU time, rotating order, the same draws for",
        f"all (a labeled batch with probability 0.2); {rounds} rounds of {steps} updates each.",
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
