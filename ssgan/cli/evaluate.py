"""``ssgan evaluate``: score a run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.options import copy_option, run_options
from ssgan.cli.screen import Screen, say, table, waiting
from ssgan.cli.verb import Answer, Verb
from ssgan.evaluation.catalog import KNOWN, find

if TYPE_CHECKING:
    from ssgan.evaluation.evaluator import Evaluation
    from ssgan.experiment.tree import Experiment
    from ssgan.launch.loaded_run import FoundJudge, LoadedRun


@click.command(
    cls=Verb,
    short_help="Score a run again.",
    json="the metrics",
    examples="""\
  ssgan evaluate runs/digits                               the last checkpoint, both copies of G
  ssgan evaluate runs/digits --checkpoint best --copy ema
  ssgan evaluate runs/digits evaluation.samples=10000      a finer 0-1 loss
""",
)
@run_options
@click.argument("overrides", metavar="[evaluation.FIELD=VALUE]...", nargs=-1)
@copy_option("Score G's moving average or its raw weights; both by default.", default=None)
def evaluate(run: str, overrides: tuple[str, ...], checkpoint: str, copy_of: str | None) -> Answer:
    """Score a checkpoint of a run again and print every metric.

    Nothing is written: the record of a run is what was measured while it trained. Of a search it is
    the winner that is scored, by the classifier C that the search has recorded.
    """
    from ssgan.launch.loaded_run import load_run

    loaded = load_run(run, checkpoint)
    copies = ("raw", "ema") if copy_of is None else (copy_of,)
    found, judge = score(loaded, _changed(loaded.experiment, overrides), copies)
    for alarm in found.alarms:
        say(f"alarm: {alarm}", style="yellow")
    title = f"{loaded.run.info.name} after {loaded.step:,} updates; G: {' and '.join(copies)}"
    by = f"classifier C: {judge}"
    facts = {
        "run_dir": loaded.run.location,
        "step": loaded.step,
        "copies": copies,
        "judge": None if judge.judge is None else judge.judge.hash,
        "judge_origin": judge.origin,
        "metrics": found.metrics,
        "reasons": found.reasons,
        "alarms": list(found.alarms),
    }
    return Answer([title, by, _table(found.metrics, found.reasons)], facts)


def score(
    loaded: LoadedRun, experiment: Experiment, copies: tuple[str, ...]
) -> tuple[Evaluation, FoundJudge]:
    """Evaluate copies of G, with progress; return what was found, and by which C."""
    with Screen() as screen:
        found = loaded.find_judge(experiment, screen.prepare)
    with waiting("evaluating"):
        return loaded.evaluate(experiment, found.judge, copies), found


def _changed(experiment: Experiment, overrides: tuple[str, ...]) -> Experiment:
    from ssgan.experiment.loading import parse_overrides, with_values

    values = dict(parse_overrides(overrides))
    for name in values:
        if not name.startswith("evaluation."):
            raise BadInput(f"{name} has no effect here: only evaluation.* can differ from the run")
    return with_values(experiment, values)


def _table(metrics: Mapping[str, float | None], reasons: Mapping[str, str]) -> Any:
    rows = table("metric", "value ", "")
    main = [name for name in KNOWN if name in metrics]
    for name in main + sorted(metrics.keys() - KNOWN.keys()):
        value = metrics[name]
        metric = find(name)
        meaning = metric.meaning if metric and (name in KNOWN or not metric.is_total) else ""
        shown = "none" if value is None else f"{value:.4f}"
        rows.add_row(name, shown, reasons.get(name, meaning))
    return rows
