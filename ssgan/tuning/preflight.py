"""What a search needs against what the cluster has, before anything starts. Numbers only."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ssgan.base.errors import BadInput
from ssgan.cluster import Node, preflight, resources, room_for

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Need:
    """What one trial reserves while it trains.

    Attributes:
        workers: Workers of a trial, the least of an elastic number.
        cpus: CPU cores of each.
        gpus: GPUs of each.
    """

    workers: int
    cpus: float
    gpus: float = 0.0

    def __str__(self) -> str:
        """Write the arithmetic of one trial."""
        each = resources(self.cpus, self.gpus)
        return each if self.workers == 1 else f"{self.workers} workers x ({each})"


def trials_at_a_time(
    need: Need,
    trials: int,
    nodes: Sequence[Node],
    growth: Sequence[Node] = (),
    *,
    asked: int | None = None,
    population: bool = False,
) -> int:
    """Return how many trials can train at a time.

    Args:
        need: What one trial reserves.
        trials: Trials in all.
        nodes: The machines that are alive.
        growth: Machines that an autoscaler may add.
        asked: How many the user wants at a time; lowered, with a warning, to what fits.
        population: Whether all trials wait for each other (PBT), so that nested ones, which hold
            their workers while they wait, must all fit at once.

    Raises:
        BadInput: One trial never fits, or a population of nested trials does not; the message
            holds the arithmetic.
    """
    preflight(need.workers, need.cpus, need.gpus, nodes, growth)
    workers = sum(room_for(node, need.cpus, need.gpus) for node in (*nodes, *growth))
    room = workers // need.workers
    if population and need.workers > 1 and room < trials:
        raise BadInput(
            f"a population of {trials} trials x {need} must train at once, and the cluster has "
            f"room for {room} of them; lower search.trials or scaling.workers, or add machines"
        )
    wanted = min(asked or trials, trials)
    if asked is not None and room < wanted:
        _log.warning(
            "search.concurrent=%d x %s is more than the cluster has; %d trials train at a time",
            asked,
            need,
            room,
        )
    return min(wanted, room)
