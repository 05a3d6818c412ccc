"""What is wrong with a search, found before anything starts."""

import re
from typing import Any

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.evaluation.catalog import METRICS, Conditions, find
from ssgan.experiment.fields import check_path, field_class, field_models, why_not_searchable
from ssgan.experiment.no_effect import find_inert
from ssgan.experiment.tree import Experiment
from ssgan.tuning.search import Asha, NoScheduler, OptunaSearcher, Pb2, Pbt, Search
from ssgan.tuning.space import Choice, Grid, LogUniform, ScheduleChoice, Uniform, grid_size



def check_search(search: Search) -> None:
    """Refuse a search that cannot work, whatever the cluster.

    Raises:
        BadInput: The message says what is wrong and what to change.
    """
    for path in search.space:
        _check_field(path)
        for other in search.space:
            if other.startswith(f"{path}."):
                raise BadInput(f"{other} is a part of {path}; search one of the two")
    _check_values(search)
    _check_metric(search)
    _check_trials(search)
    if isinstance(search.searcher, OptunaSearcher):
        _check_optuna(search)
    if isinstance(search.scheduler, Asha) and search.scheduler.grace > search.epochs:
        raise BadInput(
            f"search.scheduler.grace={search.scheduler.grace} is beyond training.epochs="
            f"{search.epochs}, so no trial would ever be stopped; lower it, or use "
            "search.scheduler.kind=none"
        )
    if isinstance(search.scheduler, Pbt | Pb2):
        _check_population(search, search.scheduler)


def _check_field(path: str) -> None:
    try:
        check_path(path)
    except BadInput as error:
        raise BadInput(f"the space names an {error}") from error
    reason = why_not_searchable(path)
    if reason is not None:
        raise BadInput(f"{path} cannot be searched: {reason}")


def _check_values(search: Search) -> None:
    """Build the experiment at every end of every distribution, and look for one with an effect."""
    for path, part in search.space.items():
        if isinstance(part, ScheduleChoice) != _is_schedule(path) and not isinstance(
            part, Choice | Grid
        ):
            raise BadInput(
                f"{path} {'is' if _is_schedule(path) else 'is not'} a schedule; "
                + (
                    f"search it with kind: schedule, or one of its parameters, as {path}.duration"
                    if _is_schedule(path)
                    else "search it with uniform, loguniform, integers, choice or grid"
                )
            )
    reasons: dict[str, set[str | None]] = {}
    for path, _, experiment in search.corners():
        reasons.setdefault(path, set()).add(_why_inert(experiment, path))
    for path, found in reasons.items():
        if None not in found:
            raise BadInput(f"{path} has no effect: {sorted(filter(None, found))[0]}")


def _is_schedule(path: str) -> bool:
    """Whether a whole schedule stands at a path, of which `kind` decides."""
    return any(name.__module__ == "ssgan.method.schedules" for name in field_models(path))


def _why_inert(experiment: Experiment, path: str) -> str | None:
    for branch, reason in find_inert(experiment).items():
        if f"{path}.".startswith(f"{branch}."):
            return reason
    return None


def _check_metric(search: Search) -> None:
    name, base, inert = search.metric, search.base, find_inert(search.base)
    has_judge = "evaluation.judge" not in inert
    has_labels = "label_sampling" not in inert or "data.labels" in search.space
    is_held_out = base.data.held_out > 0 or "data.held_out" in search.space
    conditions = Conditions(
        supervised=dict.fromkeys(base.codes.supervised),
        unsupervised=[code.name for code in base.codes.unsupervised],
        judge=has_judge,
        labels=has_labels,
        held_out=has_judge or (has_labels and is_held_out),
    )
    names = {one: metric for metric in METRICS.values() for one in conditions.names(metric)}
    metric = find(name)
    why = metric and conditions.why_not(metric)
    if why:
        other = min(names, key=lambda one: not names[one].chart)
        raise BadInput(
            f"{name} is not measured: {why}. Search by another metric, for example with "
            f"search.metric={other} and search.mode={names[other].better or 'max'}"
        )
    if name not in names and re.sub(r"\..*", ".<class>", name) not in names:
        raise BadInput(f"no evaluation reports the metric {name!r}{nearest(name, names)}")


def _check_trials(search: Search) -> None:
    combinations = grid_size(search.space)
    rounded = -(-search.total // combinations) * combinations
    if search.total % combinations:
        raise BadInput(
            f"the grids have {combinations} combinations, and search.trials={search.total} is no "
            f"multiple of that; leave it out, or set {rounded}"
        )
    is_drawn = any(not isinstance(part, Grid) for part in search.space.values())
    if not is_drawn and search.total > combinations:
        raise BadInput(
            f"the space has {combinations} combinations only, so search.trials={search.total} "
            "would train the same trial again; leave search.trials out"
        )


def _check_optuna(search: Search) -> None:
    for path, part in search.space.items():
        if isinstance(part, Grid):
            raise BadInput(
                f"Optuna draws values and walks no grid ({path}); use kind: choice there, or "
                "search.searcher.kind=random"
            )
    if not isinstance(search.scheduler, NoScheduler | Asha):
        raise BadInput(
            f"search.scheduler.kind={search.scheduler.kind} chooses values itself and goes with "
            "no searcher but search.searcher.kind=random"
        )


def _check_population(search: Search, scheduler: Pbt | Pb2) -> None:
    kind = scheduler.kind
    if search.total < 2:
        raise BadInput(f"{kind} needs a population: set search.trials to 4 or more")
    if scheduler.interval >= search.epochs:
        raise BadInput(
            f"search.scheduler.interval={scheduler.interval} leaves no take-over before the end at "
            f"training.epochs={search.epochs}; lower it"
        )
    every = search.base.evaluation.every
    if scheduler.interval % every:
        raise BadInput(
            f"{kind} compares trials every {scheduler.interval} epochs (search.scheduler.interval),"
            f" but they are evaluated every {every} (evaluation.every); make the one a multiple of "
            "the other"
        )
    if search.concurrent is not None and search.concurrent < search.total:
        raise BadInput(
            f"{kind} trains the whole population in turns, so search.concurrent="
            f"{search.concurrent} would cut it; leave search.concurrent out"
        )
    for path, part in search.space.items():
        if field_class(path) != "mutable":
            raise BadInput(
                f"{kind} changes values while trials train, and {path} is fixed for a run; search "
                "it with another scheduler, or leave it out of the space"
            )
        if kind == "pb2":
            _check_bandit(path, part)
        elif isinstance(part, ScheduleChoice) and len(part.options) > 1:
            raise BadInput(
                f"{kind} perturbs the parameters of one kind of schedule, and {path} has "
                f"{len(part.options)} options; leave one of them"
            )


def _check_bandit(path: str, part: Any) -> None:
    drawn = [part]
    if isinstance(part, ScheduleChoice):
        drawn = list(part.options[0].drawn().values()) if len(part.options) == 1 else [part]
    if not all(isinstance(one, Uniform | LogUniform) for one in drawn):
        raise BadInput(
            f"pb2 chooses numbers between bounds, and {path} is none; use kind: uniform there, or "
            "search.scheduler.kind=pbt"
        )
