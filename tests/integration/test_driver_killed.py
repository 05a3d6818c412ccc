"""A driver that is killed in the middle of an epoch, and resumed."""

import subprocess
import sys
from pathlib import Path

import pytest

from ssgan import train
from ssgan.records.rundir import RunDir
from tests.helpers.runs import assert_same_bits, small

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("digits_store")]

_DRIVER = """
import sys
from ssgan import train
from ssgan.experiment.tree import Experiment
from ssgan.training.loop import Watch

experiment = Experiment.from_yaml(sys.stdin.read())
train(experiment, sys.argv[1], "killed", watch=Watch(lambda now: print(now.updates, flush=True)))
"""


def test_a_killed_driver_costs_no_bit(tmp_path: Path) -> None:
    experiment = small()
    whole = train(experiment, tmp_path, "whole")
    command = [sys.executable, "-c", _DRIVER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(experiment.to_yaml())
        driver.stdin.close()
        for line in driver.stdout:
            # The second epoch has 41 to 80; the first is committed meanwhile.
            if int(line) > 40 and RunDir(tmp_path / "killed").epochs():
                break
        driver.kill()
    run = RunDir.open(tmp_path / "killed")
    assert len(run.records()) in (1, 2)
    assert run.summary() is None
    resumed = train(experiment, resume=run.location)
    assert_same_bits(resumed.run_dir, whole.run_dir)
