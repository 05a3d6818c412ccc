"""What a card knows comes from the record: of which update, of which copy, over which seeds."""

from pathlib import Path

import pytest

from ssgan.base.errors import CorruptFile
from ssgan.export.card import Card, Spread, read_card
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from tests.helpers.searchdirs import fill_search, make_search
from tests.helpers.tracking import finish_run, make_run


def read(run: RunDir) -> Card:
    card = read_card(run)
    assert card is not None
    return card


def test_a_run_without_an_export_has_no_card(tmp_path: Path) -> None:
    assert read_card(make_run(tmp_path, "no export")) is None


def test_a_record_that_changed_is_not_told(tmp_path: Path) -> None:
    run = make_run(tmp_path, "changed")
    finish_run(run)
    run.write_bytes("labels.parquet", b"")
    with pytest.raises(CorruptFile, match=r"labels\.parquet"):
        read_card(run)


def test_the_figures_are_of_the_exported_update_or_the_last_before_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, "updates")  # evaluated after 100, 200 and 300 updates
    finish_run(run, step=250)
    card = read(run)
    assert card.record is not None
    assert (card.step, card.record.step) == (250, 200)
    finish_run(run, step=50)
    assert read(run).record is None


def test_classes_have_their_own_names_and_the_worst_comes_first(tmp_path: Path) -> None:
    run = make_run(tmp_path, "classes")
    finish_run(run, 0.1)
    assert read(run).class_losses() == [(0.2, "5 shapes", "a|b"), (0.0, "5 shapes", "circle")]


def finals(tmp_path: Path) -> tuple[list[RunDir], list[TrialRow]]:
    search = make_search(tmp_path)
    rows = fill_search(search, trials=2, epochs=2, finals=1)
    again = [row for row in rows if row.stage == "final"]
    for row, loss in zip(again, (0.01, 0.02, 0.06), strict=True):
        finish_run(search.run(row), loss)
    return [search.run(row) for row in again], rows


def test_a_run_of_a_search_has_the_spread_over_its_seeds(tmp_path: Path) -> None:
    runs, rows = finals(tmp_path)
    by_metric = sorted(rows[-3:], key=lambda row: row.metric or 1)
    for run in runs:
        repeats = read(run).repeats
        assert repeats is not None
        found = repeats.spread("zero_one_loss_ema")
        assert found == Spread(pytest.approx(0.03), pytest.approx(7**0.5 / 100), 3)
        assert repeats.spread("loss/g_adv") is None
        assert by_metric[repeats.rank - 1].trial == run.base_name
        assert repeats.search == "lambdas"


def test_there_is_no_spread_while_a_run_of_the_configuration_goes_on(tmp_path: Path) -> None:
    runs, rows = finals(tmp_path)
    rows[-1] = rows[-1].model_copy(update={"status": "RUNNING"})
    SearchDir.open(tmp_path / "lambdas").write_rows(rows)
    repeats = read(runs[0]).repeats
    assert repeats is not None
    assert (repeats.rank, repeats.metrics) == (0, ())
    assert repeats.spread("zero_one_loss_ema") is None
