"""A trial is its row and the epochs up to it, each record read once."""

import logging
from pathlib import Path

import pytest

from ssgan.records.histories import Histories
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from tests.helpers.searchdirs import (
    commit,
    exploit,
    fill_search,
    make_run,
    make_search,
    make_values,
    tiny,
)


@pytest.fixture
def search(tmp_path: Path) -> SearchDir:
    return make_search(tmp_path)


def begin(search: SearchDir, epochs: int) -> tuple[TrialRow, RunDir]:
    row = TrialRow(trial="00000", stage="search", values=make_values(0), seed=0, status="RUNNING")
    run = make_run(search, row)
    for epoch in range(1, epochs + 1):
        commit(run, 0, epoch, 0.5, tiny(0, epoch, 0.5))
    return row, run


def epochs_of(histories: Histories, search: SearchDir, row: TrialRow) -> list[int]:
    (history,) = histories.read(search, [row])
    return [record.epoch for record in history.records]


def test_epochs_that_workers_are_ahead_do_not_count(search: SearchDir) -> None:
    row, run = begin(search, epochs=3)
    histories = Histories()
    assert epochs_of(histories, search, row) == []
    row = row.model_copy(update={"epoch": 2})
    assert epochs_of(histories, search, row) == [1, 2]
    (history,) = histories.read(search, [row])
    assert history.run is not None
    assert history.run.location == run.location
    assert [(record.epoch, value) for record, value in history.curve("zero_one_loss_ema")] == [
        (1, 0.5),
        (2, 0.5),
    ]
    assert history.curve("fd_judge") == []


def test_records_are_read_once(search: SearchDir, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = fill_search(search, trials=3, epochs=3)
    histories, read = Histories(), []
    original = RunDir.record

    def count(run: RunDir, epoch: int) -> object:
        read.append((run.base_name, epoch))
        return original(run, epoch)

    monkeypatch.setattr(RunDir, "record", count)
    first = histories.read(search)
    assert histories.read(search) == first
    assert len(read) == sum(row.epoch for row in rows)


def test_a_trial_without_a_directory_has_no_epochs(search: SearchDir) -> None:
    rows = [
        TrialRow(trial=f"{i:05d}", stage="search", values={}, seed=0, status=status)
        for i, status in enumerate(("PENDING", "RUNNING", "FAILED"))
    ]
    histories = Histories()
    assert [(one.run, one.records) for one in histories.read(search, rows)] == [(None, ())] * 3
    make_run(search, rows[1])
    assert histories.read(search, rows)[1].run is not None


def test_epochs_that_were_run_again_after_an_exploit_are_read_again(search: SearchDir) -> None:
    row, run = begin(search, epochs=4)
    row, histories = row.model_copy(update={"epoch": 4}), Histories()
    assert epochs_of(histories, search, row) == [1, 2, 3, 4]
    for epoch in (3, 4):
        run.delete(f"record/{epoch:04d}.json")
    commit(run, 1, 3, 0.1, None)
    row = row.model_copy(update={"lineage": (exploit(2, "00001"),), "epoch": 3})
    (history,) = histories.read(search, [row])
    assert [value for _, value in history.curve("zero_one_loss_ema")] == [0.5, 0.5, 0.1]


def test_a_damaged_record_is_left_out_with_a_warning(
    search: SearchDir, caplog: pytest.LogCaptureFixture
) -> None:
    row, run = begin(search, epochs=3)
    run.write_bytes("record/0002.json", b"{")
    row, histories = row.model_copy(update={"epoch": 3}), Histories()
    with caplog.at_level(logging.WARNING, logger="ssgan"):
        assert epochs_of(histories, search, row) == [1, 3]
        assert epochs_of(histories, search, row) == [1, 3]
    assert len(caplog.records) == 1
    assert "0002.json is not a record" in caplog.text
