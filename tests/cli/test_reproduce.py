"""`ssgan reproduce`: what it refuses before anything starts, and the report of what is there."""

import json
from pathlib import Path

import pytest

from ssgan.cli.reproduce import reproduce
from ssgan.paper.plans import PLANS
from tests.cli.conftest import Run
from tests.helpers.papers import make_groups
from tests.paper.test_report import FACTS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mnits"], "'mnits' is not one of"),
        (["mnist", "--budget", "huge"], "'huge' is not one of"),
        (["mnist", "--seeds", "0"], "--seeds 0: one run of each label budget is the least"),
        (["mnist", "training.epoch=3"], "did you mean 'epochs'"),
        (["mnist", "--rebuild", "training.epochs=3"], "--rebuild trains nothing"),
        (["mnist", "--rebuild", "--labels", "10"], "--rebuild trains nothing"),
        (["mnist", "--rebuild", "--first-seed", "2"], "--rebuild trains nothing"),
        (["mnist", "--rebuild"], "is not a search directory"),
        (["mnist", "--first-seed", "-1"], "--first-seed -1: seeds are numbers from 0"),
        (["mnist", "--with", "more"], "it goes with --rebuild"),
    ],
)
def test_bad_input_is_told_before_anything_starts(
    arguments: list[str], message: str, tmp_path: Path, ssgan: Run
) -> None:
    refused = ssgan("reproduce", *arguments)
    assert refused.code == 2
    assert message in refused.err
    assert not list(tmp_path.iterdir())


def test_every_experiment_can_be_asked_for() -> None:
    (names,) = (one.type.choices for one in reproduce.params if one.name == "experiment")
    assert sorted(names) == sorted(PLANS)


def test_a_report_is_rebuilt_without_training(tmp_path: Path, ssgan: Run) -> None:
    search = make_groups(tmp_path / "runs", amounts=[0, 132], name="paper-mnist-smoke")
    search.write_json("paper/facts.json", FACTS.model_dump(mode="json"))
    done = ssgan("reproduce", "mnist", "--budget", "smoke", "--rebuild")
    assert done.code == 0, done.err
    folder = f"{search.location}/paper"
    assert done.out.split() == [
        *("report", f"{folder}/paper-mnist.html"),
        *("report", f"{folder}/paper-mnist.md"),
    ]
    again = ssgan("reproduce", "mnist", "--budget", "smoke", "--rebuild", "--json")
    assert f"{folder}/paper-mnist.md" in json.loads(again.out)["report"]


def test_a_report_of_two_grids(tmp_path: Path, ssgan: Run) -> None:
    first = make_groups(tmp_path / "runs", amounts=[0, 132], name="paper-mnist-smoke")
    more = make_groups(tmp_path / "runs", amounts=[0, 132], seeds=[2], name="more")
    for search in (first, more):
        search.write_json("paper/facts.json", FACTS.model_dump(mode="json"))
    done = ssgan("reproduce", "mnist", "--budget", "smoke", "--rebuild", "--with", "more")
    assert done.code == 0, done.err
    assert "| 0 (InfoGAN) | 3 | " in first.read_bytes("paper/paper-mnist.md").decode()
    assert not more.exists("paper/paper-mnist.md")
