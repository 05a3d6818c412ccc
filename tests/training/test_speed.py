"""The measured speed of updates: of any images and codes."""

import pytest
import torch

from ssgan.experiment.loading import load_experiment
from ssgan.method.codes import Code
from ssgan.training.speed import measure_speed
from ssgan.training.state import Training

COLUMNS = (
    Code(name="digit", kind="categorical", classes=("a", "b", "c")),
    Code(name="angle", kind="continuous", low=-3, high=5),
)
SMALL = ("networks.width=4", "networks.hidden=8", "networks.q_hidden=8", "training.batch_size=8")


@pytest.mark.parametrize("supervised", ["[]", "[digit]", "[angle,digit]"])
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 8, 8)])
def test_updates_are_made_of_random_images(
    monkeypatch: pytest.MonkeyPatch, supervised: str, shape: tuple[int, int, int]
) -> None:
    updates = []
    update = Training.update
    monkeypatch.setattr(Training, "update", lambda self: (update(self), updates.append(self)))
    experiment = load_experiment("digits", [*SMALL, f"codes.supervised={supervised}"])
    speed = measure_speed(experiment, COLUMNS, shape, torch.device("cpu"), seconds=0)
    assert 0 < speed < float("inf")
    assert len(updates) == 2  # one to warm up, one that is measured
    assert updates[0].find_not_finite() is None
