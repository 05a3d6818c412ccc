"""Search directories made by hand: a table of trials, and run directories with small pictures."""

import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import Exploit, SearchDir, TrialRow

START = 1_700_000_000_000  # timestamp of epoch 0 of the first trial, in milliseconds
IMAGES = 6_400  # an epoch
LAMBDAS = {
    "objective.lambda1": {"kind": "loguniform", "low": 0.05, "high": 2},
    "objective.lambda2": {"kind": "loguniform", "low": 0.2, "high": 8},
}
ANNEALING = {
    "label_sampling.probability": {
        "kind": "schedule",
        "options": [
            {"kind": "linear", "duration": {"kind": "uniform", "low": 2, "high": 20}, "floor": 0.0},
            {"kind": "exponential", "duration": {"kind": "loguniform", "low": 1, "high": 10}},
        ],
    }
}


def tiny(trial: int, epoch: int, loss: float) -> bytes:
    """Make a PNG of 8 x 8 pixels whose shade tells trial and epoch."""
    pixels = np.full((8, 8), (37 * trial + 11 * epoch) % 256, dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def make_search(
    folder: Path,
    name: str = "lambdas",
    space: Mapping[str, Any] = LAMBDAS,
    metric: str = "zero_one_loss_ema",
    mode: str = "min",
) -> SearchDir:
    """Make the directory of a search without trials."""
    tree = {"base": "digits", "space": dict(space), "metric": metric, "mode": mode, "trials": 8}
    tree |= {"searcher": {"kind": "random"}, "scheduler": {"kind": "asha", "grace": 2}}
    return SearchDir.create(folder / name, yaml.safe_dump(tree, sort_keys=False))


def make_run(search: SearchDir, row: TrialRow) -> RunDir:
    """Make the run directory of a trial, without records."""
    tree: dict[str, Any] = {"name": "digits", "seed": row.seed, "tracking": {"uri": None}}
    for field, value in row.values.items():
        node = tree
        *parents, last = field.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return RunDir.create(search.run(row).location, yaml.safe_dump(tree))


def commit(
    run: RunDir, trial: int, epoch: int, loss: float | None, png: bytes | None, **metrics: float
) -> Record:
    """Commit one epoch of a trial; trials take turns."""
    record = Record(
        epoch=epoch,
        step=50 * epoch,
        images_seen=IMAGES * epoch,
        timestamp_ms=START + 10_000 * epoch + 100 * trial,
        metrics={"zero_one_loss_ema": loss, "images_per_second": 900.0 + trial, **metrics},
    )
    return run.commit_record(record, {} if png is None else {"samples_ema": png})


def make_values(trial: int, *, annealed: bool = False) -> dict[str, Any]:
    """Draw a trial's searched fields."""
    draw = np.random.default_rng(trial)
    values: dict[str, Any] = {
        "objective.lambda1": float(np.exp(draw.uniform(np.log(0.05), np.log(2)))),
        "objective.lambda2": float(np.exp(draw.uniform(np.log(0.2), np.log(8)))),
    }
    if annealed:
        kind = ("linear", "exponential")[trial % 2]
        values["label_sampling.probability"] = {"kind": kind, "duration": draw.uniform(1, 10)}
        if kind == "linear":
            values["label_sampling.probability"]["floor"] = 0.0
    return values


def loss_of(values: Mapping[str, Any], epoch: int) -> float:
    """Fall toward a level that is lowest at λ1 = 0.5 and λ2 = 2.5."""
    far = math.log(values["objective.lambda1"] / 0.5) ** 2
    far += 0.6 * math.log(values["objective.lambda2"] / 2.5) ** 2
    return float(min(0.9, 0.004 + 0.03 * far + 0.85 * math.exp(-epoch / (1.2 + 0.4 * far))))


def fill_search(
    search: SearchDir,
    trials: int = 8,
    epochs: int = 6,
    *,
    annealed: bool = False,
    finals: int = 0,
    picture: Callable[[int, int, float], bytes] = tiny,
) -> list[TrialRow]:
    """Write the table and the runs of a search with ASHA that has ended.

    Half of the trials end at epoch 2, one more of the rest at 4; the last one has failed.
    """
    drawn = [make_values(i, annealed=annealed) for i in range(trials)]
    order = sorted(range(trials), key=lambda i: loss_of(drawn[i], 2))
    rows = []
    for i, values in enumerate(drawn):
        rank = order.index(i)
        extent = 2 if rank >= trials // 2 else 4 if rank >= trials // 3 else epochs
        is_failed = i == trials - 1
        extent = min(3 if is_failed else extent, epochs)
        row = TrialRow(
            trial=f"{i:05d}",
            stage="search",
            values=values,
            seed=0,
            status="FAILED" if is_failed else "FINISHED" if extent == epochs else "STOPPED",
            reason="NonFiniteLoss: loss/d became NaN at update 120" if is_failed else None,
        )
        if row.status == "STOPPED":
            row = row.model_copy(update={"reason": f"stopped by asha at epoch {extent}"})
        rows.append(_run(search, row, i, extent, picture))
    best = sorted(rows[:-1], key=lambda row: row.metric or 1)[:finals]
    for row in best:
        for seed in (1, 2, 3):
            again = TrialRow(
                trial=f"{row.trial}-s{seed}",
                stage="final",
                values=row.values,
                seed=seed,
                status="FINISHED",
            )
            rows.append(_run(search, again, int(row.trial) + seed, epochs, picture))
    search.write_rows(rows)
    return rows


def _run(
    search: SearchDir,
    row: TrialRow,
    number: int,
    extent: int,
    picture: Callable[[int, int, float], bytes],
) -> TrialRow:
    run = make_run(search, row)
    wobble = np.random.default_rng([number, row.seed])
    loss = None
    for epoch in range(1, extent + 1):
        loss = loss_of(row.values, epoch) * float(wobble.uniform(0.8, 1.2))
        commit(run, number, epoch, loss, picture(number, epoch, loss), q_ss_accuracy=1 - loss)
    if row.status == "FINISHED":
        run.write_summary({"epochs": extent, "stop_reason": None})
    update = {"epoch": extent, "metric": loss, "images_per_second": 900.0 + number}
    return row.model_copy(update=update)


def exploit(epoch: int, source_trial: str, **values: Any) -> Exploit:
    """Make an exploit; ``objective__lambda1=0.4`` names a dotted field."""
    named = {key.replace("__", "."): value for key, value in values.items()}
    return Exploit(epoch=epoch, source_trial=source_trial, values=named)
