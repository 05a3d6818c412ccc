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
    largest = max(found, key=lambda one: (one["trial_epochs"], one["store"] == "sqlite"))
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
        *map(_command, found),
        "$ python -m benchmarks.driver --out DIR --page docs/results/driver.md",
        "```",
        "",
        *_table(found),
        "",
        f"Each was measured once (n = 1), on {'; '.join(machines)}.",
        "What writes the trials, and programs of the lowest priority, ran beside it: CPU seconds",
        "are firm, wall seconds are upper bounds. `http` has a real `mlflow server`, which takes",
        "more of the same cores than the driver; `s3` adds 20 ms to each request to moto's server.",
        "",
        *_goals(largest),
        "",
        *_exponents(found, largest["epochs"]),
        "",
        *_rest(found),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _command(one: Mapping[str, Any]) -> str:
    """Return the command that measures a row."""
    kinds = {"under Ray Tune": " --ray", "each epoch by itself": " --at-once"}
    size = f"--trials {one['trials']}" + f" --epochs {one['epochs']}" * (one["epochs"] != 50)
    told = f"--store {one['store']} {size} --rate {one['rate']:g}{kinds.get(one['kind'], '')}"
    return f"$ python -m benchmarks.driver --out DIR {told}"


def _goals(one: Mapping[str, Any]) -> list[str]:
    """Hold the largest search against what it was to cost."""
    each = one["trial_epochs"]
    spent = cpu_of(one)
    milliseconds = 1000 * spent / each
    calls = sum(one["calls"].values()) / each
    rows = [
        ("CPU a trial-epoch", "at most 15 ms", f"{milliseconds:.1f} ms"),
        ("calls to MLflow a trial-epoch", "at most 2", f"{calls:.2f}"),
        ("CPU in all", "at most 15 minutes", f"{spent / 60:.1f} minutes"),
        ("last trial to the command's end", "at most 60 s", f"{one['end_seconds']:.0f} s"),
        ("peak memory", "under 4 GiB", f"{one['peak_mib'] / 1024:.1f} GiB"),
        ("contact sheet", "under 24 MB", f"{one['sheet_bytes'] / 1e6:.1f} MB"),
    ]
    title = f"{one['trials']:,} trials of {one['epochs']} epochs, {one['store']}"
    lines = [f"| {title} | goal | measured |", "| --- | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
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


def _exponents(found: Sequence[dict[str, Any]], epochs: int) -> list[str]:
    lines = []
    same = [one for one in found if one["epochs"] == epochs and not one["kind"]]
    for store in STORES:
        sizes = [one for one in same if one["store"] == store]
        if len(sizes) > 1:
            x, y = ([one["trial_epochs"] for one in sizes], [cpu_of(one) for one in sizes])
            exponent = np.polyfit(np.log(x), np.log(y), 1)[0]
            lines.append(
                f"CPU grows with trials to the power of {exponent:.2f} ({store}, {len(sizes)} "
                "sizes; what a search costs at its start and end lowers it, and so does that of "
                "more than 250 trials several epochs are sent at a time)."
            )
    return lines


def _rest(found: Sequence[dict[str, Any]]) -> list[str]:
    said = [
        f"- {one['store']}, {one['trials']:,} trials: {_told(warning)}"
        for one in found
        for warning in one["warnings"]
    ]
    if not said:
        return []
    return ["What the command said at its end:", "", *said]


def _told(warning: str) -> str:
    """Return what a warning says, without the places of that one measurement."""
    words = warning.partition("; send")[0].split()
    return " ".join("..." if "://" in word else word for word in words)
