import os

import pytest

from ssgan.base.errors import BadInput
from ssgan.cluster.capacity import (
    DRIVER_BYTES,
    STAYS,
    Drivers,
    Node,
    count_drivers,
    describe,
    memory,
    object_store_environment,
    preflight,
    worker_environment,
)


@pytest.mark.parametrize(
    ("workers", "cpus", "gpus", "nodes"),
    [
        (2, 1.0, 0.0, [Node(2)]),
        (4, 1.0, 0.0, [Node(2), Node(3)]),
        (10, 0.1, 0.0, [Node(1)]),
        # 0.3 / 0.1 is less than 3 in floating point, and Ray does not count so.
        (3, 0.1, 0.0, [Node(0.3)]),
        (3, 1 / 3, 0.0, [Node(1)]),
        (7, 1.0, 0.14, [Node(8, 1)]),
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
        (8, 0.1251, 0.0, [Node(1)], r"where 7 of them fit"),
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


def test_drivers_of_trials_reserve_memory_where_machines_stay() -> None:
    head, worker = {"memory": 2.5 * DRIVER_BYTES, STAYS: 1.0}, {"memory": 9.0 * DRIVER_BYTES}
    pinned = count_drivers([head, worker], can_grow=True)
    assert pinned == Drivers(2, pinned=True)
    assert pinned.resources == {"memory": DRIVER_BYTES, STAYS: 0.001}
    # A cluster that does not say so is taken as it is.
    plain = count_drivers([worker, worker])
    assert plain == Drivers(18, pinned=False)
    assert plain.resources == {"memory": DRIVER_BYTES}
    assert count_drivers([worker], can_grow=True).most is None


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


def test_the_object_store_s_variables_are_handed_on_but_not_in_a_runtime_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed_on = {"AWS_ACCESS_KEY_ID": "key", "AWS_ENDPOINT_URL": "http://store:9000"}
    local = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/here",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2",
        "HOME": "/home/me",
    }
    monkeypatch.setattr(os, "environ", {**handed_on, **local})
    assert object_store_environment() == handed_on
    assert not any(name.startswith("AWS_") for name in worker_environment(1))


def test_memory_is_that_of_the_machine_or_less() -> None:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 2**28 < memory() <= pages
