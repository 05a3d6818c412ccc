"""Measure the training step beside others that do the same work: `make bench`.

Every measurement is one process of its own, with one thread, as is a run: what one step leaves in
memory speeds up or slows down the next. Process CPU time, rotating order, the same networks and the
same draws; the result is the median of per-round ratios, with quartiles. Absolute times depend on
the machine and are not reported. ``python -m benchmarks.run --small`` shows in seconds that it
runs.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from benchmarks.fresh import in_new_process
from benchmarks.kernels import kernel_time
from benchmarks.peers import ConvolutionalLoop, ManyBackwardsLoop, convolutional_networks
from benchmarks.plain_step import PlainStep
from benchmarks.results_page import ResultsPage
from benchmarks.synthetic import SMALL, SPACE, build_shipped_step, build_step, synthetic_split
from ssgan.base.heap import keep_heap
from ssgan.base.rng import Streams
from ssgan.data.batches import Batches
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.machine import describe_commit, describe_machine
from ssgan.method.optimizer import Weights
from ssgan.method.schedules import Clock
from ssgan.training.step import StepInput

_SHAPE = (1, 28, 28)
_WARM_UP = 2  # updates


class Contender(NamedTuple):
    """One way to make an update, and which labels its real images have."""

    build: Callable[[Experiment], Callable[[StepInput, Weights], Any]]
    labels: str = "own batch"
    """`own batch`: Q_ss gets one now and then; `all`: those of D's batch; `none`."""
    keeps_heap: bool = False
    """Whether freed memory stays with the process, as in a run of ssgan."""


def _shipped(experiment: Experiment, **options: Any) -> Any:
    return build_shipped_step(experiment, _SHAPE, **options)


def _plain(experiment: Experiment, **options: Any) -> Any:
    return build_step(experiment, _SHAPE, partial(PlainStep, **options))


def _kernels(experiment: Experiment) -> Any:
    step = _shipped(experiment)
    return lambda inputs, weights: kernel_time(step, inputs, SPACE.encode(inputs.c, inputs.z))


def _convolutional(experiment: Experiment) -> Any:
    networks = convolutional_networks(experiment, Streams(0).generator("networks"))
    return ConvolutionalLoop(*networks, SPACE, experiment.optimizer)


CONTENDERS: Mapping[str, Contender] = {
    "plain": Contender(_plain),
    "plain, G twice": Contender(partial(_plain, twice=True)),
    "shipped": Contender(_shipped, keeps_heap=True),
    "bfloat16": Contender(partial(_shipped, precision="bfloat16"), keeps_heap=True),
    "kernels": Contender(_kernels, keeps_heap=True),
    "shipped, no labels": Contender(partial(_shipped, infogan=True), "none", keeps_heap=True),
    "convolutional": Contender(_convolutional, "none"),
    "shipped, all labels": Contender(_shipped, "all", keeps_heap=True),
    "many backwards": Contender(
        lambda experiment: build_step(experiment, _SHAPE, ManyBackwardsLoop), "all"
    ),
}
_DATA = "data path"

