import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssgan.base.errors import CorruptFile
from ssgan.training.session import (
    InProcess,
    RaySession,
    Session,
    read_pointer,
    write_pointer,
)


def test_in_process_starts_where_it_is_told_and_passes_metrics_on() -> None:
    heard: list[Any] = []
    session: Session = InProcess("runs/a/checkpoints/00000003", heard.append)
    session.report({"zero_one_loss": 0.25}, "runs/a/checkpoints/00000004")
    assert session.restore() == "runs/a/checkpoints/00000003"
    assert heard == [{"zero_one_loss": 0.25}]
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


@pytest.fixture(params=["train", "tune"])
def ray_session(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[FakeRay, Callable[..., RaySession]]:
    import ray.train
    import ray.tune

    fake = FakeRay()
    module = ray.train if request.param == "train" else ray.tune
    monkeypatch.setattr(module, "report", fake.report)
    monkeypatch.setattr(module, "get_checkpoint", fake.get_checkpoint)
    return fake, partial(RaySession, module)


def test_ray_is_given_a_pointer(
    ray_session: tuple[FakeRay, Callable[..., RaySession]],
) -> None:
    fake, kind = ray_session
    session: Session = kind()
    session.report({"zero_one_loss": 0.5}, "s3://bucket/a/checkpoints/00000004")
    session.report({"zero_one_loss": None})
    assert fake.reports == [
        ({"zero_one_loss": 0.5}, "s3://bucket/a/checkpoints/00000004"),
        ({"zero_one_loss": None}, None),
    ]


def test_ray_s_pointer_goes_before_the_start_that_the_driver_gave(
    ray_session: tuple[FakeRay, Callable[..., RaySession]], tmp_path: Path
) -> None:
    from ray.train import Checkpoint

    fake, kind = ray_session
    assert kind().restore() is None
    assert kind("a/checkpoints/00000001").restore() == "a/checkpoints/00000001"
    write_pointer(tmp_path, "a/checkpoints/00000002")
    fake.held = Checkpoint.from_directory(str(tmp_path))
    assert kind("a/checkpoints/00000001").restore() == "a/checkpoints/00000002"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": "other", "checkpoint": "x"}'])
def test_a_pointer_that_cannot_be_read_is_damaged(tmp_path: Path, content: str | None) -> None:
    @contextmanager
    def as_directory() -> Iterator[str]:
        yield str(tmp_path)

    if content is not None:
        (tmp_path / "pointer.json").write_text(content)
    with pytest.raises(CorruptFile, match="points at no checkpoint"):
        read_pointer(SimpleNamespace(as_directory=as_directory))
