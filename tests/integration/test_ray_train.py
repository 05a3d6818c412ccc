"""Real workers under Ray Train. One Ray serves all tests here; each fit takes 10 s and more."""

import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray import cloudpickle

from ssgan.base.errors import BadInput, NonFiniteLoss
from ssgan.cluster.connection import Cluster
from ssgan.cluster.nodes import examine_cluster
from ssgan.launch import workers
from ssgan.launch.driver import train
from ssgan.launch.outcome import Result
from ssgan.records.rundir import RunDir
from ssgan.training.loop import Progress, Stopped, Watch
from tests.helpers.runs import assert_same_bits, small

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("ray_here"),
]

# Workers cannot import this file, so what they run of it must travel whole.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all runs, so that the tracking store is made once."""
    return tmp_path_factory.mktemp("runs")


def work_and_tell(order: Any) -> Any:
    """Work as one of several workers, and leave each rank's attempts and weights in the run.

    An attempt that is not killed leaves its first and its last update.
    """
    import hashlib
    import json
    import uuid

    from torch import distributed as dist

    from ssgan.launch.workers import work
    from ssgan.records.rundir import RunDir
    from ssgan.training import loop

    trainings = []

    class Kept(loop.Training):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            trainings.append(self)
            self.first = 0

        def load(self, *arguments: object) -> None:
            super().load(*arguments)  # type: ignore[arg-type]
            self.first = self.updates

    loop.Training = Kept  # type: ignore[misc]
    run, rank = RunDir(order["run"]), dist.get_rank()
    attempt = f"attempts/{rank}-{uuid.uuid4().hex}"
    run.write_bytes(attempt, b"")
    ending = work(order)
    run.write_bytes(attempt, json.dumps([trainings[-1].first, trainings[-1].updates]).encode())
    step = trainings[-1].step
    tensors = [*step.generator.parameters(), *step.discriminator.parameters()]
    digest = hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors))
    run.write_bytes(f"weights/{rank}", digest.hexdigest().encode())
    return ending


def attempts(run_dir: str) -> int:
    return len(RunDir(run_dir).list("attempts"))


# Ray hands a signal to its worker when it next asks for news, every two seconds.
LONGER = ("training.steps_per_epoch=120", "training.epochs=5")


@pytest.fixture(scope="module")
def undisturbed(ray_here: Cluster, out: Path) -> Result:
    """A run by two workers that nothing disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "work", work_and_tell)
        return train(small("scaling.workers=2", *LONGER), out, "undisturbed")


def test_two_ranks_end_with_the_same_weights(undisturbed: Result) -> None:
    run = RunDir.open(undisturbed.run_dir)
    first, second = (run.read_bytes(f"weights/{rank}") for rank in (0, 1))
    assert first == second
    assert attempts(undisturbed.run_dir) == 2
    assert undisturbed.summary["epochs"] == 5
    assert undisturbed.summary["environment"]["workers"] == 2
    assert run.list("ray") == []


def test_workers_that_are_lost_cost_no_bit_and_with_notice_no_update(
    undisturbed: Result, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "work", work_and_tell)
    name = "disturbed"
    run = RunDir(out / name)
    signals = [signal.SIGTERM, signal.SIGKILL]

    def watch(now: Progress) -> None:
        # At the end of an epoch, and the second time only when there are new workers.
        count = attempts(run.location)
        if now.record is not None and (len(signals), count) in ((2, 2), (1, 4)):
            found = [p for p in psutil.Process().children(recursive=True) if is_worker(p)]
            found[-1].send_signal(signals.pop(0))

    # A notice is not counted as a try.
    experiment = small("scaling.workers=2", "scaling.retries=1", *LONGER)
    result = train(experiment, out, name, watch=Watch(progress=watch))
    assert not signals
    assert_same_bits(result.run_dir, undisturbed.run_dir)
    weights = [RunDir(r.run_dir).read_bytes("weights/1") for r in (result, undisturbed)]
    assert weights[0] == weights[1]
    spans = [json.loads(run.read_bytes(name) or b"null") or [] for name in run.list("attempts")]
    killed, noticed, again = [sorted(spans)[k : k + 2] for k in (0, 2, 4)]
    assert killed == [[], []]
    stopped = noticed[0][1]
    assert 120 <= stopped < 480
    assert noticed == [[0, stopped]] * 2
    assert again[0] == again[1]
    assert again[0][0] in (stopped, 240, 360, 480)
    assert again[0][1] == 600


def is_worker(process: psutil.Process) -> bool:
    try:
        return any("RayTrainWorker" in part for part in process.cmdline())
    except psutil.Error:
        return False


def test_one_worker_under_ray_trains_as_this_process_does(out: Path) -> None:
    here = train(small(), out, "here")
    seen: list[Progress] = []
    watch = Watch(seen.append, stop=lambda: bool(seen))
    with pytest.raises(Stopped, match="resume it with --resume"):
        train(small("scaling.workers=[1,1]"), out, "ray", watch=watch)
    part = RunDir.open(out / "ray")
    assert len(part.records()) < 3
    assert not part.exists("STOP")
    # The first part was trained under Ray, the second one here.
    whole = train(small(), resume=part.location)
    assert_same_bits(whole.run_dir, here.run_dir)


def test_a_loss_that_is_not_finite_is_not_tried_again(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "work", work_and_tell)
    wild = ["optimizer.generator_lr=1e30", "optimizer.discriminator_lr=1e30"]
    with pytest.raises(NonFiniteLoss, match="became NaN or infinite"):
        train(small("scaling.workers=[1,1]", *wild), out, "wild")
    assert attempts(str(out / "wild")) == 1


def test_doctor_asks_every_node(ray_here: Cluster, out: Path) -> None:
    checks = {check.name: check for check in examine_cluster(out)}
    assert set(checks) == {"ray", "dashboard", "nodes", "storage", "network"}
    assert [check for check in checks.values() if not check.ok] == []
    assert checks["nodes"].detail.startswith("1 of 1 answer")
    assert not list(out.glob(".ssgan-probe*"))


def test_more_workers_than_the_cluster_has_are_refused(out: Path, ray_here: Cluster) -> None:
    has = sum(node.cpus for node in ray_here.nodes)
    experiment = small(
        "scaling.workers=64", "training.batch_size=128", "label_sampling.batch_size=128"
    )
    with pytest.raises(BadInput, match=f"64 workers x .*the cluster has {has:g} CPUs"):
        train(experiment, out, "many")
    assert not (out / "many").exists()


def test_a_ray_of_our_own_listens_on_loopback_alone(ray_here: Cluster) -> None:
    here = psutil.Process()
    found: dict[str, str] = {}
    for process in (here, *here.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            for one in process.net_connections("inet"):
                if one.status == psutil.CONN_LISTEN:
                    ip = one.laddr.ip.removeprefix("::ffff:")  # IPv4 on a socket of both
                    found[f"{process.name()} {one.laddr.port}"] = ip
    assert any("gcs_server" in name for name in found)
    assert any("raylet" in name for name in found)
    assert {name: ip for name, ip in found.items() if ip not in ("127.0.0.1", "::1")} == {}
