import os
import socket
from pathlib import Path

import pytest

from ssgan import cluster
from ssgan.cluster import Check, Node, examine, preflight, threads_per_worker, worker_environment
from ssgan.errors import BadInput


@pytest.mark.parametrize(
    ("cores", "workers", "threads"), [(2, 1, 2), (2, 2, 1), (2, 4, 1), (16, 3, 5), (0, 1, 1)]
)
def test_workers_share_the_cores(cores: int, workers: int, threads: int) -> None:
    assert threads_per_worker(cores, workers) == threads


def test_workers_wait_passively_and_are_told_of_the_network() -> None:
    outside = {"GLOO_SOCKET_IFNAME": "eth1", "SSGAN_CACHE": "cache", "HOME": "somewhere"}
    assert worker_environment(3, outside) == {
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "GLOO_SOCKET_IFNAME": "eth1",
        "SSGAN_CACHE": "cache",
    }


@pytest.mark.parametrize(
    ("workers", "cpus", "gpus", "nodes"),
    [
        (2, 1.0, 0.0, [Node(2)]),
        (4, 1.0, 0.0, [Node(2), Node(3)]),
        (10, 0.1, 0.0, [Node(1)]),
        (4, 1.0, 0.25, [Node(8, 1)]),
        (2, 1.0, 1.0, [Node(4, 1), Node(4, 1)]),
    ],
)
def test_what_fits_passes(workers: int, cpus: float, gpus: float, nodes: list[Node]) -> None:
    preflight(workers, cpus, gpus, nodes)


@pytest.mark.parametrize(
    ("workers", "cpus", "gpus", "nodes", "arithmetic"),
    [
        (3, 1.0, 0.0, [Node(2)], r"3 workers x \(1 CPUs\) = 3 CPUs, but .* 2 CPUs.* room for 2"),
        # Six cores in all, but no worker is divided between machines.
        (2, 3.0, 0.0, [Node(2), Node(4)], r"= 6 CPUs, .*2 CPUs \+ 4 CPUs.* room for 1"),
        (2, 1.0, 1.0, [Node(8, 1)], r"2 CPUs and 2 GPUs, .*8 CPUs and 1 GPUs.* room for 1"),
        (1, 1.0, 0.0, [], r"no machine"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_arithmetic(
    workers: int, cpus: float, gpus: float, nodes: list[Node], arithmetic: str
) -> None:
    with pytest.raises(BadInput, match=arithmetic):
        preflight(workers, cpus, gpus, nodes)


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

    monkeypatch.setattr(cluster, "_PACKAGES", ("no-such-package",))
    monkeypatch.setattr(cluster, "_FREE_DISK", 2**80)
    checks = list(examine(tmp_path, tmp_path, workers=10_000, tracking=dead, with_ray=False))
    wrong = {check.name: check for check in checks if not check.ok}
    assert set(wrong) == {"no-such-package", "memory", "output", "cache", "tracking"}
    assert wrong["tracking"].detail == "nobody answers at port 5000"
    assert all(check.remedy for check in wrong.values())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_doctor_finds_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    checks = list(examine(tmp_path / "runs", tmp_path, with_ray=False))
    assert "cannot be written" in find(checks, "output").detail
    assert not find(checks, "output").ok


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nobody_listens_is_refused_at_once(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = form.format(taken.getsockname()[1])
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(BadInput, match=f"RAY_ADDRESS={address}: .*unset"), cluster.connect():
            pass


def test_an_unused_ray_is_not_connected() -> None:
    assert not cluster.is_connected()
    assert cluster.cores() >= 1
