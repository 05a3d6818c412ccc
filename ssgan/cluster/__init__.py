"""The machines: start or join Ray, set up workers, refuse what cannot fit, examine all of it."""

from ssgan.cluster.capacity import Node, cores, preflight, resources, worker_environment
from ssgan.cluster.connection import Cluster, address_in_environment, connect, is_connected
from ssgan.cluster.examination import examine
from ssgan.cluster.nodes import Check, require_shared

__all__ = [
    "Check",
    "Cluster",
    "Node",
    "address_in_environment",
    "connect",
    "cores",
    "examine",
    "is_connected",
    "preflight",
    "require_shared",
    "resources",
    "worker_environment",
]
