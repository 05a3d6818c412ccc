import os
from pathlib import Path

import pytest

from ssgan.cluster import examination
from ssgan.cluster.examination import examine
from ssgan.cluster.nodes import Check


def find(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_doctor_reports_this_machine(tmp_path: Path) -> None:
    checks = list(
        examine(tmp_path / "runs" / "deep", tmp_path, tracking=lambda: "answers", with_ray=False)
    )
    assert find(checks, "torch").ok
    assert find(checks, "tracking") == Check("tracking", True, "answers")
    assert str(tmp_path / "runs" / "deep") in find(checks, "output").detail
    assert {"python", "ray", "mlflow", "cores", "memory", "cache", "cuda"} <= {
        check.name for check in checks
    }


def test_doctor_names_what_is_wrong_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead() -> str:
        raise ConnectionError("nobody answers at port 5000")

    monkeypatch.setattr(examination, "_PACKAGES", ("no-such-package",))
    monkeypatch.setattr(examination, "_FREE_DISK", 2**80)
    checks = list(examine(tmp_path, tmp_path, workers=10_000, tracking=dead, with_ray=False))
    wrong = {check.name: check for check in checks if not check.ok}
    assert set(wrong) == {"no-such-package", "memory", "output", "cache", "tracking"}
    assert wrong["tracking"].detail == "nobody answers at port 5000"
    assert all(check.remedy for check in wrong.values())


def test_doctor_writes_to_a_remote_output(tmp_path: Path) -> None:
    checks = list(examine(f"file://{tmp_path}/runs", tmp_path, with_ray=False))
    assert find(checks, "output").ok
    assert list((tmp_path / "runs").iterdir()) == []
    checks = list(examine("nowhere://bucket/runs", tmp_path, with_ray=False))
    assert "nowhere://bucket/runs" in find(checks, "output").detail
    assert not find(checks, "output").ok


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_doctor_finds_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    checks = list(examine(tmp_path / "runs", tmp_path, with_ray=False))
    assert "cannot be written" in find(checks, "output").detail
    assert not find(checks, "output").ok
