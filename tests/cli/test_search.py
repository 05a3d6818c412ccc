"""`ssgan search`: what it refuses before anything starts, and its last screen."""

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from ssgan.base.errors import BadInput
from ssgan.cli.screen import short
from ssgan.cli.search import _search
from ssgan.cli.search_screen import search_summary
from ssgan.records.searchdir import BEST, TrialRow
from ssgan.tracking.view import view_path
from ssgan.tuning import load_search
from tests.cli.conftest import Run
from tests.helpers.searchdirs import make_search


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--search", "lamdas"], "there is no search 'lamdas'; did you mean 'lambdas'"),
        (["mnits"], "there is no preset 'mnits'"),
        (["mnist", "objective.lamda1=2"], "did you mean 'lambda1'"),
        (["mnist", "search.trails=2"], "did you mean 'trials'"),
        (["mnist", "search.trials=true"], "true is not a number"),
        (["mnist", "search.trials=1e12"], "less than or equal to 100000"),
        (["--resume", "nowhere"], "is not a search directory"),
        (["--resume", "a", "--name", "b"], "leave out --name and --replace"),
    ],
)
def test_bad_input_is_told_before_anything_starts(
    arguments: list[str], message: str, tmp_path: Path, ssgan: Run
) -> None:
    done = ssgan("search", *arguments)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert not [*tmp_path.iterdir()]


def test_a_name_that_is_taken_says_how_this_search_goes_on(tmp_path: Path, ssgan: Run) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    done = ssgan("search", "--out", tmp_path, "--name", "mine")
    assert done.code == 2
    assert "resume that search by --resume mine," in " ".join(done.err.split())


def test_the_base_and_fields_are_what_the_arguments_say() -> None:
    search = _search(("digits", "training.epochs=12", "search.trials=4"), "lambdas", None)
    assert (search.base.name, search.epochs, search.total) == ("digits", 12, 4)
    assert _search((), "lambdas", None).base.name == "mnist"
    assert _search(("training.epochs=30",), "lambdas", None).epochs == 30


def test_a_search_that_goes_on_is_the_one_that_was_started(tmp_path: Path) -> None:
    from ssgan.records.searchdir import SearchDir

    started = load_search("quickstart", overrides=["search.trials=6"])
    SearchDir.create(tmp_path / "a", started.to_yaml())
    assert _search((), "lambdas", str(tmp_path / "a")) == started
    with pytest.raises(BadInput, match="no search"):
        _search((), "lambdas", str(tmp_path / "b"))


def test_the_last_screen_says_what_won_what_failed_and_what_to_do_next(
    tmp_path: Path, export: Path
) -> None:
    search = make_search(tmp_path, "hunt")
    shutil.copytree(export, tmp_path / "hunt/export")
    values = {"objective.lambda1": 0.25}
    bad = {"trial": "00001", "stage": "search", "values": values, "seed": 0}
    search.write_rows(
        [TrialRow.model_validate(bad | {"status": "FAILED", "reason": "loss/d_real became NaN"})]
    )
    search.write_bytes(BEST, b"preset: digits\n")
    summary = {
        "metric": "zero_one_loss_ema",
        "configurations": [
            {"trial": "00000", "values": values, "mean": 0.019, "spread": None, "n": 1}
        ],
        "trials": 2,
        "stopped_early": 0,
        "failed": 1,
        "zero_one_loss_ema": 0.019,
        "images_in_all": 12_800,
        "seconds": 75.0,
        "model": "ssgan-digits",
        "model_version": 3,
        "champion": True,
        "export": "a hash",
        "tracking_uri": "http://mlflow:5000",
    }
    console = Console(width=400, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(search_summary(search, summary, view_path("7")))
    shown = " ".join(console.export_text().split())
    for said in (
        "0.0190 1 00000 lambda1 0.25",
        "00001 failed: loss/d_real became NaN",
        "trials 2 0 stopped early, 1 failed",
        "model ssgan-digits, version 3, the champion",
        "time 1:15 12,800 images over all trials",
        f"export {short(search.location)}/export",
        f"sample {short(search.location)} digit=7 -n 16",
        "best.yaml",
        "compare trials open http://mlflow:5000/#/experiments/7/runs?workflowType=machine_learning"
        "&viewStateShareKey=ssgan&compareRunsMode=CHART",
    ):
        assert said in shown
