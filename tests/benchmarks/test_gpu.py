"""The program for a bare machine with a GPU, as far as a CPU can run it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu
from benchmarks.gpu_setup import Bench

ROOT = Path(gpu.__file__).parents[1]
ABSENT = ("ray", "mlflow", "click", "torchvision", "pandas", "optuna")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Results of the program as a file, where all that a bare machine lacks cannot be imported."""
    folder = tmp_path_factory.mktemp("gpu")
    for name in ABSENT:
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} is not on this machine')")
    environment = os.environ | {"PYTHONPATH": f"{folder}:{ROOT}", "CUDA_VISIBLE_DEVICES": ""}
    environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--small"]
    done = subprocess.run(
        [*command, "--out", str(folder / "gpu.json"), "--budget", "250"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results: dict[str, list[dict[str, Any]]] = json.loads((folder / "gpu.json").read_text())
    printed = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(printed) == sum(map(len, results.values()))
    return results


def test_every_phase_tells_something(found: dict[str, list[dict[str, Any]]]) -> None:
    assert [one["name"] for one in found["seconds"]] == list(gpu.PHASES)
    assert found.keys() == {*gpu.PHASES, "seconds"}


def test_the_page_names_every_phase_and_holds_no_figure_that_was_not_measured() -> None:
    page = (ROOT / "docs/results/gpu.md").read_text()
    told = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    assert told == [name for name in gpu.PHASES if name != "environment"]
    assert "images/s" not in page


def test_single_precision_is_as_good_as_its_rounding(
    found: dict[str, list[dict[str, Any]]],
) -> None:
    assert [(one["way"], one["augmented"]) for one in found["parity"]] == [
        ("cpu fp32", False),
        ("cpu fp32", True),
    ]
    for one in found["parity"]:
        assert one["ok"]
        assert all(float(error) < 1e-4 for error in one["relative_error_of_gradients"].values())


def test_runs_repeat_and_resume_bit_for_bit(found: dict[str, list[dict[str, Any]]]) -> None:
    repeated = [one for one in found["determinism"] if "bit_equal" in one]
    assert [one["run"] for one in found["resume"]] == ["fp32", "bf16", "augmented"]
    assert len(repeated) == 6
    assert all(one["bit_equal"] for one in [*repeated, *found["resume"]])


def test_the_body_of_the_graph_is_the_update(found: dict[str, list[dict[str, Any]]]) -> None:
    (one,) = found["graph"]
    assert one["body_on_cpu_equals_update"], one


def test_a_run_on_real_digits_learns(found: dict[str, list[dict[str, Any]]]) -> None:
    (one,) = found["real_digits"]
    assert one["not_finite"] is None
    assert one["q_ss_accuracy"] > 0.5


def failing(bench: Bench) -> Iterator[dict[str, Any]]:
    yield {"small": bench.small}
    raise RuntimeError("out of memory")


def test_a_phase_that_fails_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "PHASES", {"failing": failing, "environment": gpu.environment})
    out = tmp_path / "gpu.json"
    assert gpu.main(["--small", "--out", str(out)]) == 1
    results = json.loads(out.read_text())
    assert results["failing"][0] == {"small": True}
    assert results["failing"][1]["error"] == "RuntimeError: out of memory"
    assert "raise RuntimeError" in results["failing"][1]["where"][-1]
    assert "torch" in results["environment"][0]


def test_no_phase_begins_without_time(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert gpu.main(["--only", "parity", "--budget", "1", "--out", str(out)]) == 0
    assert json.loads(out.read_text()) == {"parity": [{"skipped": "no time left"}]}


def test_an_unknown_phase_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--only", "parties"])
    assert "no phase is named 'parties'; there are environment, parity" in capsys.readouterr().err
