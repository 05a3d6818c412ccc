import os

import pytest

from ssgan.base.errors import BadInput
from ssgan.cluster.capacity import Node, cores, describe, preflight, worker_environment


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
        (3, 1.0, 0.0, [Node(2)], r"3 workers x \(1 CPUs\) = 3 CPUs, but .* 2 CPUs.* 2 of them fit"),
        # Six cores in all, but no worker is divided between machines.
        (2, 3.0, 0.0, [Node(2), Node(4)], r"= 6 CPUs, .*2 CPUs \+ 4 CPUs.* 1 of them fit"),
        (2, 1.0, 1.0, [Node(8, 1)], r"2 CPUs and 2 GPUs, .*8 CPUs and 1 GPUs.* 1 of them fit"),
        (1, 1.0, 0.0, [], r"no machine"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_arithmetic(
    workers: int, cpus: float, gpus: float, nodes: list[Node], arithmetic: str
) -> None:
    with pytest.raises(BadInput, match=arithmetic):
        preflight(workers, cpus, gpus, nodes)


def test_what_an_autoscaler_may_add_counts() -> None:
    head, worker = Node(2), Node(8, 1)
    preflight(4, 1.0, 1.0, [head], growth=[worker] * 4)
    with pytest.raises(
        BadInput, match=r"has 2 CPUs and may grow by 4 x \(8 CPUs and 1 GPUs\), .* 4 of them fit"
    ):
        preflight(5, 1.0, 1.0, [head], growth=[worker] * 4)


def test_equal_machines_are_counted() -> None:
    assert describe([Node(2), Node(8, 1), Node(8, 1)]) == "2 CPUs + 2 x (8 CPUs and 1 GPUs)"
    assert describe([]) == "no machine"


def test_workers_wait_passively_and_are_told_of_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outside = {"GLOO_SOCKET_IFNAME": "eth1", "SSGAN_CACHE": "cache", "HOME": "somewhere"}
    monkeypatch.setattr(os, "environ", outside)
    assert worker_environment(3) == {
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "GLOO_SOCKET_IFNAME": "eth1",
        "SSGAN_CACHE": "cache",
    }


def test_this_machine_has_a_core() -> None:
    assert cores() >= 1
