"""The searcher of docs/extending.md chooses; workers of Ray find it, and a term beside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssgan.records.searchdir import SearchDir
from tests.helpers.recipes import MODULES, command
from tests.launch.conftest import TINY

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

OVERRIDES = [
    *TINY,
    "training.epochs=1",
    "objective.extra=[{kind: r1.R1, weight: 0.1}]",
    "scaling.workers=2",
    "scaling.cpus=0.5",
    "search.scheduler.kind=none",
    "search.trials=1",
    "search.finals.best=0",
]


@pytest.mark.usefixtures("digits_store")
def test_a_search_by_a_searcher_of_another_package(tmp_path: Path) -> None:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(tmp_path), str(root)])
    done = subprocess.run(
        [sys.executable, "-m", "ssgan", *command("sobol"), *OVERRIDES, "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    search = SearchDir.open(tmp_path / "runs/sobol")
    assert "sobol.Sobol" in search.definition()
    rows = search.rows()
    assert [row.status for row in rows] == ["FINISHED"]
    assert search.run(rows[0]).records()[-1].metrics["loss/R1"] is not None
