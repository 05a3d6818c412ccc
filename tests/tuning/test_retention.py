import pickle
from pathlib import Path
from typing import Any, cast

import pytest

from ssgan.records.checkpoints import Checkpoints, starting_point
from ssgan.records.rundir import RunDir
from ssgan.tuning.retention import KeepBest
from tests.helpers.trials import FakeTrial


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir.create(tmp_path / "trials" / "00003", "")
    checkpoints = Checkpoints(made, keep_last=9)
    for step, metric in enumerate([0.3, 0.1, 0.2, 0.4], start=1):
        checkpoints.save(step, {"step": step}, metric)
    return made


def end(tmp_path: Path) -> None:
    callback = KeepBest(str(tmp_path / "trials"))
    trial: Any = FakeTrial("00003")
    callback.on_trial_complete(1, [trial], trial)
    pickle.loads(pickle.dumps(callback)).on_experiment_end([])  # Tune saves callbacks at any time
    callback.on_experiment_end([trial])


def test_a_trial_that_is_over_keeps_its_best_and_can_continue_from_it(
    run: RunDir, tmp_path: Path
) -> None:
    end(tmp_path)
    assert run.folders("checkpoints") == ["00000002"]
    assert cast(str, starting_point(run)).endswith("checkpoints/00000002")


def test_what_another_trial_continues_from_stays(run: RunDir, tmp_path: Path) -> None:
    Checkpoints(run).protect("00000004", "00001")
    end(tmp_path)
    assert run.folders("checkpoints") == ["00000002", "00000004"]


def test_checkpoints_that_cannot_be_deleted_do_not_end_the_search(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: RunDir, prefix: str) -> list[str]:
        raise OSError(5, "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "list", refuse)
        end(tmp_path)
    assert "no answer" in caplog.text
    assert len(run.folders("checkpoints")) == 4
