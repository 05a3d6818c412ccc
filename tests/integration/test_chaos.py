"""A few rounds of killed, doubled, moved and resumed trainings; `make chaos` plays fifty."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ssgan.records.rundir import RunDir
from tests.chaos.checks import check_run, check_store, check_training
from tests.chaos.harness import Harness
from tests.chaos.page import make_page
from tests.chaos.plans import Plan

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory, digits_store: object) -> Iterator[Harness]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        yield Harness(tmp_path_factory.mktemp("chaos"))


# Killed after another was refused, and copied; moved while it is written; killed on S3 and moved.
@pytest.mark.parametrize(("where", "seed"), [("folder", 747), ("folder", 326), ("s3", 193)])
def test_a_round_ends_as_if_nothing_had_happened(harness: Harness, where: str, seed: int) -> None:
    plan = Plan.draw(seed)
    assert plan.where == where
    outcome = harness.play(plan)
    assert not outcome.problems, str(outcome)
    assert "1 of 1 ended as if nothing had happened" in make_page([outcome])


def test_what_a_round_does_is_decided_by_its_seed() -> None:
    plans = [Plan.draw(seed) for seed in range(50)]
    assert plans == [Plan.draw(seed) for seed in range(50)]
    assert {(plan.where, plan.kind) for plan in plans} == {
        ("folder", "train"), ("folder", "search"), ("s3", "train"), ("s3", "search")
    }  # fmt: skip
    lives = [life for plan in plans for life in plan.lives]
    assert {life.then for life in lives} >= {"stay", "move", "copy", "elsewhere", "move all"}
    assert {life.end for life in lives} == {"SIGKILL", "SIGTERM", "mv"}
    assert len({life.rival for life in lives}) == 3


def test_what_rounds_look_for_is_found(harness: Harness, tmp_path: Path) -> None:
    whole = RunDir.open(harness.find_reference("train").location)
    assert [*check_run(whole, whole)] == []
    run = RunDir(shutil.copytree(whole.location, tmp_path / "run"))
    assert [*check_run(run, whole)] == [
        f"the summary says that it is at {whole.location}, with {whole.locate('export')}"
    ]
    run.write_bytes("record/0001/x.png.1234.tmp", b"")
    record = run.read_json("record/0002.json")
    run.write_json("record/0002.json", record | {"metrics": record["metrics"] | {"loss/d": 7.0}})
    summary = run.read_json("summary.json")
    run.write_json("summary.json", summary | {"epochs": 2})
    found = [*check_training(run, whole)]
    assert found == [
        "loss/d of epoch 2 differs",
        "the summary's epochs is 2, not 3",
        "record/0001/x.png.1234.tmp was left over",
    ]
    run.delete("record/0003.json")
    assert [*check_training(run, whole)] == ["it has records of the epochs [1, 2]"]


def test_what_mlflow_lacks_or_has_twice_is_found(harness: Harness, tmp_path: Path) -> None:
    run = RunDir.open(harness.find_reference("train").location)
    made = Path(run.location).with_name("mlflow.db")
    assert [*check_store(made, run)] == []
    store = Path(shutil.copy(made, tmp_path))
    with closing(sqlite3.connect(store)) as database:
        columns = "key, value, timestamp, run_uuid, step, is_nan"
        once = "FROM metrics WHERE key = 'images_seen' AND step = 2"
        database.execute(
            f"INSERT INTO metrics ({columns}) SELECT key, value, timestamp + 1, run_uuid, step, "
            f"is_nan {once}"
        )
        database.execute("DELETE FROM metrics WHERE key = 'images_seen' AND step = 1")
        database.commit()
    lacks, has = check_store(store, run)
    assert lacks.startswith("MLflow lacks ('images_seen', 1, ")
    assert has.startswith("MLflow has ('images_seen', 2, ")
