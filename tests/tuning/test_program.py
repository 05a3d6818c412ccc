"""What `run_search` finds before Ray starts."""

from pathlib import Path
from typing import NoReturn

import pytest

from ssgan.base.errors import BadInput
from ssgan.paper.plans import PLANS
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.tracking import store
from ssgan.tuning import program
from ssgan.tuning.program import _typical_run, run_search
from ssgan.tuning.summary import summarize
from tests.helpers.leases import write_foreign_lease
from tests.helpers.searches import small_search

pytestmark = pytest.mark.usefixtures("digits_store", "without_ray")

SPACE = {"objective.lambda1": {"kind": "grid", "values": [0.5, 1.0]}}


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where Ray would start, and record in no MLflow."""

    def connect() -> NoReturn:
        pytest.fail("Ray was started")

    monkeypatch.setattr(program, "connect", connect)
    monkeypatch.setattr(program, "check", lambda *told: None)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("data.labels=5000", "asks for more labels than"),
        ("data.source.size=17", "cannot be halved evenly"),
        ("networks.width=1000000000", "^training needs .* GiB at least"),
        ("codes.supervised=[digti]", "did you mean 'digit'"),
    ],
)
def test_bad_input_is_found_before_ray_starts_and_moves_nothing(
    tmp_path: Path, override: str, problem: str
) -> None:
    SearchDir.create(tmp_path / "mine", "seed: 7")
    search = small_search(SPACE, override)
    with pytest.raises(BadInput, match=problem):
        run_search(search, str(tmp_path), "mine", replace=True)
    assert SearchDir.open(tmp_path / "mine").definition() == "seed: 7"
    with pytest.raises(BadInput, match=problem):
        run_search(search, str(tmp_path), "new")
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_what_has_the_name_is_replaced_and_nothing_need_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        pass

    def connect() -> NoReturn:
        raise Begun

    monkeypatch.setattr(program, "connect", connect)
    SearchDir.create(tmp_path / "mine", "seed: 7")
    for name in ("mine", "new"):
        with pytest.raises(Begun):
            run_search(small_search(SPACE), str(tmp_path), name, replace=True)
    assert [one.name for one in tmp_path.iterdir()] == ["mine.1"]
    assert SearchDir.open(tmp_path / "mine.1").definition() == "seed: 7"


def test_one_process_at_a_time_writes_a_search(tmp_path: Path) -> None:
    search = small_search(SPACE)
    write_foreign_lease(SearchDir.create(tmp_path / "mine", search.to_yaml()))
    write_foreign_lease(SearchDir(tmp_path / "new"))
    before = sorted(tmp_path.rglob("*"))
    for name, given in (("mine", {"resume": True}), ("mine", {"replace": True}), ("new", {})):
        with pytest.raises(BadInput, match=f"{name} is being written by process 4711 on host else"):
            run_search(search, str(tmp_path), name, **given)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_search_whose_mlflow_experiment_was_deleted_is_refused(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "check", store.check)
    client = store.connect(uri)
    client.delete_experiment(client.create_experiment("gone"))
    search = small_search(SPACE, f"tracking.uri='{uri}'")
    with pytest.raises(BadInput, match=r"'gone' was deleted; restore it, .*--name"):
        run_search(search, str(tmp_path), "gone")
    assert list(tmp_path.iterdir()) == []


def test_a_search_waits_for_no_store_that_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(uri: str, experiment: str) -> None:
        raise store.Busy(f"{uri} is locked")

    monkeypatch.setattr(program, "check", busy)
    search = small_search(SPACE, "data.labels=5000")
    with pytest.raises(BadInput, match="asks for more labels than"):  # which is looked at later
        run_search(search, str(tmp_path), "new")
    assert "mlflow.db is locked. The search is recorded in" in caplog.text


@pytest.mark.parametrize(
    ("mode", "values", "typical"),
    [
        ("min", [0.03], 0.03),
        ("min", [0.01, 0.03], 0.03),
        ("min", [0.02, 0.01, 0.03], 0.02),
        ("min", [0.04, 0.02, 0.01, 0.03], 0.03),
        ("max", [0.9, 0.7], 0.7),
        ("max", [0.6, 0.9, 0.8, 0.7], 0.7),
    ],
)
def test_the_run_with_the_median_value_stands_for_the_winner(
    mode: str, values: list[float], typical: float
) -> None:
    rows = [
        TrialRow(
            trial=f"00000-s{seed}",
            stage="final",
            values={},
            seed=seed,
            status="FINISHED",
            metric=value,
        )
        for seed, value in enumerate(values)
    ]
    rows.append(rows[0].model_copy(update={"trial": "00000-s9", "status": "FAILED"}))
    found = _typical_run(rows, summarize(rows, mode=mode))
    assert found is not None
    assert (found.metric, found.status) == (typical, "FINISHED")


def test_a_grid_of_one_run_is_one_trial() -> None:
    assert PLANS["mnist"].search("smoke", 1, amounts=[10]).total == 1


def test_a_label_budget_that_is_none_is_named() -> None:
    with pytest.raises(BadInput, match=r"data\.labels=many is not a label budget"):
        PLANS["mnist"].search("smoke", 1, amounts=["many"])
