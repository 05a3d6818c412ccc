"""MLflow shows the model card, with its pictures, of runs that are over."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir
from ssgan.tracking.card import model_card
from ssgan.tracking.recorder import NOTE, Recorder
from ssgan.tracking.search import sync_search
from tests.helpers.searchdirs import fill_search
from tests.helpers.tracking import draw_card, finish_run, make_run, runs_of

STRIP = "export/strips/1-5_shapes.png"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = make_run(tmp_path, "card")
    finish_run(run)
    return run


def test_pictures_are_those_of_the_run_in_mlflow_where_there_are_any(run: RunDir) -> None:
    card = model_card(run, "0a1b")
    assert card is not None
    assert card.startswith("## What it draws\n")
    assert "![" not in card  # an export from before there were cards
    draw_card(run)
    card = model_card(run, "0a1b")
    assert card is not None
    assert f"(get-artifact?path={STRIP}&run_uuid=0a1b)" in card
    assert "models serve" not in card


def test_the_card_of_a_version_says_how_it_is_served(run: RunDir) -> None:
    card = model_card(run, "0a1b", "shapes/4")
    assert card is not None
    assert "mlflow models serve -m models:/shapes/4 --env-manager local" in card


def test_a_long_card_is_cut_where_mlflow_would_refuse_it(run: RunDir) -> None:
    last = run.records()[-1]
    long = last.model_copy(
        update={
            "epoch": last.epoch + 1,
            "alarms": tuple(f"{number}: {'x' * 400}" for number in range(20)),
        }
    )
    run.commit_record(long)
    card = model_card(run, "0a1b")
    assert card is not None
    assert 4000 < len(card) <= 5000
    assert card.endswith("it is in `README.md` of the export.")


@pytest.mark.parametrize("left", ["summary.json", "export/generator.json"])
def test_a_run_that_is_not_over_has_no_card(run: RunDir, left: str) -> None:
    run.delete(left)
    assert model_card(run, "0a1b") is None


def test_an_export_that_is_not_whole_has_no_card(run: RunDir) -> None:
    run.write_bytes("export/generator.json", b"{}")
    assert model_card(run, "0a1b") is None


def test_a_card_describes_its_run_and_a_description_of_somebodys_own_stays(
    uri: str, run: RunDir
) -> None:
    client = MlflowClient(uri)
    draw_card(run)
    run_id = Recorder(uri, "card").sync(run).mlflow_run_id
    assert client.get_run(run_id).data.tags[NOTE] == model_card(run, run_id)
    assert STRIP in {file.path for file in client.list_artifacts(run_id, "export/strips")}
    client.set_tag(run_id, NOTE, "**What it draws.** As 0.2.0 began at first.")
    Recorder(uri, "card").sync(run)
    assert client.get_run(run_id).data.tags[NOTE] == model_card(run, run_id)
    client.set_tag(run_id, NOTE, "the one for the fair")
    Recorder(uri, "card").sync(run)
    assert client.get_run(run_id).data.tags[NOTE] == "the one for the fair"


def test_of_a_searchs_trials_the_winner_has_a_card_and_its_pictures(
    uri: str, search: SearchDir
) -> None:
    rows = fill_search(search, trials=3, epochs=2, finals=1)
    for number, row in enumerate(rows):
        finish_run(search.run(row), 0.01 * number)
        draw_card(search.run(row))
    winner = next(row for row in rows if row.stage == "final")
    search.write_summary({"metric": "zero_one_loss_ema", "winner": winner.run})
    sync_search(uri, search)
    runs = runs_of(uri, search)[1]
    notes = {trial: run.data.tags.get(NOTE) for trial, run in runs.items()}
    assert [trial for trial, note in notes.items() if note] == [winner.trial]
    assert "0.0400 ± 0.0100 (n = 3)" in str(notes[winner.trial])
    sent = {
        trial: len(MlflowClient(uri).list_artifacts(run.info.run_id, "export/strips"))
        for trial, run in runs.items()
    }
    assert sent == {trial: 3 * (trial == winner.trial) for trial in runs}
