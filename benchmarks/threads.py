"""Whether the threads that a training takes by itself are slower than one thread.

``python -m benchmarks.threads --write`` times updates of digits and MNIST in fresh processes, with
one thread and with as many as the machine has cores, while nothing else runs and beside one process
that computes all the time; and says which of them a training takes. ``--small`` shows in seconds
that it runs.
"""

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from benchmarks.fresh import in_new_process
from benchmarks.results_page import ResultsPage
from benchmarks.synthetic import SMALL, SPACE, build_shipped_step
from ssgan.base.heap import keep_heap
from ssgan.base.rng import Streams
from ssgan.base.threads import cores
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.machine import describe_commit, describe_machine
from ssgan.launch.preparation import fit_to_work, plan_here
from ssgan.method.optimizer import Weights
from ssgan.method.schedules import Clock
from ssgan.training.step import StepInput

_SIZES = {"digits": 16, "mnist": 28}  # pixels of a side
_PRECISIONS = ("float32", "bfloat16")
_PLACES = ("alone", "beside a busy process")
_SECONDS, _UPDATES = 3.0, 4  # that are timed, at the least

Times = dict[tuple[str, str, str, int], list[float]]
"""Seconds of an update, one a round, by preset, precision, place and threads."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it where that is asked for."""
    page = ResultsPage("threads.md", __doc__, "small networks of digits, one round")
    page.add_argument("--rounds", type=int, default=5)
    page.add_argument("--time", nargs=3, metavar=("PRESET", "PRECISION", "THREADS"))
    arguments = page.read(argv)
    overrides = SMALL if arguments.small else ()
    if arguments.time:
        preset, precision, threads = arguments.time
        least = 0.0 if arguments.small else _SECONDS
        print(json.dumps(_time(_load(preset, precision, overrides), int(threads), least)))
        return
    found: Times = {}
    threads_of = sorted({1, cores()})
    cases = [*itertools.product(_SIZES, _PRECISIONS, _PLACES)]
    cases = cases[: len(_PLACES)] if arguments.small else cases
    for turn in range(1 if arguments.small else arguments.rounds):
        for preset, precision, place in cases:
            with _busy(place == _PLACES[1]):
                for threads in threads_of[:: -1 if turn % 2 else 1]:
                    words = ["--time", preset, precision, str(threads)]
                    seconds = in_new_process(
                        "benchmarks.threads", [*words, *["--small"] * arguments.small]
                    )
                    found.setdefault((preset, precision, place, threads), []).append(seconds)
    page.publish(_write_page(found, overrides), write=arguments.write)


def _load(preset: str, precision: str, overrides: Sequence[str]) -> Experiment:
    return load_experiment(preset, [*overrides, f"training.precision={precision}"])


@contextmanager
def _busy(is_wanted: bool) -> Iterator[None]:
    """Let another process compute meanwhile."""
    if not is_wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            yield
        finally:
            other.kill()


def _time(experiment: Experiment, threads: int, least: float) -> float:
    """Return the seconds of an update, on random images; every second one has labeled images.

    As many are made as take `least` seconds.
    """
    torch.set_num_threads(threads)
    keep_heap()
    streams, shape = Streams(0), _shape(experiment)
    size = experiment.training.batch_size
    step = build_shipped_step(experiment, shape, precision=experiment.training.precision)
    weights = Weights.at(
        experiment.objective, experiment.optimizer, Clock(0, experiment.images_per_epoch)
    )
    inputs = [_draw(streams, update, size, shape) for update in range(2)]
    for one in inputs:
        step(one, weights)  # a warm-up
    started, updates = time.perf_counter(), 0
    while updates < _UPDATES or time.perf_counter() - started < least:
        step(inputs[updates % len(inputs)], weights)
        updates += 1
    return (time.perf_counter() - started) / updates


def _shape(experiment: Experiment) -> tuple[int, int, int]:
    size = _SIZES[str(experiment.data.source.kind)]
    return 1, size, size


def _draw(streams: Streams, update: int, size: int, shape: tuple[int, int, int]) -> StepInput:
    draw = streams.generator("images", update)
    c, z = SPACE.sample(size, streams.generator("latents", update))
    x, labeled = (torch.rand(size, *shape, generator=draw) for _ in range(2))
    y = torch.full((size, len(SPACE.supervised)), torch.nan)
    return StepInput(x, y, (labeled, torch.zeros_like(y)) if update % 2 else None, c, z)


def _write_page(found: Times, overrides: Sequence[str]) -> str:
    most = cores()
    rows = []
    for preset, precision in dict.fromkeys(key[:2] for key in found):
        experiment = _load(preset, precision, overrides)
        taken = fit_to_work(plan_here(experiment.scaling), experiment, _shape(experiment)).threads
        cells = [preset, precision, str(taken)]
        for place in _PLACES:
            one, all_cores = (found[preset, precision, place, threads] for threads in (1, most))
            ratios = [each / alone for alone, each in zip(one, all_cores, strict=True)]
            cells.append(
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            )
        rows.append(f"| {' | '.join(cells)} |")
    rounds = len(next(iter(found.values())))
    return "\n".join(
        [
            "# Threads",
            "",
            f"The time of an update with {most} threads, over that with one: above 1 a second",
            "thread makes it slower. Each in a fresh process, in turns, on random images; medians",
            f"of n = {rounds}, and their range. *Taken* is what {{field}}`scaling.threads` takes",
            f"by itself on {most} cores. The busy process does nothing but count.",
            "",
            f"| preset | precision | taken | {' | '.join(_PLACES)} |",
            f"|{' --- |' * (3 + len(_PLACES))}",
            *rows,
            "",
            "Threads that wait sleep, because those that spin slow down what runs beside them, and",
            "waking up takes longer than a small layer. Large layers gain by all cores only where",
            "these are idle: if one thread shares its core with another process, all others wait",
            "for it in every layer. The number of threads does not follow the load, since the last",
            "bits of the weights depend on it. Where something else runs all the time, set",
            "`scaling.threads=1`.",
            "",
            "`python -m benchmarks.threads --write` makes this page.",
            "",
            f"Commit: {describe_commit()}. Machine: {describe_machine()}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
