"""A driver that is killed in the middle of an epoch, and resumed."""

from pathlib import Path

import pytest

from ssgan import train
from ssgan.records.rundir import RunDir
from tests.helpers.runs import assert_same_bits, small, train_and_kill

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("digits_store")]


def test_a_killed_driver_costs_no_bit(tmp_path: Path) -> None:
    experiment = small()
    whole = train(experiment, tmp_path, "whole")
    # The second epoch has updates 41 to 80; the first is committed meanwhile.
    began = RunDir(tmp_path / "killed")
    run = train_and_kill(
        *(experiment, str(tmp_path), "killed"), lambda now: now > 40 and bool(began.epochs())
    )
    assert len(run.records()) in (1, 2)
    assert run.summary() is None
    resumed = train(experiment, resume=run.location)
    assert_same_bits(resumed.run_dir, whole.run_dir)
