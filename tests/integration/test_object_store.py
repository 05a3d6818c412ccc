"""Trainings and a search on ``s3://...?endpoint_override=...``: a real client, moto's server.

The server is 20 ms away and refuses one request in ten. Ray is started before the keys are in the
environment, as on a cluster whose machines have none: workers and trials get them from the driver.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssgan.base.storage import join
from ssgan.cli import main
from ssgan.cluster.connection import Cluster
from ssgan.launch.driver import train
from ssgan.launch.outcome import Result
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir
from ssgan.tuning.program import run_search
from tests.helpers.buckets import Bucket, running_bucket
from tests.helpers.runs import assert_same_bits, small, train_and_kill
from tests.helpers.searches import small_search

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("digits_store"),
]

SECRET = "a-secret-that-no-disk-may-hold"


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"tracking.uri=sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(scope="module")
def bucket(ray_here: Cluster) -> Iterator[Bucket]:
    with running_bucket(SECRET) as bucket:
        bucket.delay, bucket.refuse_every = 0.02, 10
        yield bucket


@pytest.fixture(scope="module")
def runs(bucket: Bucket) -> str:
    """Where runs go."""
    return bucket.locate("my runs".replace(" ", "%20"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tracking: str) -> Result:
    """The same run by one process, in a folder."""
    return train(small(tracking), tmp_path_factory.mktemp("runs"), "whole")


def test_a_killed_training_costs_no_bit(runs: str, whole: Result, tracking: str) -> None:
    experiment = small(tracking)
    # The third epoch has updates 81 to 120; the first is committed by then.
    run = train_and_kill(experiment, runs, "killed", lambda now: now == 100)
    assert 1 in run.epochs()
    assert run.summary() is None
    resumed = train(experiment, resume=run.location)
    assert_same_bits(resumed.run_dir, whole.run_dir)


def test_two_workers_train(runs: str, bucket: Bucket, tracking: str) -> None:
    experiment = small(tracking, "scaling.workers=2", "training.epochs=2")
    result = train(experiment, runs, "two")
    run = RunDir.open(result.run_dir)
    assert [record.epoch for record in run.records()] == [1, 2]
    assert result.summary["environment"]["workers"] == 2
    assert run.record(2).images  # type: ignore[union-attr]


def test_a_search_ends_with_a_champion_that_can_be_sampled(
    runs: str, bucket: Bucket, tracking: str, tmp_path: Path
) -> None:
    search = small_search(
        {"objective.lambda1": {"kind": "grid", "values": [0.1, 1.0]}},
        "training.epochs=2",
        tracking,
        scheduler={"kind": "asha", "grace": 1, "reduction": 2},
        finals={"best": 1, "seeds": 1},
        keep="best",
    )
    summary = run_search(search, runs, "hunt").summary
    directory = SearchDir.open(join(runs, "hunt"))
    assert [row.stage for row in directory.rows()].count("final") == 1
    assert (summary["failed"], summary["champion"]) == (0, True)
    for row in directory.rows():
        kept = directory.run(row).folders("checkpoints")
        assert len(kept) == (1 if row.stage == "search" else 2)
    assert run_search(search, runs, "hunt", resume=True).summary["winner"] == summary["winner"]
    for arguments in (
        ("sample", directory.location, "digit=7", "-n", "2", "--out", str(tmp_path / "7.png")),
        ("track", "sync", directory.location, summary["run_dir"]),
        ("export", summary["run_dir"], "--out", join(runs, "exported")),
        ("sample", join(runs, "exported"), "--out", str(tmp_path / "any.png")),
        ("train", join(directory.location, "best.yaml"), tracking, "training.epochs=1", "--out",
         runs, "--name", "best"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 0, arguments
    assert (tmp_path / "7.png").exists()


def test_no_disk_holds_the_secret(bucket: Bucket, ray_here: Cluster, tracking: str) -> None:
    import ray

    assert bucket.list_keys()
    for key in bucket.list_keys():
        body = bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read()
        assert SECRET.encode() not in body, key
    node = ray.nodes()[0]
    assert node["Alive"]
    session = Path(ray._private.worker._global_node.get_session_dir_path())  # type: ignore[attr-defined]
    database = Path(tracking.partition("sqlite:///")[2])
    files = [path for path in session.rglob("*") if path.is_file()]
    assert files
    for file in [*files, database]:
        assert SECRET.encode() not in file.read_bytes(), file
    assert tempfile.gettempdir() not in bucket.list_keys()
