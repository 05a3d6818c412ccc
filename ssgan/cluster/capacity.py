"""What machines have, what fits on them, and what a worker finds there."""

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from ssgan.base.errors import BadInput

WORKER_BYTES = 700 * 2**20
"""Resident memory of one worker with torch and Ray, before it has any data."""
DRIVER_BYTES = 1200 * 2**20
"""Memory of a trial with workers besides them: its own process, the controller of Ray Train, which
stands next to it, and three small ones of Ray (480, 380 and 3 x 110 MiB that nobody shares)."""

STAYS = "stays"
"""Custom resource of Ray on machines that nobody takes back: cluster.yaml gives it to the head."""

_UNIT = 10_000  # Ray counts resources in parts of this
_SHARE = 0.001  # of STAYS, which says where, and is never used up

# Chosen by the user where host names do not resolve, and needed by every worker.
_PASSED_ON = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "NCCL_DEBUG", "SSGAN_CACHE")


class Node(NamedTuple):
    """What one machine of a cluster has."""

    cpus: float
    gpus: float = 0.0


class Drivers(NamedTuple):
    """The own processes of trials that have workers: they compute nothing, but take memory."""

    most: int | None = None
    """How many fit; None where machines with more memory may come."""
    pinned: bool = False
    """Whether they stand on the machines that stay, which the cluster has."""

    @property
    def resources(self) -> dict[str, float]:
        """What each of them reserves of Ray's."""
        return {"memory": float(DRIVER_BYTES)} | ({STAYS: _SHARE} if self.pinned else {})


def count_drivers(machines: Sequence[Mapping[str, float]], can_grow: bool = False) -> Drivers:
    """Say how many drivers of trials fit on machines with these resources of Ray's, and where.

    They stand where machines stay, if the cluster says so: a trial whose driver is lost starts
    again, and one that loses a worker does so within its driver.
    """
    staying = [machine for machine in machines if machine.get(STAYS, 0) > 0]
    most = sum(int(one.get("memory", 0) // DRIVER_BYTES) for one in staying or machines)
    return Drivers(None if can_grow and not staying else most, pinned=bool(staying))


def preflight(
    workers: int,
    cpus: float,
    gpus: float,
    nodes: Sequence[Node],
    growth: Sequence[Node] = (),
) -> int:
    """Refuse a group of workers that would wait forever; return how many would fit.

    Each reserves so many CPU cores and GPUs, and is never divided between two machines: the nodes,
    and what an autoscaler may add to them.

    Raises:
        BadInput: They do not fit; the message has the arithmetic.
    """
    fitting = sum(_workers_that_fit(node, cpus, gpus) for node in (*nodes, *growth))
    if fitting >= workers:
        return fitting
    has = describe(nodes)
    if growth:
        has += f" and may grow by {describe(growth)}"
    raise BadInput(
        f"{workers} workers x ({resources(cpus, gpus)}) = "
        f"{resources(workers * cpus, workers * gpus)}, but the cluster has {has}, where "
        f"{fitting} of them fit; lower scaling.workers, scaling.cpus or scaling.gpus, or add "
        "machines"
    )


def describe(nodes: Sequence[Node]) -> str:
    """Say what machines have, equal ones together: ``2 CPUs + 3 x (8 CPUs and 1 GPUs)``."""
    parts = [
        resources(*node) if count == 1 else f"{count} x ({resources(*node)})"
        for node, count in Counter(nodes).items()
    ]
    return " + ".join(parts) or "no machine"


def _workers_that_fit(node: Node, cpus: float, gpus: float) -> int:
    """Return how many workers fit on a machine; those that ask for nothing fit nowhere."""
    shares = [(node.cpus, cpus), (node.gpus, gpus)]
    return min((_units(has) // _units(asked) for has, asked in shares if asked > 0), default=0)


def _units(amount: float) -> int:
    """Return an amount in the units that Ray counts in, which are exact."""
    return max(1, round(amount * _UNIT)) if amount > 0 else 0


def resources(cpus: float, gpus: float) -> str:
    """Write cores and GPUs for people; GPUs only where there are some."""
    return f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")


def object_store_environment() -> dict[str, str]:
    """Return the variables by which this process reaches its object store, keys included.

    They are handed on to workers and trials in memory: what is in a runtime environment of Ray, or
    in the state of a search, is written to disks. What names files of this machine stays here.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("AWS_") and not name.startswith("AWS_CONTAINER_")
        if not name.endswith("_FILE")
    }


def memory() -> int:
    """Return the bytes of memory that this process may use: the machine's, or its container's."""
    limits: list[int] = [psutil.virtual_memory().total]
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            file = "memory.limit_in_bytes" if controllers else "memory.max"
            folder = Path("/sys/fs/cgroup") / controllers
            # A container may see its own group as the root of the tree.
            for part in ("", *path.strip("/").split("/")):
                folder /= part
                with contextlib.suppress(OSError, ValueError):  # "max" is no limit
                    limits.append(int((folder / file).read_text()))
    return min(limits)


def worker_environment(threads: int) -> dict[str, str]:
    """Return the environment variables of a worker that computes with so many threads.

    Network interfaces and the cache's place are those of this process (for keys see
    `object_store_environment`). Waiting is passive: on a
    machine with more threads than cores, threads that spin take several times as long for a step.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        **passed_on,
    }
