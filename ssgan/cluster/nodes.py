"""What a search needs of a cluster: every node is asked, and the answers are compared."""

import importlib.metadata
import ipaddress
import logging
import os
import platform
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssgan.base.errors import BadInput
from ssgan.base.storage import Folder
from ssgan.cluster.autoscaler import find_zones
from ssgan.cluster.capacity import describe, object_store_environment
from ssgan.cluster.connection import Cluster, connect

_PACKAGES = ("ssgan", "torch", "ray")
_PATIENCE = 180.0  # seconds for a node to start a process and to answer
_BY_NAME = (
    "let every machine resolve the others' names (DNS, /etc/hosts; its own name not to 127.0.0.1 "
    "or 127.0.1.1), or set GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME to the network interface "
    "that they share, such as eth0, where the program is started"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """One line of `ssgan doctor`."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    remedy: str = ""
    """What to do when it is not ok."""


def attempt(name: str, reach: Callable[[], str], remedy: str) -> Check:
    """Try something, and report what it says that it found, or what it raises."""
    try:
        return Check(name, True, reach())
    except Exception as error:  # whatever is wrong is what doctor is asked to find
        return Check(name, False, str(error) or repr(error), remedy)


@dataclass(frozen=True)
class NodeReport:
    """What a node found out."""

    versions: dict[str, str]
    """Of Python and of the packages on which workers must agree."""
    storage: str
    """Why the folder of runs is of no use there; empty when it is."""
    network: str
    """Why workers there and elsewhere will not find each other; empty when they will."""


def look_around(
    location: str,
    token: str,
    node: str,
    others: Sequence[str],
    interface: str | None,
    environment: Mapping[str, str] | None = None,
) -> NodeReport:
    """Find out what a node can do; Ray runs this on each.

    Args:
        location: Where runs are written.
        token: Folder in there, in which the driver left a file named ``driver``.
        node: Name of the file that this node leaves there.
        others: Host names of the other nodes.
        interface: Network interface that workers are told to use, if any.
        environment: How workers are told to reach the object store, if any.
    """
    os.environ.update(environment or {})
    storage = _try_storage(location, token, node)
    return NodeReport(own_versions(), storage, network=_try_network(others, interface))


def own_versions() -> dict[str, str]:
    """Return the versions on which all workers of a training must agree."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **versions}


def examine_cluster(output: str | Path, workers: int = 1) -> Iterator[Check]:
    """Join the cluster, or start a Ray here, and examine it.

    `output` is where runs are written, and so many workers will train together.
    """
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(connect())
        except Exception as error:
            remedy = "see the Ray logs named above, or unset RAY_ADDRESS"
            yield Check("ray", False, str(error) or repr(error), remedy)
            return
        where = "started here" if cluster.started else cluster.address
        has = f"{len(cluster.nodes)} nodes, {describe(cluster.nodes)}"
        more = f"; may grow by {describe(cluster.growth)}" if cluster.growth else ""
        yield Check("ray", True, f"{where}: {has}{more}")
        yield attempt(
            "dashboard",
            lambda: _ask_state_api(cluster.address),
            "start Ray with its dashboard (pip install 'ray[default]'); without it trials that "
            "are stopped early keep their resources",
        )
        if cluster.started:
            return
        zones = {*find_zones(cluster.address), *_zones_of_nodes()}
        if zones:
            yield check_zones(sorted(zones), workers)
        folder = Folder(output)
        try:
            nodes, reports, found = _probe(folder)
        except OSError as error:
            remedy = "choose a place that can be written with --out"
            yield Check("storage", False, f"{folder.location}: {error}", remedy)
            return
        yield check_nodes(nodes, reports)
        yield check_storage(folder.location, nodes, reports, found)
        yield check_network(nodes, reports)


def require_shared(cluster: Cluster, location: str) -> None:
    """Refuse a folder of this machine that the other machines of the cluster do not see.

    Each node is asked to write there, which takes seconds. Machines that an autoscaler has yet to
    add cannot be asked.

    Raises:
        BadInput: Some node does not share it, or did not answer.
    """
    folder = Folder(location)
    if cluster.started or len(cluster.capacity) < 2 or folder.local_path is None:
        return
    if len(cluster.nodes) < 2:
        _log.warning(
            "%s must be a folder that the machines which will join share too (NFS); a URI such as "
            "s3://BUCKET/runs always is",
            folder.location,
        )
        return
    nodes, reports, found = _probe(folder)
    storage = check_storage(folder.location, nodes, reports, found)
    for check in (check_nodes(nodes, reports), storage):
        if not check.ok:
            raise BadInput(f"{check.detail}; {check.remedy}")


def _probe(folder: Folder) -> tuple[dict[str, str], dict[str, NodeReport | str], set[str]]:
    """Ask all nodes; return what they are called, their answers, and the files that they left."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    nodes = {
        node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        for node in alive
    }
    token = f".ssgan-probe-{uuid.uuid4().hex}"
    try:
        folder.write_bytes(f"{token}/driver", b"")
        reports = _ask_nodes(alive, folder.location, token)
        return nodes, reports, {Path(name).name for name in folder.list(token)}
    finally:
        with suppress(OSError):
            folder.delete(token)


def check_nodes(nodes: Mapping[str, str], reports: Mapping[str, NodeReport | str]) -> Check:
    """Check that each node answered, with the versions of this process.

    What nodes are called, and what each found out or its error, are by the node's identifier.
    """
    here = own_versions()
    wrong = []
    for node, report in reports.items():
        if isinstance(report, str):
            wrong.append(f"{nodes[node]}: {report}")
        elif report.versions != here:
            other = {n: v for n, v in report.versions.items() if v != here.get(n)}
            listed = ", ".join(f"{n} {v} (here {here.get(n)})" for n, v in other.items())
            wrong.append(f"{nodes[node]} has {listed}")
    found = f"{len(reports)} of {len(reports)} answer, with the versions of this process"
    remedy = "install ssgan on every node, with the same Python and the same constraints.txt"
    return Check("nodes", not wrong, "; ".join(wrong) or found, remedy)


def check_storage(
    location: str,
    nodes: Mapping[str, str],
    reports: Mapping[str, NodeReport | str],
    found: set[str],
) -> Check:
    """Check that each node's file is among those found here; errors are told by `check_nodes`."""
    wrong = [
        f"{nodes[node]}: {report.storage or 'what it wrote is not seen here'}"
        for node, report in reports.items()
        if isinstance(report, NodeReport) and (report.storage or node not in found)
    ]
    return Check(
        "storage",
        not wrong,
        f"{location} {'; '.join(wrong) if wrong else 'is shared by all nodes'}",
        "give a folder that all machines share (NFS), or a URI such as s3://BUCKET/runs, with "
        "--out or SSGAN_OUT",
    )


def check_network(nodes: Mapping[str, str], reports: Mapping[str, NodeReport | str]) -> Check:
    """Check that workers of one training will find each other."""
    wrong = [
        f"{nodes[node]} {report.network}"
        for node, report in reports.items()
        if isinstance(report, NodeReport) and report.network
    ]
    interface = _interface()
    found = "host names resolve" if interface is None else f"every node has {interface}"
    return Check("network", not wrong, "; ".join(wrong) or found, _BY_NAME)


def check_zones(zones: Sequence[str], workers: int) -> Check:
    """Check that workers which train together do not send gradients from zone to zone."""
    return Check(
        "zones",
        len(zones) == 1 or workers == 1,
        f"machines may stand in {', '.join(zones)}",
        "several workers exchange gradients with every update, which between zones is slow and "
        "costs by the gigabyte: name one zone (provider.availability_zone)",
    )


def _zones_of_nodes() -> Iterator[str]:
    """Return the zones of the nodes, where Ray knows them (``RAY_NODE_ZONE``, KubeRay)."""
    import ray

    for node in ray.nodes():
        zone = (node.get("Labels") or {}).get("ray.io/availability-zone")
        if node["Alive"] and zone:
            yield zone


def _ask_nodes(
    alive: Sequence[Mapping[str, Any]], location: str, token: str
) -> dict[str, NodeReport | str]:
    """Run `look_around` on all nodes at once, and wait for them."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # A node that ssgan is not installed on says so at once, and trying again would not help.
    task: Any = ray.remote(num_cpus=0, max_retries=0)(look_around)
    asked = {}
    for node in alive:
        others = [n["NodeManagerHostname"] for n in alive if n is not node]
        pinned = task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], False)
        )
        asked[node["NodeID"]] = pinned.remote(
            *(location, token, node["NodeID"], others, _interface()), object_store_environment()
        )
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=_PATIENCE)
    return {node: _answer(reference) for node, reference in asked.items()}


def _answer(reference: Any) -> NodeReport | str:
    import ray

    try:
        answer: NodeReport = ray.get(reference, timeout=1)
        return answer
    except ray.exceptions.GetTimeoutError:
        return f"no answer within {_PATIENCE:g} s"
    except Exception as error:  # Ray wraps what the node raised, with its traceback
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[-1] if lines else repr(error)


def _interface() -> str | None:
    return os.environ.get("GLOO_SOCKET_IFNAME") or None


def _ask_state_api(address: str) -> str:
    from ray.util.state import list_nodes

    return f"it answers, and its State API: {len(list_nodes(address=address))} nodes"


def _try_storage(location: str, token: str, node: str) -> str:
    folder = Folder(location)
    try:
        is_shared = folder.exists(f"{token}/driver")
        folder.write_bytes(f"{token}/{node}", b"")
        if not is_shared:  # nobody else would ever delete it
            folder.delete(token)
            return "is another folder there"
    except OSError as error:
        return f"cannot be written there: {error}"
    return ""


def _try_network(others: Sequence[str], interface: str | None) -> str:
    if interface is not None:
        known = [name for _, name in socket.if_nameindex()]
        if any(name in known for name in interface.split(",")):
            return ""
        return f"has no interface {interface}, only {', '.join(known)}"
    if not others:
        return ""
    unresolved = [name for name in others if not _addresses(name)]
    if unresolved:
        return f"cannot resolve {', '.join(unresolved)}"
    own = socket.gethostname()
    addresses = _addresses(own)
    if not addresses:
        return f"cannot resolve its own name, {own}"
    if all(ipaddress.ip_address(address).is_loopback for address in addresses):
        return f"takes its own name, {own}, for {', '.join(addresses)}, which no other can reach"
    return ""


def _addresses(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
    except OSError:
        return []
    return sorted({str(entry[4][0]).partition("%")[0] for entry in found})
