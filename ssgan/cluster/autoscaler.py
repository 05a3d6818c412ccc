"""What an autoscaler may still add to a running cluster.

Ray has no call that tells a driver. The limits stand in the file that the autoscaler was started
with, on the head (`ray up`), and in the RayCluster that Kubernetes holds (KubeRay).
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from ssgan.cluster.capacity import Node

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_log = logging.getLogger(__name__)


def find_growth(address: str, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the machines that the autoscaler of a cluster may add, as far as it can be known.

    `address` is that of the cluster's head, HOST:PORT; `nodes` are the machines that are alive.
    """
    try:
        limits = _limits_of_launcher(address) or _limits_of_kuberay()
        return () if limits is None else growth(limits, nodes)
    except Exception as error:  # a plan that cannot be read must not keep a cluster from training
        _log.warning("cannot read how far this cluster may grow (%s); I count what it has", error)
        return ()


def find_zones(address: str) -> tuple[str, ...]:
    """Return the availability zones that the launcher's autoscaler may start machines in."""
    with suppress(Exception):  # it is about a warning
        limits = _limits_of_launcher(address) or {}
        zones = str(limits.get("provider", {}).get("availability_zone") or "")
        return tuple(zone.strip() for zone in zones.split(",") if zone.strip())
    return ()


def growth(limits: Mapping[str, Any], nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return what a cluster file allows besides the machines that are alive, the largest first.

    The file is as the autoscaler has it, resources filled in; types whose resources it leaves open
    are left out.
    """
    possible: Counter[Node] = Counter()
    for name, kind in limits.get("available_node_types", {}).items():
        resources = kind.get("resources") or {}
        node = Node(float(resources.get("CPU", 0)), float(resources.get("GPU", 0)))
        if any(node) and name != limits.get("head_node_type"):
            possible[node] += int(kind.get("max_workers", limits.get("max_workers", 0)))
    missing = sorted((possible - Counter(nodes)).elements(), key=lambda n: (n.gpus, n.cpus))
    workers = max(len(nodes) - 1, 0)
    limit = max(int(limits.get("max_workers", len(missing))) - workers, 0)
    return tuple(reversed(missing))[:limit]


def _limits_of_launcher(address: str) -> dict[str, Any] | None:
    """Read the file of the autoscaler that runs next to this process, if one does."""
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        options = dict(part.split("=", 1) for part in command if "=" in part)
        file = options.get("--autoscaling-config")
        if file is not None and options.get("--gcs-address") == address:
            return dict(yaml.safe_load(Path(file).expanduser().read_text()))
    return None


def _limits_of_kuberay() -> dict[str, Any] | None:
    """Ask Kubernetes for the RayCluster that this pod belongs to, if it does."""
    name = os.environ.get("RAY_CLUSTER_NAME")
    if not name or "KUBERNETES_SERVICE_HOST" not in os.environ or not _NAMESPACE.exists():
        return None
    from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer

    return dict(AutoscalingConfigProducer(name, _NAMESPACE.read_text().strip())())
