"""``ssgan evaluate``: score a run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, say, show, show_json, table
from ssgan.evaluation.catalog import METRICS, find

if TYPE_CHECKING:
    from ssgan.experiment.tree import Experiment


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
    main = [name for name in METRICS if name in metrics]
    for name in main + sorted(metrics.keys() - METRICS.keys()):
        value = metrics[name]
        metric = find(name)
        meaning = metric.meaning if metric and (name in METRICS or not metric.is_total) else ""
        shown = "none" if value is None else f"{value:.4f}"
        rows.add_row(name, shown, reasons.get(name, meaning))
    return rows
