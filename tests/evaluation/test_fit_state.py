import logging
from pathlib import Path

import pytest
import torch

from ssgan.evaluation import fit as fitting
from ssgan.evaluation.fit import FitState, PartialFit

STATE: FitState = {"epochs": 3, "network": {"w": torch.arange(4.0)}, "optimizer": {"lr": 0.5}}


class Clock:
    """Stands in for the module `time`."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(fitting, "time", made)
    return made


def test_it_is_written_once_a_minute_at_most(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "a.partial"
    fit = PartialFit(file, "a")
    assert fit.state is None
    clock.now += 59
    fit.keep(STATE)
    assert not file.exists()
    clock.now += 1
    fit.keep(STATE)
    clock.now += 59
    fit.keep({**STATE, "epochs": 4})
    found = PartialFit(file, "a").state
    assert found is not None
    assert found["epochs"] == 3
    assert torch.equal(found["network"]["w"], STATE["network"]["w"])
    assert found["optimizer"] == STATE["optimizer"]


def test_its_seconds_are_those_of_all_parts(tmp_path: Path, clock: Clock) -> None:
    fit = PartialFit(tmp_path / "a.partial", "a")
    clock.now += 70
    fit.keep(STATE)
    clock.now += 1000  # in vain, or while nobody trained
    again = PartialFit(tmp_path / "a.partial", "a")
    clock.now += 5
    assert again.seconds == 75


@pytest.mark.parametrize("harm", ["a bit", "its end", "all of it", "its judge"])
def test_a_file_that_cannot_be_used_is_warned_of_and_deleted(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    file = tmp_path / "a.partial"
    fit = PartialFit(file, "b" if harm == "its judge" else "a")
    clock.now += 60
    fit.keep(STATE)
    content = bytearray(file.read_bytes())
    if harm == "a bit":
        content[len(content) // 2] ^= 1
    keep = {"its end": len(content) // 2, "all of it": 0}.get(harm, len(content))
    file.write_bytes(content[:keep])
    with caplog.at_level(logging.WARNING):
        assert PartialFit(file, "a").state is None
    assert "a.partial is corrupt, or of another judge" in caplog.text
    assert [*tmp_path.iterdir()] == []


def test_a_full_disk_does_not_end_the_training(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("ssgan.base.storage.Folder.write_bytes", refuse)
    fit = PartialFit(tmp_path / "a.partial", "a")
    clock.now += 60
    with caplog.at_level(logging.WARNING):
        fit.keep(STATE)
    assert "no space left" in caplog.text


def test_what_a_crash_left_goes_with_it(tmp_path: Path) -> None:
    for name in ("a.partial", "a.partial.123.tmp", "a.lock", "b.partial"):
        (tmp_path / name).touch()
    PartialFit(tmp_path / "c.partial", "c").delete()
    PartialFit(tmp_path / "a.partial", "a").delete()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.lock", "b.partial"]
