"""The page of what a search costs its driver, from what `benchmarks.driver` measured."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

STORES = ("sqlite", "http", "s3", "none")
"""Where a search was recorded, in the order of the page."""


def cpu_of(one: Mapping[str, Any]) -> float:
    """Return the CPU seconds of a search, and of sending MLflow what it lacked at the end."""
    return float(one["cpu_seconds"] + one.get("catch_up_cpu_seconds", 0.0))


def behind(one: Mapping[str, Any]) -> int:
    """Return how many trials had news that MLflow lacked when the command ended."""
    told = (re.search(r"news of (\d+) of", warning) for warning in one["warnings"])
    return sum(int(match[1]) for match in told if match)


def page(found: Sequence[dict[str, Any]]) -> str:
    """Return the page of results."""
    order = (("store", STORES.index), ("kind", str), ("trials", int))
    found = sorted(found, key=lambda one: [key(one[name]) for name, key in order])
    machines = dict.fromkeys(one["machine"] for one in found)
    largest = max(found, key=lambda one: (one["trials"], one["store"] == "sqlite"))
    lines = [
        "# What a search costs its driver",
        "",
        "`ssgan search` over trials that train nothing: each leaves records with metrics and",
        "pictures copied from a real run. The driver is the process of the command: the table of",
        "trials, ASHA, MLflow, the report, the registered winner, and *under Ray Tune* also",
        "Tune's loop. Elsewhere another process writes the trials and tells the driver of each",
        "epoch, in Tune's order. What is not the driver is not counted: trials, Ray's processes,",
        "MLflow's server, the object store.",
        "",
        "```console",
        "$ python -m benchmarks.driver --out DIR --store sqlite --trials 1000 --rate 40",
        "$ python -m benchmarks.driver --out DIR --store sqlite http s3 --trials 100 --rate 100",
        "$ python -m benchmarks.driver --out DIR --store sqlite --trials 20 --ray",
        "$ python -m benchmarks.driver --out DIR --page docs/results/driver.md",
        "```",
        "",
        *_table(found),
        "",
        f"Each was measured once (n = 1), on {'; '.join(machines)}.",
        "Other programs kept it busy: CPU seconds are firm, wall seconds are upper bounds. `http`",
        "has a real `mlflow server`; `s3` adds 20 ms to each request to moto's server, and has no",
        "row until it was run.",
        "",
        *_goals(largest),
        "",
        *_exponents(found),
        "",
        *_rest(found),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _goals(one: Mapping[str, Any]) -> list[str]:
    """Hold the largest search against what it was to cost."""
    each = one["trial_epochs"]
    spent = cpu_of(one)
    milliseconds = 1000 * spent / each
    is_short = behind(one) and "catch_up_cpu_seconds" not in one
    but = f", without the news of {behind(one)} trials" if is_short else ""
    calls = sum(one["calls"].values()) / each
    rows = [
        ("CPU a trial-epoch", "at most 15 ms", f"{milliseconds:.1f} ms{but}"),
        ("calls to MLflow a trial-epoch", "at most 2", f"{calls:.2f}{but}"),
        ("CPU in all", "at most 15 minutes", f"{spent / 60:.1f} minutes{but}"),
        ("last trial to the command's end", "at most 60 s", f"{one['end_seconds']:.0f} s"),
        ("peak memory", "under 4 GiB", f"{one['peak_mib'] / 1024:.1f} GiB"),
        ("contact sheet", "under 24 MB", f"{one['sheet_bytes'] / 1e6:.1f} MB"),
    ]
    title = f"{one['trials']:,} trials of {one['epochs']} epochs, {one['store']}"
    lines = [f"| {title} | goal | measured |", "| --- | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    share = one["cpu_seconds"] / one["wall_seconds"]
    if is_short:
        lines += [
            "",
            f"Beside the other programs the driver got {share:.0%} of a core, and fell behind:",
            f"MLflow lacked news of {behind(one)} of these trials when the command ended, so CPU",
            "and calls are lower bounds, and the goals for them are not shown to be reached.",
        ]
    many = 10_000 * one["epochs"]
    lines += [
        "",
        f"10,000 trials of {one['epochs']} epochs were not run. At {milliseconds:.1f} ms each",
        f"{many:,} trial-epochs take {many * milliseconds / 60_000:.0f} minutes of CPU:",
        "arithmetic, not a measurement.",
    ]
    return lines


def _table(found: Sequence[dict[str, Any]]) -> list[str]:
    head = (
        *("store", "trials x epochs", "CPU, s", "wall, s", "CPU a trial-epoch, ms"),
        *("wall a trial-epoch, ms", "MLflow calls a trial-epoch", "peak memory, MiB"),
        *("last trial to end, s", "trials behind in MLflow then", "contact sheet, MB"),
    )
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for one in found:
        each = one["trial_epochs"]
        cells = (
            f"{one['store']}, {one['kind']}".rstrip(", "),
            f"{one['trials']:,} x {one['epochs']}",
            f"{cpu_of(one):.0f}",
            f"{one['wall_seconds']:.0f}",
            f"{1000 * cpu_of(one) / each:.1f}",
            f"{1000 * one['wall_seconds'] / each:.1f}",
            f"{sum(one['calls'].values()) / each:.2f}",
            f"{one['peak_mib']:.0f}",
            f"{one['end_seconds']:.0f}",
            f"{behind(one):,}",
            f"{one['sheet_bytes'] / 1e6:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _exponents(found: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for store in STORES:
        sizes = [one for one in found if one["store"] == store and not one["kind"]]
        if len(sizes) > 1:
            x, y = ([one["trial_epochs"] for one in sizes], [cpu_of(one) for one in sizes])
            exponent = np.polyfit(np.log(x), np.log(y), 1)[0]
            lines.append(
                f"CPU grows with trials to the power of {exponent:.2f} ({store}, "
                f"{len(sizes)} sizes; what a search costs at its start and end lowers it)."
            )
    return lines


def _rest(found: Sequence[dict[str, Any]]) -> list[str]:
    said = [
        f"- {one['store']}, {one['trials']:,} trials: {warning.partition('; send')[0]}"
        for one in found
        for warning in one["warnings"]
    ]
    if not said:
        return []
    head = "What the command said at its end:"
    if any(one["warnings"] and "catch_up_cpu_seconds" not in one for one in found):
        head = "What the command said at its end; CPU and calls are without what had to wait:"
    return [head, "", *said]
