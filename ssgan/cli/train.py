"""``ssgan train``: train, score, record and export, with one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ssgan.base.errors import BadInput
from ssgan.cli.options import is_assignment, place_options, warn_of_doubles
from ssgan.cli.screen import say
from ssgan.cli.verb import Answer, Verb

if TYPE_CHECKING:
    from ssgan.experiment.tree import Experiment


@click.command(
    cls=Verb,
    short_help="Train, score, record and export a generator.",
    json="the summary",
    examples="""\
  ssgan train digits                                  into runs/digits
  ssgan train mnist data.labels=500 objective.lambda2=1.5 seed=3 --name mnist-500
  ssgan train my-photos.yaml training.epochs=20       an experiment file of your own
  ssgan train --resume runs/mnist-500                 resume a run that was stopped
  ssgan train --resume runs/mnist-500 training.epochs=100   ... and for longer
""",
)
@click.argument("arguments", metavar="PRESET|FILE.yaml [FIELD=VALUE]...", nargs=-1)
@place_options(
    *("run", "runs"),
    name="Name of the run in there; the preset's, or a free one like it.",
    resume=("RUN_DIR", "Resume this run."),
)
def train(
    arguments: tuple[str, ...], out: str, name: str | None, resume: str | None, replace: bool
) -> Answer:
    """Train a generator, score it, record it and export it.

    Everything goes to OUT/NAME: configuration, record, checkpoints, figures, export and
    summary.json. Fields are set by their dotted names.
    """
    from ssgan.cli.train_screen import TrainScreen, train_summary
    from ssgan.launch.driver import train as launch
    from ssgan.launch.location import check_writable, join, settle_name
    from ssgan.records.rundir import RunDir

    experiment = _experiment(arguments, resume)
    if resume is not None:
        where = RunDir(resume).location
        check_writable(where)
    else:
        check_writable(out)
        name = settle_name(out, name, experiment.name, replace=replace)
        where = join(out, name)
    length = experiment.training
    say(
        f"{experiment.name}: {length.epochs} epochs of {length.steps_per_epoch} updates of "
        f"{length.batch_size} images, into {where}"
    )
    with TrainScreen(experiment) as screen, screen.watching() as watch:
        result = launch(
            *(experiment, out, name),
            resume=resume,
            replace=replace,
            watch=watch,
            progress=screen.prepare,
        )
    return Answer([train_summary(result.summary, result.run_dir, result.view)], result.summary)


def _experiment(arguments: tuple[str, ...], resume: str | None) -> Experiment:
    from ssgan.base.storage import join
    from ssgan.experiment.loading import load_experiment, parse_overrides, preset_names, with_values
    from ssgan.experiment.tree import Experiment
    from ssgan.labeling.place import check_answered
    from ssgan.records.rundir import RunDir
    from ssgan.records.searchdir import BEST, SearchDir

    warn_of_doubles(arguments)
    named = bool(arguments) and not is_assignment(arguments[0])
    if not named and resume is None:
        raise BadInput(
            f"name a preset ({', '.join(preset_names())}) or an experiment file, as in "
            "`ssgan train digits`; fields follow it"
        )
    if resume is None:
        experiment = load_experiment(arguments[0], arguments[1:])
        check_answered(arguments[0], experiment.data.source)
        return experiment
    if (search := SearchDir(resume)).exists(search.identity_file):
        raise BadInput(
            f"{resume} is a search: `ssgan search --resume {search.base_name}` resumes it, "
            f"`ssgan train {join(resume, BEST)}` trains its best configuration"
        )
    if named:
        return load_experiment(arguments[0], arguments[1:])
    started = RunDir.open(resume).read_definition(Experiment)
    return with_values(started, dict(parse_overrides(arguments)))
