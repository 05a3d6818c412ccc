"""What early stopping saves: the same trials with ASHA and without, in images.

``python -m benchmarks.early_stopping --out DIR [--page PAGE.md] PRESET [FIELD=VALUE]...`` runs both
searches, goes on with what was interrupted, runs nothing twice, and writes the page. Trials are the
same bit for bit in both, so what differs is who was stopped.

One pair of searches is one order of arrival, and asynchronous halving depends on it. The spread is
that over orders: Ray's own scheduler decides over the curves that were measured without stopping,
with the trials shuffled.
"""

import argparse
import random
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from scipy import stats

from ssgan.launch.machine import describe_machine
from ssgan.report.histories import Histories, History
from ssgan.searchdir import SearchDir
from ssgan.tuning import Search, summarize
from ssgan.tuning.schedulers import make_scheduler
from ssgan.tuning.search import difference

_STOPPED, _WHOLE = "asha", "unstopped"
_ORDERS = 1000
_GOOD = 0.01  # a 0-1 loss that any user would take: one sample in a hundred


class Event(NamedTuple):
    """One evaluated epoch of one trial."""

    trial: str
    epoch: int
    images: int
    """Images of this epoch alone."""
    value: float | None
    """The metric; None where the epoch has none."""


class Spent(NamedTuple):
    """What a search cost."""

    until: int | None
    """Images over all trials until one reached the target; None where none did."""
    images: int
    """Images over all trials."""


def spend(events: Iterable[Event], target: float) -> Spent:
    """Count images in the order of time until a trial is at the target or below."""
    images, until = 0, None
    for event in events:
        images += event.images
        if until is None and event.value is not None and event.value <= target:
            until = images
    return Spent(until, images)


def alike_to(loss: float, samples: int) -> float:
    """Return the largest 0-1 loss that so many samples do not tell from another (at 95 %).

    The upper bound of Clopper and Pearson: for a loss of 0 about 3 / samples.
    """
    wrong = round(loss * samples)
    return float(stats.beta.ppf(0.95, wrong + 1, samples - wrong))


def events_of(histories: Sequence[History], metric: str) -> list[Event]:
    """Return the epochs of all trials in the order in which they were evaluated."""
    timed = []
    for history in histories:
        before = 0
        for record in history.records:
            value = record.metrics.get(metric)
            images = record.images_seen - before
            timed.append(
                (record.timestamp_ms, Event(history.row.trial, record.epoch, images, value))
            )
            before = record.images_seen
    return [event for _, event in sorted(timed)]


def replay(
    curves: dict[str, list[Event]], order: Sequence[str], search: Search, slots: int
) -> list[Event]:
    """Run the scheduler over measured curves, epoch by epoch, `slots` trials at a time.

    Args:
        curves: Each trial's epochs as they were without stopping.
        order: In which the trials start.
        search: Whose scheduler decides.
        slots: Trials at a time; each epoch is taken to last equally long.
    """
    scheduler = make_scheduler(search, SearchDir("nowhere"))
    waiting = list(order)
    running: list[tuple[SimpleNamespace, list[Event]]] = []
    events = []
    while waiting or running:
        while waiting and len(running) < slots:
            trial = SimpleNamespace(trial_id=waiting.pop(0), last_result=None)
            scheduler.on_trial_add(None, trial)
            running.append((trial, list(curves[trial.trial_id])))
        for trial, left in list(running):
            event = left.pop(0)
            events.append(event)
            result = {"epoch": event.epoch, search.metric: event.value}
            decision = scheduler.on_trial_result(None, trial, result)
            if not left or decision == scheduler.STOP:
                running.remove((trial, left))
    return events


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", default="lambdas", help="a search with a scheduler")
    parser.add_argument("--out", type=Path, required=True, help="folder of both searches")
    parser.add_argument("--page", type=Path, help="the page to write")
    parser.add_argument("fields", nargs="*", metavar="[PRESET] [FIELD=VALUE]...")
    arguments = parser.parse_args()
    asked = ["--search", arguments.search, *arguments.fields]
    unstopped = ["search.scheduler={kind: none}", "search.finals.best=0"]
    whole = _run(arguments.out, _WHOLE, [*asked, *unstopped])
    stopped = _run(arguments.out, _STOPPED, asked)
    command = shlex.join(["--out", "DIR", *asked])
    text = page(stopped, whole, f"python -m benchmarks.early_stopping {command}")
    if arguments.page is not None:
        arguments.page.write_text(text)
    print(text)


def _run(out: Path, name: str, asked: list[str]) -> SearchDir:
    """Run a search, or what is left of it."""
    directory = SearchDir(out / name)
    begun = directory.exists(directory.identity_file)
    if not begun or directory.summary() is None:
        how = ["--resume", name] if begun else ["--name", name, *asked]
        command = [sys.executable, "-m", "ssgan", "search", "--out", str(out), *how]
        subprocess.run(command, check=True)
    return SearchDir.open(out / name)


