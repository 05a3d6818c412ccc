"""``ssgan evaluate``: score a run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.options import copy_option, run_options
from ssgan.cli.screen import Screen, say, table, waiting
from ssgan.cli.verb import Answer, Verb, writing
from ssgan.evaluation.catalog import KNOWN, find

if TYPE_CHECKING:
    from ssgan.evaluation.copy_audit import CopyAudit
    from ssgan.evaluation.evaluator import Evaluation
    from ssgan.evaluation.teaching import Lesson, Teacher
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
  ssgan evaluate runs/digits --teaches                     are the samples of use, or copies?
""",
)
@run_options
@click.argument("overrides", metavar="[evaluation.FIELD=VALUE]...", nargs=-1)
@copy_option("Score G's moving average or its raw weights; both by default.", default=None)
@click.option(
    "--teaches",
    is_flag=True,
    help="Also teach four classifiers, for minutes: by samples, by the labels, by what Q_ss reads. "
    "And look for training images among the samples.",
)
@click.option(
    "--pairs",
    type=click.Path(path_type=Path),
    help="FILE.png for the samples that are closest to training images; with --teaches.",
)
def evaluate(
    run: str,
    overrides: tuple[str, ...],
    checkpoint: str,
    copy_of: str | None,
    teaches: bool,
    pairs: Path | None,
) -> Answer:
    """Score a checkpoint of a run again and print every metric.

    Nothing is written but --pairs: the record of a run is what was measured while it trained. Of a
    search it is the winner that is scored, by the classifier C that the search has recorded.
    """
    from ssgan.launch.loaded_run import load_run

    _check_pairs(pairs, teaches)
    loaded = load_run(run, checkpoint)
    teachers = _teachers(loaded) if teaches else []
    copies = ("raw", "ema") if copy_of is None else (copy_of,)
    experiment = _changed(loaded.experiment, overrides)
    found, judge = score(loaded, experiment, copies)
    for alarm in found.alarms:
        say(f"alarm: {alarm}", style="yellow")
    title = f"{loaded.run.info.name} after {loaded.step:,} updates; G: {' and '.join(copies)}"
    by = f"classifier C: {judge}"
    facts: dict[str, Any] = {
        "run_dir": loaded.run.location,
        "step": loaded.step,
        "copies": copies,
        "judge": None if judge.judge is None else judge.judge.hash,
        "judge_origin": judge.origin,
        "metrics": found.metrics,
        "reasons": found.reasons,
        "alarms": list(found.alarms),
    }
    screen = [title, by, _table(found.metrics, found.reasons)]
    if teaches:
        told, more = _teach(loaded, experiment, judge, teachers, copies[-1], pairs)
        screen, facts = screen + told, facts | more
    return Answer(screen, facts)


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


def _check_pairs(pairs: Path | None, teaches: bool) -> None:
    if pairs is None:
        return
    if not teaches:
        raise BadInput("--pairs are found by --teaches; set both")
    if pairs.suffix != ".png" or not pairs.absolute().parent.is_dir():
        raise BadInput(f"--pairs {pairs} must end in .png, in a folder that is there")


def _teachers(loaded: LoadedRun) -> list[Teacher]:
    from ssgan.evaluation.teaching import teachers_of

    return teachers_of(loaded.dataset)


def _teach(
    loaded: LoadedRun,
    experiment: Experiment,
    judge: FoundJudge,
    teachers: list[Teacher],
    copy: str,
    pairs: Path | None,
) -> tuple[list[Any], dict[str, Any]]:
    """Return what samples teach, and whether they are copies: for the screen, and as facts."""
    from ssgan.drawing.grids import generator_name
    from ssgan.drawing.sheet import png

    assert judge.judge is not None  # there is a test split
    with Screen() as screen:
        lessons: dict[Teacher, Lesson] = {
            teacher: loaded.teach(experiment, teacher, copy, screen.prepare) for teacher in teachers
        }
        audit = loaded.audit_copies(experiment, judge.judge, copy, screen.prepare)
    if pairs is not None:
        with writing(pairs, "--pairs"):
            pairs.write_bytes(png(audit.pairs))
    taught = table("taught by", "images ", "code", "read right ", "own labels right ")
    for teacher, lesson in lessons.items():
        for code, share in lesson.accuracy.items():
            right = f"{lesson.right[code]:.4f}" if code in lesson.right else ""
            taught.add_row(teacher, f"{lesson.images:,}", code, f"{share:.4f}", right)
        for code, rmse in lesson.rmse.items():
            taught.add_row(teacher, f"{lesson.images:,}", code, f"RMSE {rmse:.4g}", "")
    updates = lessons["samples"].updates
    said = (
        f"classifiers taught by {generator_name(copy)} and by others, {updates:,} updates each, "
        "read the test split, which none of them has seen:"
    )
    facts = {
        "teaches": {teacher: lesson._asdict() for teacher, lesson in lessons.items()},
        "copy_audit": {
            one.name: getattr(audit, one.name) for one in fields(audit) if one.name != "pairs"
        },
    }
    return [said, taught, *_describe(audit, pairs)], facts


def _describe(audit: CopyAudit, pairs: Path | None) -> list[str]:
    lines = [
        f"{audit.below_held_out:.2%} of {audit.samples:,} samples are nearer to one of "
        f"{audit.training_images:,} training images, in C's features, than 1 % of held-out real "
        f"images are, and {audit.below_training:.2%} than 1 % of training images are to each other",
        f"median distances: {audit.median_samples:.3g} of samples, {audit.median_held_out:.3g} of "
        f"held-out images, {audit.median_training:.3g} of training images",
        f"of planted copies this finds {audit.noisy_found:.2%} with a little noise, and "
        f"{audit.moved_found:.2%} that are moved by half a pixel",
    ]
    return lines if pairs is None else [*lines, f"the closest pairs: {pairs}"]
