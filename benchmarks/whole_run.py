"""What of a run, and of the quickstart, is not an update.

``python -m benchmarks.whole_run --write`` trains digits for five epochs in a fresh process and a
fresh folder, and once more in that folder, where MLflow's file is made already; with ``--data
ROOT`` also an epoch of MNIST. It measures how long workers wait between two epochs, and works out
how long eight of them would. Then it runs the quickstart's search and adds up the CPU time of all
of its processes; ``--before CHECKOUT`` does so with an older checkout, too, in turn. Nothing else
should run meanwhile. ``--small`` shows in seconds that it runs, without the search.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import psutil

import benchmarks
from benchmarks.fresh import in_new_process
from benchmarks.results_page import ResultsPage
from benchmarks.synthetic import SMALL
from ssgan.experiment.tree import Experiment
from ssgan.launch.machine import describe_commit, describe_machine
from ssgan.records.rundir import RunDir

_MARK = "SSGAN_WHOLE_RUN"
_PAUSE = 0.2  # seconds between looks at the processes of a search
_ROLES = ("driver", "trials and judges", "Ray's own")
PARTS = ("imports", "preparation", "updates", "rest of the loop", "end")
BESIDE = "evaluation"
"""What takes place beside the updates, where a core is free for it."""


class Case(NamedTuple):
    """One run: its title, the words behind ``ssgan train``, and its epochs."""

    title: str
    words: tuple[str, ...]
    epochs: int


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it where that is asked for."""
    page = ResultsPage("whole-run.md", __doc__, "three epochs of two updates, once, no search")
    page.add_argument("--rounds", type=int, default=3)
    page.add_argument("--data", metavar="ROOT", help="folder with MNIST")
    page.add_argument("--before", metavar="CHECKOUT", help="of an older commit")
    page.add_argument(
        "--parts", nargs=argparse.REMAINDER, help="train by these words, and print the parts"
    )
    arguments = page.read(argv)
    if arguments.parts:
        print(json.dumps(parts_of(arguments.parts)))
        return
    epochs = 3 if arguments.small else 5
    digits: tuple[str, ...] = ("digits", f"training.epochs={epochs}")
    if arguments.small:
        digits = (*digits, *SMALL, "training.steps_per_epoch=2")
    cases = [
        Case("digits, five epochs, the first run in a folder", digits, epochs),
        Case("digits, five epochs, a further run", digits, epochs),
    ]
    if arguments.data:
        mnist = ("mnist", f"data.source.root={arguments.data}", "data.source.download=false")
        cases.append(Case("MNIST, one epoch", (*mnist, "training.epochs=1"), 1))
    if arguments.small:
        cases = cases[:1]
    else:
        _warm_up(cases)
    found: dict[str, list[dict[str, float]]] = {case.title: [] for case in cases}
    for _ in range(1 if arguments.small else arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for number, case in enumerate(cases):
                place = ("--out", folder, "--name", f"run-{number}")
                words = ["--parts", *case.words, *place]
                found[case.title].append(in_new_process("benchmarks.whole_run", words))
    evaluations = [
        statistics.median(run[BESIDE] for run in found[case.title]) / case.epochs for case in cases
    ]
    one = waiting_of(digits, evaluations[0])
    waits = {"digits, one worker": one, "digits, eight workers, by arithmetic": one.of_workers(8)}
    searches: list[QuickstartCost] = []
    if not arguments.small:
        two = waiting_of((*digits, "scaling.workers=2"), evaluations[0])
        waits["digits, two workers, which take both cores"] = two
        if arguments.data:
            few = ("training.epochs=3", "scaling.threads=1")
            one = waiting_of((*mnist, *few), evaluations[-1])
            waits["MNIST, one worker with one thread"] = one
            waits["MNIST, eight workers, by arithmetic"] = one.of_workers(8)
        here = Path(benchmarks.__path__[0]).parent
        before = [Path(arguments.before)] if arguments.before else []
        searches = [cost_of_quickstart(checkout) for checkout in (*before, here)]
    page.publish(_page(found, waits, searches), write=arguments.write)


def _warm_up(cases: Sequence[Case]) -> None:
    """Let the classifiers C be in the cache of this machine, and the modules in memory."""
    for words in {case.words[0]: case.words for case in cases}.values():
        with tempfile.TemporaryDirectory() as folder:
            few = ("training.epochs=1", "training.steps_per_epoch=1")
            in_new_process("benchmarks.whole_run", ["--parts", *words, *few, f"--out={folder}"])


def parts_of(words: Sequence[str]) -> dict[str, float]:
    """Train by the command line in this process; return the seconds of `PARTS`, and of `BESIDE`."""
    begun = psutil.Process().create_time()

    from ssgan.cli import main as command_line
    from ssgan.cli import train_screen  # noqa: F401  # what the command imports
    from ssgan.evaluation.evaluator import Evaluator
    from ssgan.launch import driver
    from ssgan.training.state import Training

    imported = time.time()
    times: dict[str, float] = {}

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.time()
            times.setdefault(f"{name} began", started)
            try:
                return call(*args, **kwargs)
            finally:
                times[f"{name} ended"] = time.time()
                times[name] = times.get(name, 0.0) + time.time() - started

        return run

    with (
        patch.object(Training, "update", timed("updates", Training.update)),
        patch.object(Evaluator, "evaluate", timed(BESIDE, Evaluator.evaluate)),
        patch.object(driver.loop, "run", timed("loop", driver.loop.run)),
        contextlib.redirect_stdout(sys.stderr),  # its summary is not the result of this process
    ):
        try:
            command_line(["train", *words])
        except SystemExit as ended:
            if ended.code:
                raise
    return {
        "imports": imported - begun,
        "preparation": times["loop began"] - imported,
        "updates": times["updates"],
        "rest of the loop": times["loop"] - times["updates"],
        "end": time.time() - times["loop ended"],
        BESIDE: times[BESIDE],
    }


class Waiting(NamedTuple):
    """An epoch of a run on average, in seconds, after the first one."""

    updates: float
    """Its updates."""
    between: float
    """From its last update to the first one of the next."""
    evaluation: float
    """Its evaluation, on one core."""

    @property
    def share(self) -> float:
        """The share of the time in which no update is made."""
        return self.between / (self.updates + self.between)

    def of_workers(self, count: int) -> "Waiting":
        """Work out, from a run of one worker, what it would be for several on cores of their own.

        Updates take so many times less, and the next epoch ends before this one is evaluated where
        that takes longer.
        """
        updates = self.updates / count
        late = max(0.0, self.evaluation - updates)
        return Waiting(updates, self.between + late, self.evaluation)


def waiting_of(words: Sequence[str], evaluation: float) -> Waiting:
    """Train by these words, with an evaluation each epoch, and see in the records how epochs went.

    An evaluation takes so many seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ssgan", "train", *words, "--out", folder, "--name", "run"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run = RunDir.open(Path(folder, "run"))
        records, images = run.records(), run.read_definition(Experiment).images_per_epoch
    speeds = [record.metrics["images_per_second"] for record in records[1:]]
    updates = statistics.mean(images / speed for speed in speeds if speed is not None)
    passed = (records[-1].timestamp_ms - records[0].timestamp_ms) / 1000
    return Waiting(updates, passed / len(speeds) - updates, evaluation)


class QuickstartCost(NamedTuple):
    """What the quickstart's search takes, and what it reaches."""

    commit: str
    cpu: dict[str, float]
    """CPU seconds by role of the process."""
    wall: float
    """Seconds."""
    loss: float
    """The winner's 0-1 loss by the second classifier."""


def cost_of_quickstart(checkout: Path) -> QuickstartCost:
    """Run the search of `make quickstart` by a checkout's code, with an empty cache."""
    mark = uuid.uuid4().hex
    spent: dict[psutil.Process, tuple[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            _MARK: mark,
            "PYTHONPATH": str(checkout.absolute()),
            "SSGAN_CACHE": str(Path(folder, "cache")),
        }
        words = ["search", "--search", "quickstart", "--out", folder, "--name", "quickstart"]
        started = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "ssgan", *words],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as search:
            while search.poll() is None:
                _look(mark, search.pid, spent)
                time.sleep(_PAUSE)
        wall = time.monotonic() - started
        summary = json.loads(Path(folder, "quickstart", "summary.json").read_text())
    cpu = {role: sum(cpu for of, cpu in spent.values() if of == role) for role in _ROLES}
    head = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    return QuickstartCost(commit, cpu, wall, summary["zero_one_loss_ema"])


def _look(mark: str, driver: int, spent: dict[psutil.Process, tuple[str, float]]) -> None:
    """Note the CPU seconds of each process of the search so far; those that ended keep theirs."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process in spent or process.environ().get(_MARK) == mark:
                times = process.cpu_times()
                if process.pid == driver:
                    role = _ROLES[0]
                else:
                    works = process.cmdline()[:1] and process.cmdline()[0].startswith("ray::")
                    role = _ROLES[1] if works else _ROLES[2]
                before = spent.get(process, (role, 0.0))[0]
                kept = before if before == _ROLES[1] else role  # idle workers lose their name
                spent[process] = kept, times.user + times.system


def _page(
    found: Mapping[str, Sequence[Mapping[str, float]]],
    waits: Mapping[str, Waiting],
    searches: Sequence[QuickstartCost],
) -> str:
    rounds = len(next(iter(found.values())))
    lines = [
        "# A whole run by its parts",
        "",
        "Shares of the wall time of `ssgan train`, from the start of its process to the end of the",
        f"command; medians of n = {rounds}, and the range of the last column. C is in the cache,",
        "nothing else runs. The evaluation is not a part: it takes place beside the updates, and",
        "what the training waits for of it is in the rest of the loop.",
        "",
        f"| run | {' | '.join(PARTS)} | {BESIDE} | not an update |",
        f"|{' --- |' * (len(PARTS) + 3)}",
    ]
    for title, runs in found.items():
        totals = [sum(run[part] for part in PARTS) for run in runs]
        shares = [
            statistics.median(run[part] / total for run, total in zip(runs, totals, strict=True))
            for part in (*PARTS, BESIDE)
        ]
        rest = [1 - run["updates"] / total for run, total in zip(runs, totals, strict=True)]
        cells = [f"{share:.1%}" for share in shares]
        cells.append(f"{statistics.median(rest):.1%} ({min(rest):.1%} to {max(rest):.1%})")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += [
        "",
        "## Between two epochs",
        "",
        "The share of an epoch in which no worker makes an update, mean over the epochs of one run",
        "but the first. By arithmetic: updates take an eighth of the time of one worker's, and the",
        "next epoch waits for an evaluation that takes longer than it; rank 0 has a core for that.",
        "",
        "| training | no update |",
        "| --- | --- |",
        *(f"| {title} | {wait.share:.1%} |" for title, wait in waits.items()),
    ]
    if searches:
        lines += [
            "",
            "## The quickstart",
            "",
            "CPU seconds of all processes of the search that `make quickstart` runs, from an empty",
            "cache, by code of the commit; n = 1.",
            "",
            f"| commit | {' | '.join(_ROLES)} | all | to the first | wall | 0-1 loss |",
            f"|{' --- |' * (len(_ROLES) + 5)}",
        ]
        first = sum(searches[0].cpu.values())
        for search in searches:
            total = sum(search.cpu.values())
            cells = [f"{search.cpu[role]:.0f}" for role in _ROLES]
            cells += [f"{total:.0f}", f"{total / first:.2f}", f"{search.wall:.0f} s"]
            lines.append(f"| {search.commit} | {' | '.join(cells)} | {search.loss:.4f} |")
    lines += [
        "",
        "`python -m benchmarks.whole_run --write` makes this page.",
        "",
        f"Commit: {describe_commit()}. Machine: {describe_machine()}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
