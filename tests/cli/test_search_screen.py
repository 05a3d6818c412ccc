"""What is seen of a search while it runs, drawn from its directory alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssgan.cli.search_screen import SearchScreen
from ssgan.cli.train_screen import TrainScreen
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.tuning import load_search
from tests.helpers.searchdirs import make_search


def row(trial: str, **fields: object) -> TrialRow:
    known = {"trial": trial, "stage": "search", "values": {"objective.lambda1": 0.5}, "seed": 0}
    return TrialRow.model_validate(known | fields)


def lines(tmp_path: Path, capsys: pytest.CaptureFixture[str], *tables: list[TrialRow]) -> list[str]:
    """Return what a log holds after a search whose table looked so, one after the other."""
    screen = SearchScreen(load_search("quickstart"))
    search: SearchDir = make_search(tmp_path)
    for table in tables:
        search.write_rows(table)
        screen._search = search
        screen._show(screen._read(()))
    return capsys.readouterr().err.splitlines()


def test_a_log_has_a_line_for_each_epoch_and_each_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = row("00000", status="RUNNING", epoch=1, metric=0.9)
    stopped = row("00000", status="STOPPED", epoch=2, metric=0.85, reason="stopped by asha")
    assert lines(tmp_path, capsys, [running], [running], [stopped, row("00001")]) == [
        "search 00000, running, 1/9, zero_one_loss_ema 0.9000",
        "search 00000, stopped, 2/9, zero_one_loss_ema 0.8500, stopped by asha",
        "search 00001, pending, 0/9",
    ]


@pytest.mark.parametrize("kind", [SearchScreen, TrainScreen])
def test_the_preparation_is_told_in_its_own_unit(
    kind: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    definition = load_search("quickstart")
    clock = iter((100.0, 110.0))
    time = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("ssgan.cli.screen.time", time)
    screen = kind(definition if kind is SearchScreen else definition.base)
    screen.prepare("training the judge C", 10, 1000, "updates")  # goes on after the tenth
    screen.prepare("training the judge C", 200, 1000, "updates")
    assert capsys.readouterr().err.splitlines() == [
        "training the judge C: 200 of 1,000 updates, 19 a second, 0:42 left"
    ]


def test_a_table_that_cannot_be_read_just_now_is_shown_as_it_was(tmp_path: Path) -> None:
    screen = SearchScreen(load_search("quickstart"))
    screen._search = make_search(tmp_path)
    before = [row("00000")]
    assert screen._read(before) == before
    screen._search.write_bytes("trials.json", b"[{")
    assert screen._read(before) == before


def test_the_table_has_what_runs_first_then_the_best() -> None:
    screen = SearchScreen(load_search("quickstart"))
    rows = [
        row("00000", status="STOPPED", epoch=2, metric=0.5),
        row("00001", status="FAILED", epoch=1),
        row("00002", status="FINISHED", epoch=9, metric=0.02),
        row("00003", status="PENDING"),
        row("00004", status="RUNNING", epoch=3, metric=0.9, images_per_second=640.0),
    ]
    assert [one.trial for one in screen._in_order(rows)] == [
        *("00004", "00003", "00002", "00000", "00001")
    ]
    # 6 epochs of 60 updates of 64 images at 640 a second
    assert screen._left(rows[4]) == "0:36"
    assert screen._left(rows[2]) == ""
    table = screen._table(rows)
    assert table.title == "3 of 5 trials are over"
    assert table.row_count == 5


def test_more_trials_than_fit_are_counted() -> None:
    screen = SearchScreen(load_search("quickstart"))
    table = screen._table([row(f"{number:05d}") for number in range(60)])
    assert table.row_count < 60
    assert table.caption == f"and {60 - table.row_count} more"
