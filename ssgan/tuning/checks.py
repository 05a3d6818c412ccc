"""What is wrong with a search, found before anything starts."""

import re

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.evaluation.catalog import METRICS, Conditions, find
from ssgan.experiment.fields import (
    check_path,
    field_models,
    takes_fractions,
    why_not_searchable,
)
from ssgan.experiment.no_effect import find_inert
from ssgan.method.schedules import Schedule
from ssgan.tuning.search import Search
from ssgan.tuning.space import grid_size


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
    _check_workers(search)
    _check_values(search)
    _check_metric(search)
    _check_trials(search)
    search.searcher.check(search)
    search.scheduler.check(search)


def _check_workers(search: Search) -> None:
    counts = search.base.scaling.counts()
    if len(counts) > 1:
        raise BadInput(
            f"scaling.workers=[{counts[0]},{counts[-1]}] is elastic, which a search is not: for up "
            "to three minutes after an early stop Ray keeps what such workers had asked for, and "
            "the next trials wait. Set a number; a trial that loses a worker starts again from its "
            "last checkpoint all the same (scaling.retries)"
        )


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
        is_schedule = any(issubclass(model, Schedule) for model in field_models(path))
        part.check(path, is_schedule)
        if part.is_fractional and not takes_fractions(path):
            raise BadInput(
                f"{path} takes whole numbers, and kind: {part.kind} draws fractions; use kind: "
                "integers, choice or grid"
            )
    reasons: dict[str, set[str | None]] = {}
    for path, _, experiment in search.corners():
        inert = find_inert(experiment).items()
        why = (reason for branch, reason in inert if f"{path}.".startswith(f"{branch}."))
        reasons.setdefault(path, set()).add(next(why, None))
    for path, found in reasons.items():
        if None not in found:
            raise BadInput(f"{path} has no effect: {sorted(filter(None, found))[0]}")


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
    extra = [metric for one in base.evaluation.extra for metric in one.metrics]
    metrics = [*METRICS.values(), *extra]
    names = {one: metric for metric in metrics for one in conditions.names(metric)}
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
            f"the grids have {combinations} combinations, and search.trials={search.total} is not "
            f"a multiple of that; leave it out, or set {rounded}"
        )
    is_drawn = any(not part.is_grid for part in search.space.values())
    if not is_drawn and search.total > combinations:
        raise BadInput(
            f"the space has {combinations} combinations only, so search.trials={search.total} "
            "would train the same trial again; leave search.trials out"
        )
