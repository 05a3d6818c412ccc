"""Replay of a scheduler's decisions over measured curves, in other orders of arrival."""

import random
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import NamedTuple

from scipy import stats

from ssgan.records.histories import History
from ssgan.tuning import Search


class Event(NamedTuple):
    """One evaluated epoch of one trial."""

    trial: str
    epoch: int
    images: int
    """Images of this epoch alone."""
    value: float | None
    """The metric; None where the epoch has none."""


class Spent(NamedTuple):
    """What a search cost."""

    until: int | None
    """Images over all trials until one reached the target; None where none did."""
    images: int
    """Images over all trials."""


def spend(events: Iterable[Event], target: float) -> Spent:
    """Count images in the order of time until a trial is at the target or below."""
    images, until = 0, None
    for event in events:
        images += event.images
        if until is None and event.value is not None and event.value <= target:
            until = images
    return Spent(until, images)


def alike_to(loss: float, samples: int) -> float:
    """Return the largest 0-1 loss that so many samples do not tell from another (at 95 %).

    The upper bound of Clopper and Pearson: for a loss of 0 about 3 / samples.
    """
    wrong = round(loss * samples)
    return float(stats.beta.ppf(0.95, wrong + 1, samples - wrong))


def events_of(histories: Sequence[History], metric: str) -> list[Event]:
    """Return the epochs of all trials in the order in which they were evaluated."""
    timed = []
    for history in histories:
        before = 0
        for record in history.records:
            value = record.metrics.get(metric)
            images = record.images_seen - before
            timed.append(
                (record.timestamp_ms, Event(history.row.trial, record.epoch, images, value))
            )
            before = record.images_seen
    return [event for _, event in sorted(timed)]


def replay(
    curves: dict[str, list[Event]], order: Sequence[str], search: Search, slots: int
) -> list[Event]:
    """Run the scheduler over measured curves, epoch by epoch, `slots` trials at a time.

    Args:
        curves: Each trial's epochs as they were without stopping.
        order: In which the trials start.
        search: Whose scheduler decides.
        slots: Trials at a time; each epoch is taken to last equally long.
    """
    scheduler = search.scheduler.build(search, "nowhere/trials")
    waiting = list(order)
    running: list[tuple[SimpleNamespace, list[Event]]] = []
    events = []
    while waiting or running:
        while waiting and len(running) < slots:
            trial = SimpleNamespace(trial_id=waiting.pop(0), last_result=None)
            scheduler.on_trial_add(None, trial)
            running.append((trial, list(curves[trial.trial_id])))
        for trial, left in list(running):
            event = left.pop(0)
            events.append(event)
            result = {"epoch": event.epoch, search.metric: event.value}
            decision = scheduler.on_trial_result(None, trial, result)
            if not left or decision == scheduler.STOP:
                running.remove((trial, left))
    return events


def shuffled(trials: Sequence[str], count: int) -> list[list[str]]:
    """Return so many orders of trials, the same ones every time."""
    draw = random.Random(0)
    return [draw.sample(trials, len(trials)) for _ in range(count)]
