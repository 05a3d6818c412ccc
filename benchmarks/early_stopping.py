"""What early stopping saves: the same trials with ASHA and without, in images.

``python -m benchmarks.early_stopping --out DIR [--page PAGE.md] PRESET [FIELD=VALUE]...`` runs both
searches, resumes what was interrupted, runs nothing twice, and writes the page. Trials are the same
bit for bit in both, so they differ only in which were stopped.

One pair of searches is one order of arrival, and asynchronous halving depends on it. The spread is
over orders: Ray's own scheduler decides over the curves that were measured without stopping, with
the trials shuffled.
"""

import argparse
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.replays import Event, alike_to, events_of, replay, shuffled, spend
from ssgan.launch.machine import describe_machine
from ssgan.records.histories import Histories, History
from ssgan.records.searchdir import SearchDir
from ssgan.tuning import Search, summarize
from ssgan.tuning.schedulers import Asha
from ssgan.tuning.search import difference

_STOPPED, _WHOLE = "asha", "unstopped"
_ORDERS = 1000
_RUNG_ORDERS = 200  # at most, of each other scheduler
_GRACES, _REDUCTIONS = (2, 6, 10, 14), (2, 3, 4)
_GOOD = 0.01  # a 0-1 loss that any user would take: one sample in a hundred


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", default="lambdas", help="a search with a scheduler")
    parser.add_argument("--out", type=Path, required=True, help="folder of both searches")
    parser.add_argument("--page", type=Path, help="the page to write")
    parser.add_argument("--orders", type=int, default=_ORDERS, help="orders of arrival to replay")
    parser.add_argument("fields", nargs="*", metavar="[PRESET] [FIELD=VALUE]...")
    arguments = parser.parse_args(argv)
    asked = ["--search", arguments.search, *arguments.fields]
    unstopped = ["search.scheduler={kind: none}", "search.finals.best=0"]
    whole = _run(arguments.out, _WHOLE, [*asked, *unstopped])
    stopped = _run(arguments.out, _STOPPED, asked)
    command = shlex.join(["--out", "DIR", *asked])
    text = page(stopped, whole, f"python -m benchmarks.early_stopping {command}", arguments.orders)
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


def page(stopped: SearchDir, whole: SearchDir, command: str, orders: int = _ORDERS) -> str:
    """Return the page.

    Args:
        stopped: The search with ASHA.
        whole: The same without a scheduler.
        command: That made both.
        orders: Orders of arrival to replay.

    Raises:
        SystemExit: The searches differ in more than their scheduler, or have other trials.
    """
    search = Search.from_yaml(stopped.definition())
    other = Search.from_yaml(whole.definition())
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
        f"`{search.name}` on `{search.base.name}` with {search.base.data.labels} labels, "
        f"{_spell(search)}: "
        f"{len(ours)} trials of at most",
        f"{training.epochs * training.steps_per_epoch:,} updates of {training.batch_size} images, "
        "once with ASHA and once without any stopping, one after the",
        "other on the same machine. The command resumes what is there:",
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
    pairs = [
        (replay(curves, order, search, 2), replay(curves, order, other, 2))
        for order in shuffled(sorted(curves), orders)
    ]
    for name, target in targets.items():
        lines.append(_target_row(name, target, with_asha, without, pairs))
    everything = [spend(a, 0).images / spend(b, 0).images for a, b in pairs]
    ratio = spend(with_asha, 0).images / spend(without, 0).images
    lines += [
        f"| all trials over | {_count(spend(with_asha, 0).images)} "
        f"| {_count(spend(without, 0).images)} | {ratio:.2f} | {_spread(everything)} | |",
        "",
        f"The spread is over {orders:,} orders of arrival, in each of which Ray's scheduler",
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
    lines += ["", "## Other rungs, by replay", ""]
    lines += _rungs(curves, other, alike, min(orders, _RUNG_ORDERS))
    lines += ["", "## Stage two: fresh seeds, another judge, no stopping", ""]
    lines += _finals(stopped, search)
    lines += ["", f"Machine: {describe_machine()}.", ""]
    return "\n".join(lines)


def _rungs(curves: dict[str, list[Event]], whole: Search, alike: float, count: int) -> list[str]:
    """Return the table of what other schedulers would have done with the same trials."""
    orders = shuffled(sorted(curves), count)
    before = [replay(curves, order, whole, 2) for order in orders]
    best = min(
        event.value for curve in curves.values() for event in curve if event.value is not None
    )
    lines = [
        "| grace | reduction | images of all trials, ratio | kept the best "
        f"| reached {alike:.4f} |",
        "| --- | --- | --- | --- | --- |",
    ]
    for grace in (one for one in _GRACES if one <= whole.epochs):
        for reduction in _REDUCTIONS:
            asha = Asha(grace=grace, reduction=reduction)
            search = whole.model_copy(update={"scheduler": asha})
            after = [replay(curves, order, search, 2) for order in orders]
            ratios = [
                spend(a, 0).images / spend(b, 0).images for a, b in zip(after, before, strict=True)
            ]
            kept, good = (
                sum(spend(events, target).until is not None for events in after) / len(orders)
                for target in (best, alike)
            )
            median = statistics.median(ratios)
            lines.append(f"| {grace} | {reduction} | {median:.2f} | {kept:.0%} | {good:.0%} |")
    return [
        *lines,
        "",
        f"Shares are of {len(orders)} orders of arrival, ratios their medians. The rungs were not",
        "chosen beforehand: whoever picks a row of this table has picked it on these curves.",
    ]


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


def _spell(search: Search) -> str:
    scheduler = search.scheduler
    assert isinstance(scheduler, Asha)
    return (
        f"ASHA with a grace of {scheduler.grace} epochs and a reduction of {scheduler.reduction:g}"
    )


def _first_stage(search: SearchDir) -> list[History]:
    rows = [row for row in search.rows() if row.stage == "search"]
    return Histories().read(search, rows)


def _values(history: History, metric: str) -> list[float | None]:
    return [record.metrics.get(metric) for record in history.records]


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
