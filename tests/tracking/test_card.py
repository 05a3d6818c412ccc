"""The model card says what a generator draws, from what, how well, and its limits."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir
from ssgan.tracking.card import model_card
from ssgan.tracking.recorder import NOTE, Recorder
from ssgan.tracking.search import sync_search
from tests.helpers.searchdirs import fill_search
from tests.helpers.tracking import finish_run, make_run, runs_of


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = make_run(tmp_path, "card")
    finish_run(run)
    return run


def test_a_card_says_what_it_draws_from_what_how_well_and_how_far(run: RunDir) -> None:
    card = model_card(run)
    assert card is not None
    for said in (
        "Images of 16 x 16 pixels (gray) like those of shapes",
        "| `5 shapes` | circle, a\\|b | given by labels |",
        "| `angle` | -45 to 45 | given by labels |",
        "| `style` | -1 to 1 | found |",
        "7 numbers of noise",
        "1,200 images to train; 400 in the test split.",
        f"Hash of the manifest: `{'d' * 64}`",
        "Labels that were used: 12, `data.labels=10%`; hash: `",
        "**Figures** after 12,800 images, seed 3.",
        "| 0-1 loss of G's EMA | 0.0215 |",
        "| RMSE of angle | 4.5000 |",
        "One run: how much these figures vary with the seed is not known.",
        "generator.sample(codes={'5 shapes': 'a|b'}, n=16, seed=0)",
        "itself errs on 1.2% of real images",
        "the fewest that were used are those of 5 shapes = a|b, 3.",
        "No label says what `style` mean",
        "The last evaluation warns: code 'style' is dead",
    ):
        assert said in card
    assert "loss/L_I" not in card
    assert "gained labels" not in card
    assert "models serve" not in card


def test_a_card_tells_of_labels_that_were_spread(tmp_path: Path) -> None:
    run = make_run(tmp_path, "card")
    finish_run(run, labels_gained=1040, labels_spread="neighbors=10, share=0.6")
    card = model_card(run)
    assert card is not None
    assert "From these 1,040 more images gained labels by their neighbors" in card
    assert "(`data.spread`: neighbors=10, share=0.6)" in card


def test_the_card_of_a_searchs_winner_has_the_spread_over_seeds(run: RunDir) -> None:
    configuration = {"mean": 0.02, "spread": 0.0034, "n": 3}
    card = model_card(
        run, {"metric": "zero_one_loss_ema", "configurations": [configuration]}, "shapes/4"
    )
    assert card is not None
    assert "0.0200 ± 0.0034, mean and standard deviation over n = 3 seeds" in card
    assert "One run" not in card
    assert "mlflow models serve -m models:/shapes/4" in card


def test_a_long_card_is_cut_where_mlflow_would_refuse_it(run: RunDir) -> None:
    summary = run.summary() or {}
    run.write_summary(summary | {"alarms": [f"{number}: {'x' * 400}" for number in range(20)]})
    card = model_card(run)
    assert card is not None
    assert 4000 < len(card) <= 5000


@pytest.mark.parametrize("left", ["summary.json", "export/generator.json"])
def test_a_run_that_is_not_over_has_no_card(run: RunDir, left: str) -> None:
    run.delete(left)
    assert model_card(run) is None


def test_an_export_that_is_not_whole_has_no_card(run: RunDir) -> None:
    run.write_bytes("export/generator.json", b"{}")
    assert model_card(run) is None


def test_a_card_describes_its_run_and_a_description_of_somebodys_own_stays(
    uri: str, run: RunDir
) -> None:
    client = MlflowClient(uri)
    run_id = Recorder(uri, "card").sync(run).mlflow_run_id
    assert client.get_run(run_id).data.tags[NOTE] == model_card(run)
    run.write_summary((run.summary() or {}) | {"seed": 4})
    Recorder(uri, "card").sync(run)
    assert "seed 4" in client.get_run(run_id).data.tags[NOTE]
    client.set_tag(run_id, NOTE, "the one for the fair")
    Recorder(uri, "card").sync(run)
    assert client.get_run(run_id).data.tags[NOTE] == "the one for the fair"


def test_of_a_searchs_trials_the_winner_has_a_card(uri: str, search: SearchDir) -> None:
    rows = fill_search(search, trials=3, epochs=2, finals=1)
    for row in rows:
        finish_run(search.run(row))
    winner = next(row for row in rows if row.stage == "final")
    configuration = {"mean": 0.02, "spread": 0.0034, "n": 3}
    metric = {"metric": "zero_one_loss_ema", "configurations": [configuration]}
    search.write_summary(metric | {"winner": winner.run})
    sync_search(uri, search)
    notes = {trial: run.data.tags.get(NOTE) for trial, run in runs_of(uri, search)[1].items()}
    assert [trial for trial, note in notes.items() if note] == [winner.trial]
    assert "over n = 3 seeds" in str(notes[winner.trial])
