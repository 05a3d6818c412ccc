"""A run that takes a second, and a launch that records in no MLflow."""

from typing import ClassVar

import pytest

from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch import driver
from ssgan.records.rundir import RunDir
from tests.helpers.runs import SMALL

TINY = (
    *SMALL,
    "label_sampling.batch_size=4",
    "training.batch_size=8",
    "training.steps_per_epoch=6",
    "training.check_every=2",
)


class NoFollower:
    """Stands for the thread that records in MLflow, and remembers how runs ended."""

    endings: ClassVar[list[str | None]] = []
    view = None

    def __init__(self, run: RunDir, uri: str) -> None:
        self.run = run

    def start(self) -> "NoFollower":
        return self

    def close(self, status: str | None = None) -> None:
        self.endings.append(status)


@pytest.fixture
def tiny() -> Experiment:
    """The digits preset, cut down to three epochs of six updates of eight images."""
    return load_experiment("digits", TINY)


@pytest.fixture
def endings(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Launch without MLflow; the list holds the status that each run ended with."""
    monkeypatch.setattr(driver, "RunSync", NoFollower)
    monkeypatch.setattr(driver, "check", lambda *told: None)
    monkeypatch.setattr(NoFollower, "endings", [])
    return NoFollower.endings
