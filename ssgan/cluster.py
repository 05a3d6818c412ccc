"""The machines: start or join Ray, set up workers, refuse what cannot fit, examine it all."""

import importlib.metadata
import logging
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from ssgan.errors import BadInput

WORKER_BYTES = 700 * 2**20
"""Resident memory of one worker with torch and Ray, before it has any data."""

_OLDEST_PYTHON = (3, 11)
_FREE_DISK = 2 * 2**30
_PATIENCE = 10.0  # seconds to reach the head of a cluster
_PACKAGES = ("torch", "torchvision", "ray", "mlflow", "pyarrow")
# Chosen by the user where host names do not resolve, and needed by every worker.
_PASSED_ON = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "NCCL_DEBUG", "SSGAN_CACHE")

_log = logging.getLogger(__name__)


class Node(NamedTuple):
    """What one machine of a cluster has."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """A Ray that this process is connected to.

    Attributes:
        address: Address of its head.
        nodes: The machines that are alive.
        started: Whether this process started it, on this machine alone.
    """

    address: str
    nodes: tuple[Node, ...]
    started: bool


@contextmanager
def connect(temporary: str | Path | None = None) -> Iterator[Cluster]:
    """Join the Ray at ``RAY_ADDRESS``, or start one on this machine and stop it at the end.

    A connection that this process has already is used and left open. The dashboard is on: without
    its State API a trial that is stopped early never gives its workers' resources back.

    Args:
        temporary: Folder for the logs and sockets of a Ray that is started here. With one of its
            own a Ray does not disturb another on the same machine; the path must be short,
            because Unix sockets in it may have 107 bytes.

    Raises:
        BadInput: There is no Ray at ``RAY_ADDRESS``, or none could be started.
    """
    import ray

    address = os.environ.get("RAY_ADDRESS") or None
    is_mine = not ray.is_initialized()
    if is_mine:
        try:
            if address is not None:
                _knock(address)
                ray.init(address, logging_level=logging.WARNING)
            else:
                _start(temporary)
        except Exception as error:  # Ray raises bare ones when it cannot start
            ray.shutdown()
            raise BadInput(_cannot_connect(address, error)) from error
    try:
        yield Cluster(
            address=ray.get_runtime_context().gcs_address,
            nodes=_nodes(),
            started=is_mine and address is None,
        )
    finally:
        if is_mine:
            ray.shutdown()


def is_connected() -> bool:
    """Whether this process is connected to a Ray already."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def threads_per_worker(cores: int, workers: int) -> int:
    """Divide a machine's cores among the workers on it; at least one thread each."""
    return max(1, cores // workers)


def worker_environment(
    threads: int, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment variables of a worker.

    Waiting is passive: on a machine with more threads than cores, threads that spin take several
    times as long for a step.

    Args:
        threads: Threads the worker computes with.
        environment: Where network interfaces and the cache's place are taken from; by default
            this process's own.
    """
    environment = os.environ if environment is None else environment
    passed_on = {name: environment[name] for name in _PASSED_ON if name in environment}
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        **passed_on,
    }


def preflight(workers: int, cpus: float, gpus: float, nodes: Sequence[Node]) -> None:
    """Refuse a group of workers that would wait for ever.

    Args:
        workers: The least number of workers that may train.
        cpus: CPU cores that each reserves.
        gpus: GPUs that each reserves.
        nodes: The machines; a worker is never divided between two.

    Raises:
        BadInput: They do not fit; the message holds the arithmetic.
    """
    room = sum(_room(node, cpus, gpus) for node in nodes)
    if room >= workers:
        return
    has = " + ".join(_resources(node.cpus, node.gpus) for node in nodes) or "no machine"
    raise BadInput(
        f"{workers} workers x ({_resources(cpus, gpus)}) = "
        f"{_resources(workers * cpus, workers * gpus)}, but the cluster has {has}, which is room "
        f"for {room} of them; lower scaling.workers, scaling.cpus or scaling.gpus, or add machines"
    )


@dataclass(frozen=True)
class Check:
    """One line of `ssgan doctor`."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    remedy: str = ""
    """What to do when it is not ok."""


def examine(
    output: Path,
    cache: Path,
    workers: int = 1,
    tracking: Callable[[], str] | None = None,
    with_ray: bool = True,
) -> Iterator[Check]:
    """Examine this machine and what it can reach, one check at a time.

    Args:
        output: Where runs are written.
        cache: Where prepared data is kept.
        workers: Workers that shall train here.
        tracking: Reaches the tracking store and says what it found; raises what is wrong.
        with_ray: Whether to start or join Ray, which takes ten seconds and more.
    """
    yield _check_python()
    yield from map(_check_package, _PACKAGES)
    yield Check("cores", True, f"{cores()} CPU cores, {platform.machine()}")
    yield _check_memory(workers)
    yield _check_disk("output", output, "--out")
    yield _check_disk("cache", cache, "SSGAN_CACHE")
    yield _check_cuda()
    if with_ray:
        yield _attempt("ray", _reach_ray, "see the Ray logs named above, or unset RAY_ADDRESS")
    if tracking is not None:
        yield _attempt("tracking", tracking, "start the MLflow server, or change tracking.uri")


def _start(temporary: str | Path | None) -> None:
    import ray

    # Ray reports statistics of its use over the network unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        "local",
        include_dashboard=True,
        logging_level=logging.WARNING,
        _temp_dir=None if temporary is None else str(temporary),
    )


def _knock(address: str) -> None:
    """Find out in seconds whether anybody listens there; Ray itself tries for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()


def _cannot_connect(address: str | None, error: Exception) -> str:
    if address is not None:
        return (
            f"cannot join the Ray at RAY_ADDRESS={address}: {error}; start it, or unset "
            "RAY_ADDRESS to train on this machine"
        )
    return f"cannot start Ray on this machine: {error}; `ssgan doctor` examines it"


def _nodes() -> tuple[Node, ...]:
    import ray

    alive = (node["Resources"] for node in ray.nodes() if node["Alive"])
    return tuple(Node(found.get("CPU", 0.0), found.get("GPU", 0.0)) for found in alive)


def _room(node: Node, cpus: float, gpus: float) -> int:
    """Return how many workers fit on a machine; those that ask for nothing fit nowhere."""
    shares = [(node.cpus, cpus), (node.gpus, gpus)]
    return min((int(has / asked + 1e-9) for has, asked in shares if asked > 0), default=0)


def _resources(cpus: float, gpus: float) -> str:
    return f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")


def _check_python() -> Check:
    return Check(
        "python",
        tuple(map(int, platform.python_version_tuple()[:2])) >= _OLDEST_PYTHON,
        platform.python_version(),
        "install Python 3.11 or newer",
    )


def _check_package(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", "install ssgan again: pip install .")


def _check_memory(workers: int) -> Check:
    free = psutil.virtual_memory().available
    return Check(
        "memory",
        free >= workers * WORKER_BYTES,
        f"{_gib(free)} free, {workers} workers take {_gib(workers * WORKER_BYTES)} and the data",
        "end other programs, or lower scaling.workers",
    )


def _check_disk(name: str, folder: Path, setting: str) -> Check:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    can_write = os.access(place, os.W_OK)
    return Check(
        name,
        can_write and free >= _FREE_DISK,
        f"{folder}: {_gib(free)} free{'' if can_write else ', but it cannot be written'}",
        f"make room, or choose another place with {setting}",
    )


def _check_cuda() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("cuda", True, "no CUDA device; training runs on the CPU")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Check("cuda", True, f"{len(names)} CUDA devices: {', '.join(names)}")


def _reach_ray() -> str:
    from ray.util.state import list_nodes

    with connect() as cluster:
        found = list_nodes(address=cluster.address)
        has = " + ".join(_resources(*node) for node in cluster.nodes)
        where = "started here" if cluster.started else cluster.address
        return f"{where}: {len(found)} nodes, {has}; dashboard and State API answer"


def _attempt(name: str, reach: Callable[[], str], remedy: str) -> Check:
    try:
        return Check(name, True, reach())
    except Exception as error:  # whatever is wrong is what doctor is asked to find
        return Check(name, False, str(error) or repr(error), remedy)


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
