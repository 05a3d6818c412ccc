import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssgan.base.errors import CorruptFile
from ssgan.training.session import (
    InProcess,
    Session,
    TrainSession,
    TuneSession,
    read_pointer,
    write_pointer,
)


def waited() -> Any:
    pytest.fail("it waited")


def test_in_process_starts_where_it_is_told_and_waits_for_nothing() -> None:
    session: Session = InProcess("runs/a/checkpoints/00000003")
    session.report(waited, waited)
    assert session.restore() == "runs/a/checkpoints/00000003"
    assert InProcess().restore() is None


def test_in_process_costs_no_import_of_ray() -> None:
    code = (
        "import sys, ssgan.training.session as s; s.InProcess().restore(); "
        "sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


class FakeRay:
    """Stands for the report and get_checkpoint of ray.train or ray.tune."""

    def __init__(self) -> None:
        self.reports: list[tuple[dict[str, Any], str | None]] = []
        self.held: Any = None

    def report(self, metrics: dict[str, Any], checkpoint: Any = None) -> None:
        pointer = None
        if checkpoint is not None:
            with checkpoint.as_directory() as folder:
                pointer = json.loads((Path(folder) / "pointer.json").read_text())["checkpoint"]
        self.reports.append((metrics, pointer))

    def get_checkpoint(self) -> Any:
        return self.held


@pytest.fixture
def fake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    import ray.train
    import ray.tune

    fake = FakeRay()
    for module in (ray.train, ray.tune):
        monkeypatch.setattr(module, "report", fake.report)
        monkeypatch.setattr(module, "get_checkpoint", fake.get_checkpoint)
    return fake


def test_ray_tune_is_given_a_pointer_to_what_is_committed(fake: FakeRay) -> None:
    from ray import tune

    def commit() -> str:
        assert not fake.reports
        return "s3://bucket/a/checkpoints/00000004"

    session: Session = TuneSession(tune)
    session.report(lambda: {"zero_one_loss": 0.5}, commit)
    session.report(lambda: {"zero_one_loss": None})
    assert fake.reports == [
        ({"zero_one_loss": 0.5}, "s3://bucket/a/checkpoints/00000004"),
        ({"zero_one_loss": None}, None),
    ]


def test_a_trial_resumes_where_ray_tune_says(fake: FakeRay, tmp_path: Path) -> None:
    from ray import tune

    assert TuneSession(tune).restore() is None
    write_pointer(tmp_path, "a/checkpoints/00000002")
    fake.held = tune.Checkpoint.from_directory(str(tmp_path))
    assert TuneSession(tune).restore() == "a/checkpoints/00000002"


def test_ray_train_hears_of_an_epoch_before_it_is_measured(fake: FakeRay) -> None:
    from ray import train

    session: Session = TrainSession(train, lambda: "a/checkpoints/00000001")
    session.report(waited, waited)
    assert fake.reports == [({}, None)]
    assert session.restore() == "a/checkpoints/00000001"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": "other", "checkpoint": "x"}'])
def test_a_pointer_that_cannot_be_read_is_damaged(tmp_path: Path, content: str | None) -> None:
    @contextmanager
    def as_directory() -> Iterator[str]:
        yield str(tmp_path)

    if content is not None:
        (tmp_path / "pointer.json").write_text(content)
    with pytest.raises(CorruptFile, match="points at no checkpoint"):
        read_pointer(SimpleNamespace(as_directory=as_directory))
