"""What one node of a cluster finds out about itself, in a task that is pinned to it."""

import importlib.metadata
import ipaddress
import platform
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from ssgan.base.storage import Folder

_PACKAGES = ("ssgan", "torch", "ray")


@dataclass(frozen=True)
class NodeReport:
    """What a node found out.

    Attributes:
        versions: Of Python and of the packages on which workers must agree.
        storage: Why the folder of runs is of no use there; empty when it is.
        network: Why workers there and elsewhere will not find each other; empty when they will.
    """

    versions: dict[str, str]
    storage: str
    network: str


def look_around(
    location: str, token: str, node: str, others: Sequence[str], interface: str | None
) -> NodeReport:
    """Find out what a node can do; Ray runs this on each.

    Args:
        location: Where runs are written.
        token: Folder in there, in which the driver left a file named ``driver``.
        node: Name of the file that this node leaves there.
        others: Host names of the other nodes.
        interface: Network interface that workers are told to use, if any.
    """
    return NodeReport(
        versions=own_versions(),
        storage=_try_storage(location, token, node),
        network=_try_network(others, interface),
    )


def own_versions() -> dict[str, str]:
    """Return the versions on which all workers of a training must agree."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **versions}


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
