"""``ssgan train``: train, score, record and export, with one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ssgan.base.errors import BadInput
from ssgan.cli.options import out_option
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, say, show, show_json

if TYPE_CHECKING:
    from ssgan.experiment.tree import Experiment


@click.command(
    short_help="Train, score, record and export a generator.",
    epilog="""\b
Examples:
  ssgan train digits                                  into runs/digits
  ssgan train mnist data.labels=500 objective.lambda2=1.5 seed=3 --name mnist-500
  ssgan train my-photos.yaml training.epochs=20       an experiment file of your own
  ssgan train --resume runs/mnist-500                 go on where it stopped
  ssgan train --resume runs/mnist-500 training.epochs=100   ... and for longer
""",
)
@click.argument("arguments", metavar="PRESET|FILE.yaml [FIELD=VALUE]...", nargs=-1)
@out_option("Folder, or URI, of the runs.")
@click.option("--name", help="Name of the run in there; the preset's, or a free one like it.")
@click.option("--resume", metavar="RUN_DIR", help="Go on with this run.")
@click.option("--replace", is_flag=True, help="Move a run of that name aside, to NAME.1 or so.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, nothing else.")
def train(
    arguments: tuple[str, ...],
    out: str,
    name: str | None,
    resume: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Train a generator, score it, record it and export it.

    Everything goes to OUT/NAME: configuration, record, checkpoints, figures, export and
    summary.json. Fields are set by their dotted names.
    """
    log_to_stderr()
    if resume is not None and (name is not None or replace):
        raise BadInput("--resume goes on with a run; leave out --name and --replace")
    with nothing_on_stdout():
        from ssgan.cli.run_location import (
            choose_name,
            join,
            move_aside,
            place_of,
            refuse_unwritable,
        )
        from ssgan.cli.train_screen import watched
        from ssgan.cli.train_summary import last_screen
        from ssgan.launch import train as launch
        from ssgan.launch.preparation import load_dataset

        experiment = _experiment(arguments, resume)
        if resume is not None:
            out, place = place_of(resume)
            refuse_unwritable(out)
        elif replace:
            place = name or experiment.name
            refuse_unwritable(out)
            load_dataset(experiment)  # bad input is found before anything is moved
            move_aside(out, place)
        else:
            refuse_unwritable(out)
            place = choose_name(out, name, experiment.name)
        length = experiment.training
        say(
            f"{experiment.name}: {length.epochs} epochs of {length.steps_per_epoch} updates of "
            f"{length.batch_size} images, into {join(out, place)}"
        )
        with watched(experiment) as (watch, stage):
            result = launch(experiment, out, place, resume=resume, watch=watch, stage=stage)
    if as_json:
        show_json(result.summary)
    else:
        show(last_screen(result.summary, result.run_dir))


def _experiment(arguments: tuple[str, ...], resume: str | None) -> Experiment:
    """Build the experiment that the arguments name, or the run's own with their changes."""
    from ssgan.base.storage import join
    from ssgan.experiment.fields import check_resume
    from ssgan.experiment.loading import load_experiment, parse_overrides, preset_names, with_values
    from ssgan.experiment.tree import Experiment
    from ssgan.records.rundir import RunDir
    from ssgan.records.searchdir import BEST, SearchDir

    named = bool(arguments) and "=" not in arguments[0]
    if not named and resume is None:
        raise BadInput(
            f"name a preset ({', '.join(preset_names())}) or an experiment file, as in "
            "`ssgan train digits`; fields follow it"
        )
    if resume is None:
        return load_experiment(arguments[0], arguments[1:])
    if (search := SearchDir(resume)).exists(search.identity_file):
        raise BadInput(
            f"{resume} is a search: `ssgan search --resume {search.base_name}` goes on with it, "
            f"`ssgan train {join(resume, BEST)}` trains its best configuration"
        )
    started = Experiment.from_yaml(RunDir.open(resume).experiment_yaml())
    experiment = (
        load_experiment(arguments[0], arguments[1:])
        if named
        else with_values(started, dict(parse_overrides(arguments)))
    )
    try:
        check_resume(started, experiment)
    except BadInput as error:
        hint = f"`ssgan train --resume {resume}` goes on with the run's own values"
        raise BadInput(f"{error}\n{hint}") from None
    return experiment