_ROWS = (
    ("plain step / shipped step", "plain", "shipped", "{:.2f}"),
    ("plain step / shipped step in bfloat16", "plain", "bfloat16", "{:.2f}"),
    ("shipped step / the same in bfloat16", "shipped", "bfloat16", "{:.2f}"),
    ("plain step with a second forward of G / plain step", "plain, G twice", "plain", "{:.2f}"),
    ("layers' own kernels / shipped step", "kernels", "shipped", "{:.2f}"),
    ("Natsu6767's loop / shipped step", "convolutional", "shipped, no labels", "{:.2f}"),
    ("zjw511's loop / shipped step", "many backwards", "shipped, all labels", "{:.2f}"),
    ("data path / shipped step", _DATA, "shipped", "{:.4f}"),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run all rounds, print the table, and write the page of results."""
    page = ResultsPage(
        "step.md", __doc__, "small networks, two rounds of one update, in this process"
    )
    page.add_argument("--rounds", type=int, default=15)
    page.add_argument("--updates", type=int, default=5, help="that one process makes")
    page.add_argument("--time", nargs=2, metavar=("CONTENDER", "ROUND"))
    arguments = page.read(argv)
    rounds, updates = (2, 1) if arguments.small else (arguments.rounds, arguments.updates)
    experiment = load_experiment("mnist", SMALL if arguments.small else ())
    if arguments.time:
        name, turn = arguments.time
        print(json.dumps(measure(experiment, CONTENDERS[name], int(turn), updates)))
        return
    check_equal(experiment)
    names = [*CONTENDERS]
    found: dict[str, list[float]] = {name: [] for name in (*names, _DATA)}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            if arguments.small:
                step, data = measure(experiment, CONTENDERS[name], turn, updates)
            else:
                words = ["--time", name, str(turn), "--updates", str(updates)]
                step, data = in_new_process("benchmarks.run", words)
            found[name].append(step)
            if name == "shipped":
                found[_DATA].append(data)
    page.publish(_page(found, updates), write=arguments.write)


def measure(
    experiment: Experiment, contender: Contender, turn: int, updates: int
) -> tuple[float, float]:
    """Return process CPU seconds of updates, after a warm-up, and of what was drawn for them.

    Each turn has draws of its own, the same for all contenders of the same labels.
    """
    torch.set_num_threads(1)
    if contender.keeps_heap:
        keep_heap()
    draws = Draws(experiment, contender.labels)
    step, weights = contender.build(experiment), _weights(experiment)
    for _ in range(_WARM_UP):
        step(draws(0), weights)
    first = 1 + turn * updates
    started = time.process_time()
    inputs = [draws(update) for update in range(first, first + updates)]
    drawn = time.process_time()
    found = [step(one, weights) for one in inputs]
    ended = time.process_time()
    # The layers' kernels say what they took; what lies between them is not theirs.
    own = sum(found) if isinstance(found[0], float) else ended - drawn
    return own, drawn - started


class Draws:
    """The draws of the preset on images of MNIST's size; speed does not depend on their content."""

    def __init__(self, experiment: Experiment, labels: str = "own batch") -> None:
        self._streams, self._size = Streams(0), experiment.training.batch_size
        self._labels = labels
        split, y = synthetic_split(_SHAPE)
        self._batches = Batches(
            experiment.label_sampling,
            split.take,
            y,
            batch_size=self._size,
            streams=self._streams,
        )

    def __call__(self, update: int) -> StepInput:
        probability = 0.2 if self._labels == "own batch" else 0.0
        real = self._batches.draw(update, probability)
        c, z = SPACE.sample(self._size, self._streams.generator("latents", update))
        y = real.y
        if self._labels == "all":
            y = c[:, : len(SPACE.supervised)]  # as good as any
        return StepInput(real.x, y, real.labeled, c, z)


def check_equal(experiment: Experiment) -> None:
    """Refuse to compare steps that do not compute the same, in double precision.

    In single precision Adam turns a rounding error of a small gradient into a difference of a whole
    update; how many of them depends on the machine.
    """
    weights, draws = _weights(experiment), Draws(experiment)
    kinds = (PlainStep, partial(PlainStep, twice=True))
    steps = [build_step(experiment, _SHAPE, kind, torch.float64) for kind in kinds]
    steps.insert(0, build_shipped_step(experiment, _SHAPE, torch.float64))
    for index in range(3):
        inputs = _double(draws(index))
        ours, *others = (step(inputs, weights).values() for step in steps)
        for theirs in others:
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def _weights(experiment: Experiment) -> Weights:
    clock = Clock(0, experiment.images_per_epoch)
    return Weights.at(experiment.objective, experiment.optimizer, clock)


def _double(inputs: StepInput) -> StepInput:
    labeled = inputs.labeled and (inputs.labeled[0].double(), inputs.labeled[1].double())
    x, y, c, z = (one.double() for one in (inputs.x, inputs.y, inputs.c, inputs.z))
    return StepInput(x, y, labeled, c, z)


def _page(found: Mapping[str, Sequence[float]], updates: int) -> str:
    rounds = len(found["shipped"])
    lines = [
        "# The training step beside others",
        "",
        "Command: `make bench`. The authors' MNIST networks, batch 128, fp32 unless stated",
        "otherwise, each step in a process of its own with one thread, process CPU time,",
        f"rotating order, the same draws for all; {rounds} rounds of {updates} updates each.",
        "",
        "| ratio | median | quartiles |",
        "| --- | --- | --- |",
    ]
    for title, over, under, form in _ROWS:
        pairs = zip(found[over], found[under], strict=True)
        low, median, high = statistics.quantiles([one / other for one, other in pairs], n=4)
        lines.append(
            f"| {title} | {form.format(median)} | {form.format(low)} to {form.format(high)} |"
        )
    lines += [
        "",
        "- The *plain step* (`benchmarks/plain_step.py`) is plain PyTorch: the same objective, G",
        "  forward once, Adam and malloc as they come. Labeled images are drawn with probability",
        "  0.2. Before timing, three updates of both are checked to agree in double precision.",
        "- *The layers' own kernels* are each layer alone at its own shapes, forward and backward",
        "  as often as the shipped step runs it (`benchmarks/kernels.py`).",
        "- The *loops* (`benchmarks/peers.py`) re-create two public implementations.",
        "  github.com/Natsu6767/InfoGAN-PyTorch writes linear layers as convolutions and has no",
        "  labels; github.com/zjw511/ss-infogan-pytorch goes backward once a term and synthesizes",
        "  images for each half. Beside each is our step with the same labels: none, or those of",
        "  D's batch.",
        "- bfloat16 is {field}`training.precision`, faster only with AVX512-BF16 or AMX.",
        "",
        f"Commit: {describe_commit()}. Machine: {describe_machine()}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
