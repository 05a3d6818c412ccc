"""The newest generator of a run, beside a training that saves and prunes."""

import logging
import shutil
from pathlib import Path

import pytest

from ssgan.data.store import Store
from ssgan.export.generator import NamedGenerator
from ssgan.launch.loaded_run import load_run
from ssgan.launch.outcome import export, open_export, write_export
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.viewing import newest
from ssgan.viewing.newest import NewestGenerator
from tests.helpers.buckets import running_bucket
from tests.helpers.runs import short_run, small

CODES = {"digit": "7"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, digits_store: Store) -> RunDir:
    """A run with a checkpoint after two updates."""
    return short_run(tmp_path_factory.mktemp("runs") / "run", small(), 2)


@pytest.fixture
def run(trained: RunDir, tmp_path: Path) -> RunDir:
    """A copy of that run."""
    shutil.copytree(trained.location, tmp_path / "run")
    return RunDir.open(tmp_path / "run")


def look(found: NewestGenerator) -> str | None:
    """Look, wait, and return which one is there."""
    found.look()
    found.wait()
    return None if found.loaded is None else found.loaded.name


def save_later(run: RunDir, step: int) -> None:
    """Save a later checkpoint, whose weights are others."""
    checkpoints = Checkpoints(run)
    latest = checkpoints.latest()
    assert latest is not None
    state = latest[1]
    state["average"] = [value * 2 for value in state["average"]]
    checkpoints.save(step, state)


def test_it_draws_what_an_export_of_the_checkpoint_draws(run: RunDir) -> None:
    found = NewestGenerator(run)
    assert look(found) == "00000002"
    assert found.loaded is not None
    loaded = load_run(run.location)
    exact = open_export(loaded, export(loaded)).sample(8, seed=3, codes=CODES)
    assert (found.loaded.generator.sample(8, seed=3, codes=CODES) == exact).all()
    assert found.loaded.generator.manifest.provenance["step"] == 2


def test_a_newer_checkpoint_takes_its_place_and_no_other_is_loaded_twice(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, load_networks = list[str | None](), newest.load_networks
    monkeypatch.setattr(
        newest, "load_networks", lambda *a: (loads.append(a[4]), load_networks(*a))[1]
    )
    found = NewestGenerator(run)
    assert [look(found), look(found)] == ["00000002"] * 2
    assert found.loaded is not None
    before = found.loaded.generator.sample(1, codes=CODES)
    save_later(run, 4)
    assert [look(found), look(found)] == ["00000004"] * 2
    assert (found.loaded.generator.sample(1, codes=CODES) != before).any()
    assert loads == ["00000002", "00000004"]


def test_a_checkpoint_that_is_pruned_while_it_is_read_is_no_error(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found, load_networks = NewestGenerator(run), newest.load_networks

    def prune_first(*given: object) -> object:
        monkeypatch.setattr(newest, "load_networks", load_networks)
        save_later(run, 4)
        run.delete("checkpoints/00000002")
        return load_networks(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(newest, "load_networks", prune_first)
    assert look(found) is None
    assert found.problem is None
    assert look(found) == "00000004"
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_a_damaged_one_is_named_and_the_one_before_stays(run: RunDir) -> None:
    found = NewestGenerator(run)
    look(found)
    save_later(run, 4)
    file = "checkpoints/00000004/state.pt"
    run.write_bytes(file, run.read_bytes(file)[:-1])
    assert look(found) == "00000002"
    assert "does not match its hash" in (found.problem or "")
    late = NewestGenerator(run)
    look(late)
    assert late.loaded is not None
    assert late.loaded.generator.manifest.provenance["step"] == 2
    assert "does not match its hash" in (late.problem or "")
    save_later(run, 6)
    assert (look(found), found.problem) == ("00000006", None)


def test_before_the_first_checkpoint_there_is_none(tmp_path: Path) -> None:
    found = NewestGenerator(RunDir.create(tmp_path / "run", small().to_yaml()))
    assert look(found) is None
    assert (found.problem, found.is_loading) == (None, False)


def test_data_that_is_not_here_is_a_problem_in_words(run: RunDir) -> None:
    text = run.definition().replace("kind: digits", "kind: folder\n    root: /nowhere/at/all")
    assert "nowhere" in text
    run.write_definition(text)
    found = NewestGenerator(run)
    assert look(found) is None
    assert "/nowhere/at/all" in (found.problem or "")


def test_an_export_of_the_newest_state_needs_no_data(run: RunDir) -> None:
    write_export(run, export(load_run(run.location)))
    exact = NamedGenerator.load(run.location)
    found = NewestGenerator(run)
    assert look(found) == exact.manifest.weights_sha256
    assert found.loaded is not None
    assert (found.loaded.generator.sample(2) == exact.sample(2)).all()
    save_later(run, 4)
    assert look(found) == "00000004"


def test_it_reads_from_an_object_store_and_writes_nothing_there(run: RunDir) -> None:
    with running_bucket() as bucket:
        far = RunDir(bucket.locate("runs/far"))
        for file in run.list(""):
            far.write_bytes(file, run.read_bytes(file))
        bucket.requests.clear()
        found = NewestGenerator(RunDir.open(far.location))
        assert (look(found), found.problem) == ("00000002", None)
        assert {request.method for request in bucket.requests} <= {"GET", "HEAD"}
