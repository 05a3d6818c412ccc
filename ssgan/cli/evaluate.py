"""``ssgan evaluate``: score a run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, say, show, show_json, table

if TYPE_CHECKING:
    from ssgan.experiment.tree import Experiment

# What the main metrics are, in the order of the table; the rest follow by name.
_MEANINGS = {
    "zero_one_loss_ema": "samples of G's average that C takes for another class",
    "zero_one_loss": "the same of G's raw weights",
    "judge_error": "C's own error on real images",
    "q_ss_accuracy": "Q_ss on held-out real images",
    "diversity": "variety within classes; real images have 1",
    "fd_judge": "Fréchet distance in C's features",
    "precision": "share of samples that look real to C",
    "recall": "share of real images that G covers",
    "density": "how densely samples lie among real images",
    "coverage": "share of real images with a sample nearby",
    "mi_x_xtilde": "nats; bound on what real and synthetic images share",
    "dead_codes": "codes that change nothing",
}


@click.command(
    short_help="Score a run again.",
    epilog="""\b
Examples:
  ssgan evaluate runs/digits                               the last checkpoint, both copies of G
  ssgan evaluate runs/digits --checkpoint best --copy ema
  ssgan evaluate runs/digits evaluation.samples=10000      a finer 0-1 loss
""",
)
@click.argument("run", metavar="RUN")
@click.argument("overrides", metavar="[evaluation.FIELD=VALUE]...", nargs=-1)
@click.option("--checkpoint", default="last", show_default=True, help="last, best, or its name.")
@click.option(
    "--copy",
    "copy_of",
    type=click.Choice(["ema", "raw"]),
    help="Score G's moving average or its raw weights; both by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def evaluate(
    run: str, overrides: tuple[str, ...], checkpoint: str, copy_of: str | None, as_json: bool
) -> None:
    """Score a checkpoint of a run again and print every metric.

    Nothing is written: the record of a run is what was measured while it trained.
    """
    log_to_stderr()
    with nothing_on_stdout():
        from ssgan.cli import loaded_run as reopened

        opened = reopened.reopen(run, checkpoint)
        copies = ("raw", "ema") if copy_of is None else (copy_of,)
        experiment = _changed(opened.experiment, overrides)
        found = reopened.evaluate(opened, experiment, copies)
    step = opened.reached.step
    if as_json:
        show_json(
            {
                "run_dir": opened.run.location,
                "step": step,
                "copies": copies,
                "metrics": found.metrics,
                "reasons": found.reasons,
                "alarms": list(found.alarms),
            }
        )
        return
    for alarm in found.alarms:
        say(f"alarm: {alarm}", style="yellow")
    show(f"{opened.run.info.name} after {step:,} updates; G: {' and '.join(copies)}")
    show(_table(found.metrics, found.reasons))


def _changed(experiment: Experiment, overrides: tuple[str, ...]) -> Experiment:
    """Apply overrides of the evaluation; all else belongs to the run."""
    from ssgan.experiment.loading import parse_overrides, with_values

    values = dict(parse_overrides(overrides))
    for name in values:
        if not name.startswith("evaluation."):
            raise BadInput(f"{name} has no effect here: only evaluation.* can differ from the run")
    return with_values(experiment, values)


def _table(metrics: Mapping[str, float | None], reasons: Mapping[str, str]) -> Any:
    rows = table("metric", "value ", "")
    main = [name for name in _MEANINGS if name in metrics]
    for name in main + sorted(name for name in metrics if name not in _MEANINGS):
        value = metrics[name]
        remark = reasons.get(name) or _MEANINGS.get(name, "")
        rows.add_row(name, "none" if value is None else f"{value:.4f}", remark)
    return rows
