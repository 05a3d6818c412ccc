"""The arithmetic behind the page on early stopping, against cases done by hand."""

from pathlib import Path

import pytest

from benchmarks.replays import Event, Spent, alike_to, events_of, replay, spend
from ssgan.records.histories import Histories
from ssgan.tuning import load_search
from tests.helpers.searchdirs import IMAGES, fill_search, make_search


def test_images_are_counted_until_the_first_trial_is_good_enough() -> None:
    events = [
        Event("a", 1, 100, 0.9),
        Event("b", 1, 100, None),
        Event("a", 2, 50, 0.2),
        Event("b", 2, 100, 0.1),
        Event("a", 3, 50, 0.1),
    ]
    assert spend(events, 0.1) == Spent(350, 400)
    assert spend(events, 0.2) == Spent(250, 400)
    assert spend(events, 0.05) == Spent(None, 400)


def test_what_samples_cannot_tell_from_no_error_at_all() -> None:
    # No error in n samples: p with (1 - p)^n = 0.05.
    assert alike_to(0.0, 1000) == pytest.approx(1 - 0.05 ** (1 / 1000))
    assert alike_to(0.01, 1000) > 0.01


def test_the_epochs_of_all_trials_are_in_order_of_time(tmp_path: Path) -> None:
    search = make_search(tmp_path)
    fill_search(search, trials=3, epochs=2)
    histories = Histories().read(search)
    events = events_of(histories, "zero_one_loss_ema")
    times = {
        (history.row.trial, record.epoch): record.timestamp_ms
        for history in histories
        for record in history.records
    }
    assert len(events) == len(times) > 3
    stamps = [times[event.trial, event.epoch] for event in events]
    assert stamps == sorted(stamps)
    assert {event.images for event in events} == {IMAGES}


def test_a_replay_stops_who_the_scheduler_would_have_stopped() -> None:
    # Rungs at 1 and 2 epochs; one in two goes on. The first at a rung always does.
    search = load_search(
        "quickstart",
        overrides={
            "training.epochs": 3,
            "search.scheduler": {"kind": "asha", "grace": 1, "reduction": 2},
        },
    )
    values = {"a": (0.5, 0.4, 0.3), "b": (0.6, 0.1, 0.1), "c": (0.2, 0.2, 0.2)}
    curves = {
        trial: [Event(trial, epoch, 10, value) for epoch, value in enumerate(curve, 1)]
        for trial, curve in values.items()
    }
    names = [(e.trial, e.epoch) for e in replay(curves, ["a", "b", "c"], search, slots=2)]
    # b is worse than a at the first rung; c takes its place, is better there, and at the second.
    assert names == [
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("c", 1),
        ("a", 3),
        ("c", 2),
        ("c", 3),
    ]
    whole = search.model_copy(update={"scheduler": load_search("labels").scheduler})
    assert len(replay(curves, ["a", "b", "c"], whole, slots=2)) == 9
