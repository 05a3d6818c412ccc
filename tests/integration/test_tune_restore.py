"""A search of which every process is killed, and that goes on."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from runs import assert_same_bits
from searches import epochs_of, rows_of, small_search
from ssgan.cluster import Cluster
from ssgan.errors import BadInput
from ssgan.searchdir import SearchDir
from ssgan.tuning import Search, build_tuner, restore_tuner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("digits_store"),
]

_DRIVER = """
import sys
from ssgan.cluster import connect
from ssgan.tuning import Search, build_tuner

search = Search.from_yaml(sys.stdin.read())
with connect(sys.argv[2]) as cluster:
    build_tuner(search, sys.argv[1], cluster=cluster).fit()
"""


def definition() -> Search:
    return small_search(
        {"objective.lambda1": {"kind": "loguniform", "low": 0.05, "high": 2}},
        "training.epochs=6",
        "training.steps_per_epoch=40",
        trials=3,
        concurrent=2,
    )


def kill_in_the_middle(search: Search, location: Path) -> None:
    """Start a driver with a Ray of its own, and kill both with all their children."""
    folder = tempfile.mkdtemp(prefix="ray")
    command = [sys.executable, "-c", _DRIVER, str(location), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as driver:
        assert driver.stdin is not None
        driver.stdin.write(search.to_yaml())
        driver.stdin.close()
        directory = SearchDir(location)
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and driver.poll() is None:
            if any(row.epoch >= 2 for row in directory.rows()):
                break
            time.sleep(0.05)
        mine = psutil.Process(driver.pid)
        for process in [mine, *mine.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_search_that_was_killed_ends_as_if_it_had_not_been(
    ray_here: Cluster, tmp_path: Path
) -> None:
    search = definition()
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    kill_in_the_middle(search, killed)
    assert not all(row.is_over for row in SearchDir.open(killed).rows())

    other = search.model_copy(update={"trials": 9})
    with pytest.raises(BadInput, match=r"another definition:\n  search.trials: 3 -> 9"):
        restore_tuner(killed, other, cluster=ray_here)
    with pytest.raises(BadInput, match=r"a search is already at .* --resume killed"):
        build_tuner(search, killed, cluster=ray_here)

    results = restore_tuner(killed, search, cluster=ray_here).fit()
    assert results.num_errors == 0
    build_tuner(search, whole, cluster=ray_here).fit()
    for ours, theirs in zip(rows_of(killed).values(), rows_of(whole).values(), strict=True):
        assert (ours.trial, ours.values, ours.status) == (theirs.trial, theirs.values, "FINISHED")
        assert ours.metric == theirs.metric
        assert epochs_of(killed, ours) == [1, 2, 3, 4, 5, 6]
        assert_same_bits(str(killed / ours.run), str(whole / theirs.run))
        assert (killed / ours.run / "summary.json").exists()
