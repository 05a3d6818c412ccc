import pytest

from ssgan.cluster import cores, threads_per_worker, worker_environment


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


def test_this_machine_has_a_core() -> None:
    assert cores() >= 1
