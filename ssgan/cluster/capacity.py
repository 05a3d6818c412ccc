"""What fits on the machines, and the arithmetic that says so when it does not."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ssgan.base.errors import BadInput


class Node(NamedTuple):
    """What one machine of a cluster has."""

    cpus: float
    gpus: float = 0.0


def preflight(
    workers: int,
    cpus: float,
    gpus: float,
    nodes: Sequence[Node],
    growth: Sequence[Node] = (),
) -> int:
    """Refuse a group of workers that would wait forever; return how many would fit.

    Args:
        workers: The least number of workers that may train.
        cpus: CPU cores that each reserves.
        gpus: GPUs that each reserves.
        nodes: The machines; a worker is never divided between two.
        growth: Machines that an autoscaler may add to them.

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
    counted = Counter(nodes).items()
    parts = [
        resources(*node) if count == 1 else f"{count} x ({resources(*node)})"
        for node, count in counted
    ]
    return " + ".join(parts) or "no machine"


def _workers_that_fit(node: Node, cpus: float, gpus: float) -> int:
    """Return how many workers fit on a machine; those that ask for nothing fit nowhere."""
    shares = [(node.cpus, cpus), (node.gpus, gpus)]
    return min((int(has / asked + 1e-9) for has, asked in shares if asked > 0), default=0)


def resources(cpus: float, gpus: float) -> str:
    """Write cores and GPUs for people; GPUs only where there are some."""
    return f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
