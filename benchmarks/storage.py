"""What storage costs an epoch: requests, and seconds that training waits.

``python -m benchmarks.storage --write`` trains the preset `digits` in a folder, and on moto's S3
server in a process of this machine, whose every answer is made to take 20 ms longer; once with a
session that waits for no commit (`ssgan train`, workers of Ray Train), once with one that waits for
each (a trial of a search). ``--small`` shows in seconds that it runs.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from unittest import mock

import torch

from benchmarks.results_page import ResultsPage
from ssgan.data.dataset import Dataset
from ssgan.data.store import prepare
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.machine import describe_machine
from ssgan.launch.preparation import ComputePlan, find_judge
from ssgan.records.rundir import RunDir
from ssgan.training import loop
from ssgan.training.session import Commit, InProcess, Measure
from ssgan.training.writer import Writer
from tests.helpers.buckets import Bucket, running_bucket

_DELAY = 0.02  # seconds
_SMALL = (
    *("networks.width=2", "networks.hidden=8", "training.steps_per_epoch=3"),
    *("evaluation.samples=20", "evaluation.judge.epochs=1", "evaluation.judge.least_updates=2"),
)
_CPU = torch.device("cpu")


class Waiting(InProcess):
    """A session that waits for each commit, as a trial of Ray Tune does."""

    def report(self, metrics: Measure, checkpoint: Commit | None = None) -> None:
        assert checkpoint is not None
        checkpoint()


class Costs(NamedTuple):
    """What storage cost the epochs of a run but the first, which looks at the place."""

    seconds: list[float]
    """Time that the loop spent on it."""
    requests: list[int]
    """From one commit mark to the next."""


class Clock:
    """Adds up the time in functions, by epoch."""

    def __init__(self) -> None:
        self.seconds = [0.0]
        self._depth = 0

    def time(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed; calls within calls count once."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            self._depth += 1
            try:
                return function(*arguments, **named)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds[-1] += time.perf_counter() - began

        return timed


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it if asked to."""
    page = ResultsPage("storage.md", __doc__, "tiny networks, few updates")
    page.add_argument("--epochs", type=int, default=12, help="epochs of each run")
    arguments = page.read(argv)
    overrides = [f"training.epochs={arguments.epochs}", "scaling.threads=1"]
    experiment = load_experiment("digits", [*overrides, *(_SMALL if arguments.small else ())])
    torch.set_num_threads(1)
    costs = {}
    with tempfile.TemporaryDirectory() as folder, running_bucket() as bucket:
        for title, session in (("no commit", InProcess()), ("each commit", Waiting())):
            place = f"{folder}/{title.replace(' ', '-')}"
            costs[f"a folder, waits for {title}"] = _measure(experiment, place, session, None)
            for delay in (0.0, _DELAY):
                bucket.delay = delay
                place = bucket.locate(f"{title.replace(' ', '-')}-{delay}")
                name = f"S3 at {1000 * delay:g} ms, waits for {title}"
                costs[name] = _measure(experiment, place, session, bucket)
    page.publish(_page(costs), write=arguments.write)


def _measure(
    experiment: Experiment, place: str, session: InProcess, bucket: Bucket | None
) -> Costs:
    """Train, and return what storage cost."""
    store = prepare(experiment.data.source)
    dataset = Dataset.load(experiment.data, experiment.codes, store)
    judge = find_judge(experiment, dataset, ComputePlan(False, False, 1, 1.0, 0.0))
    run = RunDir.create(place, experiment.to_yaml())
    clock, report = Clock(), session.report

    def report_and_turn(metrics: Measure, checkpoint: Commit | None = None) -> None:
        clock.time(report)(metrics, checkpoint)
        clock.seconds.append(0.0)

    if bucket is not None:
        bucket.requests.clear()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(session, "report", report_and_turn))
        for owner, name in ((loop, "copy_state"), *((Writer, n) for n in ("put", "check", "wait"))):
            timed = clock.time(getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, timed))
        loop.run(experiment, dataset, judge, run, session, _CPU)
    commits = [
        index
        for index, asked in enumerate([] if bucket is None else bucket.requests)
        if asked.method == "PUT" and "/record/" in asked.path and asked.path.endswith(".json")
    ]
    requests = [after - before for before, after in pairwise(commits)] or [0]
    return Costs(clock.seconds[1:-1], requests)


def _page(costs: dict[str, Costs]) -> str:
    rows = []
    for name, several in costs.items():
        waits = [1000 * seconds for seconds in several.seconds]
        low, middle, high = statistics.quantiles(waits, n=4)
        most = max(several.requests)
        asked = f"{statistics.mean(several.requests):.1f}, at most {most}" if most else "none"
        rows.append(f"| {name} | {middle:.0f} ({low:.0f} to {high:.0f}) | {asked} |")
    n = len(next(iter(costs.values())).seconds)
    lines = "\n".join(rows)
    return f"""# What storage costs an epoch

The preset `digits`: median and quartiles over {n} epochs of the time in which no update is made
because of records, pictures and checkpoints, and the requests of an epoch. Written by
`python -m benchmarks.storage --write`.

| run directory, session | ms an epoch | requests |
| --- | --- | --- |
{lines}

S3 is moto's server in the same process, which takes its part of the processor. Workers of Ray
Train and `ssgan train` wait for no commit; a trial of a search waits for each, because its
scheduler decides by it and another trial may continue from it. A commit comes after the evaluation
of its epoch, and includes the encoding of the pictures and of their thumbnails.

{describe_machine()}
"""


if __name__ == "__main__":
    main()