def page(stopped: SearchDir, whole: SearchDir, command: str) -> str:
    """Return the page.

    Raises:
        SystemExit: The searches differ in more than their scheduler, or have other trials.
    """
    search = Search.from_yaml(stopped.search_yaml())
    other = Search.from_yaml(whole.search_yaml())
    allowed = ("search.scheduler", "search.finals", "search.name")
    changed = [path for path in difference(search, other) if not path.startswith(allowed)]
    if changed:
        raise SystemExit(f"the searches differ in {', '.join(changed)}")
    metric, training = search.metric, search.base.training
    histories = {one: _first_stage(one) for one in (stopped, whole)}
    ours, theirs = ({h.row.trial: h for h in histories[one]} for one in (stopped, whole))
    if {name: h.row.values for name, h in ours.items()} != {
        name: h.row.values for name, h in theirs.items()
    }:
        raise SystemExit("the searches have other trials")
    same = sum(
        _values(history, metric) == _values(theirs[name], metric)[: len(history.records)]
        for name, history in ours.items()
    )
    with_asha, without = (events_of(histories[one], metric) for one in (stopped, whole))
    best = min(event.value for event in without if event.value is not None)
    curves: dict[str, list[Event]] = {}
    for event in without:
        curves.setdefault(event.trial, []).append(event)
    samples = search.base.evaluation.samples
    alike = alike_to(best, samples)
    targets = {
        f"the best without stopping, {best:.4f}": best,
        f"{alike:.4f}, which {samples:,} samples cannot tell from it": alike,
        f"{_GOOD} or less": _GOOD,
    }
    lines = [
        "# What early stopping saves",
        "",
        f"`{search.name}` on `{search.base.name}` with {search.base.data.labels} labels: "
        f"{len(ours)} trials of at most",
        f"{training.epochs * training.steps_per_epoch:,} updates of {training.batch_size} images, "
        "once with ASHA and once without any stopping, one after the",
        "other on the same machine. The command goes on with what is there:",
        "",
        "```console",
        f"$ {command}",
        "```",
        "",
        f"In {same} of {len(ours)} trials the {metric} of every epoch that both searches trained",
        "is the same to the last bit. The rest of this page is about who was stopped when.",
        "",
        "## Images until a generator was that good",
        "",
        f"| {metric} reached | images, ASHA | images, unstopped | ratio "
        "| ratio over orders: median | quartiles | reached by ASHA |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    orders = _orders(sorted(curves))
    pairs = [
        (replay(curves, order, search, 2), replay(curves, order, other, 2)) for order in orders
    ]
    for name, target in targets.items():
        lines.append(_target_row(name, target, with_asha, without, pairs))
    everything = [spend(a, 0).images / spend(b, 0).images for a, b in pairs]
    ratio = spend(with_asha, 0).images / spend(without, 0).images
    lines += [
        f"| all trials over | {_count(spend(with_asha, 0).images)} "
        f"| {_count(spend(without, 0).images)} | {ratio:.2f} | {_spread(everything)} | |",
        "",
        f"The spread is over {_ORDERS:,} orders of arrival, in each of which Ray's scheduler",
        "decides over the measured curves, two trials at a time; trials that it stops are cut",
        "there. The last column is the share of orders in which a trial that gets there went on.",
        "",
        "## The trials",
        "",
        f"| trial | λ1 | λ2 | {metric}, unstopped | best epoch | with ASHA |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in sorted(theirs, key=lambda name: (_values(theirs[name], metric)[-1] or 0.0, name)):
        row, known = theirs[name].row, _values(theirs[name], metric)
        lowest = min((value, epoch) for epoch, value in enumerate(known, 1) if value is not None)
        fate = ours[name].row
        ended = "went on" if fate.status == "FINISHED" else f"stopped after epoch {fate.epoch}"
        lines.append(
            f"| {name} | {row.values['objective.lambda1']:.3f} "
            f"| {row.values['objective.lambda2']:.3f} | {known[-1]:.4f} "
            f"| {lowest[0]:.4f} after {lowest[1]} | {ended} |"
        )
    lines += ["", "## Stage two: fresh seeds, another judge, no stopping", ""]
    lines += _finals(stopped, search)
    lines += ["", f"Machine: {describe_machine()}.", ""]
    return "\n".join(lines)


def _target_row(
    name: str,
    target: float,
    with_asha: list[Event],
    without: list[Event],
    pairs: list[tuple[list[Event], list[Event]]],
) -> str:
    ours, theirs = spend(with_asha, target).until, spend(without, target).until
    ratio = "" if ours is None or theirs is None else f"{ours / theirs:.2f}"
    reached = [
        (a.until, b.until)
        for a, b in ((spend(a, target), spend(b, target)) for a, b in pairs)
        if a.until is not None and b.until is not None
    ]
    spread = _spread([a / b for a, b in reached]) if reached else " | "
    share = f"{len(reached) / len(pairs):.0%} of orders"
    return f"| {name} | {_count(ours)} | {_count(theirs)} | {ratio} | {spread} | {share} |"


def _first_stage(search: SearchDir) -> list[History]:
    rows = [row for row in search.rows() if row.stage == "search"]
    return Histories().read(search, rows)


def _values(history: History, metric: str) -> list[float | None]:
    return [record.metrics.get(metric) for record in history.records]


def _orders(trials: list[str]) -> list[list[str]]:
    draw = random.Random(0)
    return [draw.sample(trials, len(trials)) for _ in range(_ORDERS)]


def _spread(ratios: list[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):.2f} | {low:.2f} to {high:.2f}"


def _count(images: int | None) -> str:
    return "not reached" if images is None else f"{images:,}"


def _finals(stopped: SearchDir, search: Search) -> list[str]:
    """Return the table over seeds."""
    rows = stopped.rows()
    table = summarize(rows, search.metric, search.mode)
    metrics = {row.trial: row.metric for row in rows}
    lines = [
        f"| λ1 | λ2 | {search.metric}, mean | standard deviation | n | each seed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in table.configurations:
        each = ", ".join(f"{metrics[trial]:.4f}" for trial in one.trials)
        lines.append(
            f"| {one.values['objective.lambda1']:.3f} | {one.values['objective.lambda2']:.3f} "
            f"| {one.mean:.4f} | {one.spread:.4f} | {one.n} | {each} |"
        )
    return lines


if __name__ == "__main__":
    main()
