"""What the driver prepares once for all trials: the images, what fits at a time.

Trials are told of it as plain data, because references into Ray's object store would dangle after
a restart.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ssgan.base.errors import BadInput
from ssgan.base.progress import PreparationProgress
from ssgan.base.storage import Folder, join, split
from ssgan.cluster.capacity import DRIVER_BYTES, Node, preflight, resources
from ssgan.cluster.connection import Cluster
from ssgan.data.store import MANIFEST, Store
from ssgan.launch.preparation import (
    ComputePlan,
    check_execution,
    check_memory,
    find_store,
    load_dataset,
    make_plan,
)
from ssgan.records.searchdir import SearchDir, Stage
from ssgan.tuning.search import Search, refusing

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialSpec:
    """What each trial is told besides its values."""

    search: str
    """Location of the search directory, which holds the search and the judges."""
    stage: Stage
    store: str
    """Location of the images."""
    tracking_uri: str | None
    """Where MLflow records the trials; written into their summaries."""
    plan: ComputePlan
    driver: Mapping[str, float]
    """What the own process of a trial with workers reserves."""
    is_judged: bool = True
    """Whether there is or will be a judge C of the stage."""
    commit: str | None = None
    """Commit of the checkout that the search was started in."""


@dataclass(frozen=True)
class Need:
    """What one trial reserves while it trains: cores and GPUs for each of its workers."""

    workers: int
    """The least of an elastic number."""
    cpus: float
    gpus: float = 0.0

    def __str__(self) -> str:
        each = resources(self.cpus, self.gpus)
        return each if self.workers == 1 else f"{self.workers} workers x ({each})"


def trials_at_a_time(
    need: Need,
    trials: int,
    nodes: Sequence[Node],
    growth: Sequence[Node] = (),
    *,
    drivers: int | None = None,
    asked: int | None = None,
    population: bool = False,
) -> int:
    """Return how many of some trials can train at a time, also on machines yet to be added.

    What the user asked for is lowered, with a warning, to what fits. The trials of a population
    (PBT) wait for each other, so nested ones, which keep their workers meanwhile, must fit at once.
    Of nested trials no more train than `drivers`, their own processes, fit.

    Raises:
        BadInput: One trial never fits, or a population of nested trials does not; the message
            has the arithmetic.
    """
    workers = preflight(need.workers, need.cpus, need.gpus, nodes, growth)
    fitting = workers // need.workers
    wanted = min(asked or trials, trials)
    if drivers is not None and drivers < min(wanted, fitting):
        room = f"{drivers} x {DRIVER_BYTES / 2**20:.0f} MiB, one for each trial's own processes"
        if drivers == 0:
            raise BadInput(f"no machine that stays has memory for a trial: {room}; add some")
        _log.warning("%d trials fit, but the machines that stay have memory for %s", fitting, room)
        fitting = drivers
    if population and need.workers > 1 and fitting < trials:
        raise BadInput(
            f"a population of {trials} trials x {need} must train at once, and {fitting} of them "
            "fit on the cluster; lower search.trials or scaling.workers, or add machines"
        )
    if asked is not None and fitting < wanted:
        _log.warning(
            "search.concurrent=%d x %s is more than the cluster has; %d trials train at a time",
            asked,
            need,
            fitting,
        )
    return min(wanted, fitting)


def plan_trials(search: Search, cluster: Cluster) -> ComputePlan:
    """Decide how the workers of each trial compute.

    Raises:
        BadInput: GPUs, or CUDA graphs, are asked for and there is none.
    """
    cpus, gpus = (sum(column) for column in zip(*cluster.capacity, strict=True))
    plan = make_plan(search.base.scaling, cpus, gpus, shared=True)
    check_execution(search.base, plan)
    return plan


def prepare_data(search: Search, progress: PreparationProgress | None = None) -> Store:
    """Find or build the images, and check every end of the space against them.

    Raises:
        BadInput: The source is wrong, or a corner of the space does not fit its images or labels.
    """
    check_memory(search.base)
    for path, value, experiment in search.corners():
        with refusing(path, value):
            check_memory(experiment)
    store = find_store(search.base, progress)
    for path, value, experiment in search.corners():
        with refusing(path, value):
            check_memory(experiment, store.manifest.shape)
            load_dataset(experiment, store=store, progress=progress)
    return store


def share_store(store: Store, search_dir: SearchDir, nodes: Sequence[Node]) -> str:
    """Return where trials find the images: here, or, for several machines, a copy of them.

    The copy is made once for all searches of a folder: it lies beside them, in ``stores``, under
    the hash of its manifest, which names the hash of every file.
    """
    if len(nodes) < 2:
        return store.location
    if search_dir.exists(f"store/{MANIFEST}"):  # of a search that was begun before 0.2.0
        return search_dir.locate("store")
    source = Folder(store.location)
    manifest = source.read_bytes(MANIFEST)
    name = sha256(manifest).hexdigest()[:16]
    copy = Folder(join(split(search_dir.location)[0], f"stores/{name}"))
    if not copy.exists(MANIFEST):
        splits = store.manifest.splits.values()
        for shard in (shard for one in splits for shard in one.shards):
            copy.write_bytes(shard.file, source.read_bytes(shard.file))
        copy.write_bytes(MANIFEST, manifest)  # which makes a store of the folder, so it comes last
    return copy.location
