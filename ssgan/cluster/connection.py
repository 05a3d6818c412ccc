"""Start Ray on this machine, or join the one that is there."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ssgan.base.errors import BadInput
from ssgan.cluster.autoscaler import find_growth
from ssgan.cluster.capacity import Drivers, Node, count_drivers

_PATIENCE = 10.0  # seconds to reach the head of a cluster

_TOKENS = "ray._private.authentication.authentication_token_setup"  # a logger of Ray's
_is_starting = False  # whether processes that are forked now are Ray's


def _leave_group() -> None:
    """Give a process of Ray a session of its own.

    SIGTERM to this process's group (a shell's `kill -- -PID`, `timeout`, a scheduler) would end Ray
    while the driver still needs it: to close its trials, or to have workers write a checkpoint. If
    this process dies, however it does, the kernel kills Ray's all the same.
    """
    if _is_starting:
        os.setsid()


os.register_at_fork(after_in_child=_leave_group)


@dataclass(frozen=True)
class Cluster:
    """A Ray that this process is connected to."""

    address: str
    """Address of its head."""
    nodes: tuple[Node, ...]
    """The machines that are alive."""
    started: bool
    """Whether this process started it, on this machine alone."""
    growth: tuple[Node, ...] = ()
    """Machines that its autoscaler may add."""
    drivers: Drivers = field(default_factory=Drivers)
    """Where trials with workers of their own have their own processes."""

    @property
    def capacity(self) -> tuple[Node, ...]:
        """The machines that are there or may be added."""
        return self.nodes + self.growth


@contextmanager
def connect(temporary: str | Path | None = None) -> Iterator[Cluster]:
    """Join the Ray at ``RAY_ADDRESS``, or start one on this machine and stop it at the end.

    ``RAY_ADDRESS=auto`` means the Ray that runs on this machine as part of a cluster. A connection
    that this process has already is used and left open. The dashboard is on: without its State
    API a trial that is stopped early never gives its workers' resources back.

    A Ray that is started here listens on 127.0.0.1 alone.

    A Ray with a temporary folder of its own, for logs and sockets, does not disturb another on the
    same machine. Its path must be short, because Unix sockets in it may have 107 bytes.

    Raises:
        BadInput: There is no Ray at ``RAY_ADDRESS``, or none could be started.
        KeyboardInterrupt: SIGTERM, while Ray's own handler of it was in force.
    """
    try:
        with _joined(temporary) as cluster:
            yield cluster
    except SystemExit as error:
        # Ray's handler, from its start on until somebody sets another.
        if error.code != signal.SIGTERM:
            raise
        raise KeyboardInterrupt from None


@contextmanager
def _joined(temporary: str | Path | None) -> Iterator[Cluster]:
    import ray

    address = address_in_environment()
    is_mine = not ray.is_initialized()
    if is_mine:
        try:
            if address is not None:
                _knock(address)
                # A job that was submitted may have been told the same variables.
                os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
                ray.init(address, logging_level=logging.WARNING)
            else:
                # Ray reports statistics of its use over the network unless it is told not to.
                os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
                _start(temporary)
        except Exception as error:  # Ray raises bare ones when it cannot start
            ray.shutdown()
            raise BadInput(_cannot_connect(address, error)) from error
    try:
        started = is_mine and address is None
        head = ray.get_runtime_context().gcs_address
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        nodes = tuple(Node(found.get("CPU", 0.0), found.get("GPU", 0.0)) for found in alive)
        growth = () if started else find_growth(head, nodes)
        yield Cluster(head, nodes, started, growth, count_drivers(alive, can_grow=bool(growth)))
    finally:
        if is_mine:
            ray.shutdown()


def _start(temporary: str | Path | None) -> None:
    import ray

    global _is_starting
    _is_starting = True
    # It warns at every start that there is a token, which is Ray's default and a good one.
    logging.getLogger(_TOKENS).setLevel(logging.ERROR)
    try:
        with _on_loopback():
            ray.init(
                "local",
                include_dashboard=True,
                logging_level=logging.WARNING,
                _temp_dir=None if temporary is None else str(temporary),
            )
    finally:
        _is_starting = False


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let the Ray that is started here, and all its processes, listen on 127.0.0.1 alone.

    Ray does so by itself on systems for which it has no clusters. That switch is read once, when
    Ray is imported, and by its processes from the environment.
    """
    from ray._private import ray_constants

    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before, has_clusters = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = has_clusters
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def is_connected() -> bool:
    """Whether this process is connected to a Ray already."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def address_in_environment() -> str | None:
    """Return ``RAY_ADDRESS``; None where it is unset or ``local``, which start a Ray here."""
    address = os.environ.get("RAY_ADDRESS", "")
    return None if address in ("", "local") else address


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
