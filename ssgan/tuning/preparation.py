"""What the driver prepares once for all trials: the images, the judges, the plan.

Trials are told of it as plain data, because references into Ray's object store would dangle after
a restart.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from ssgan.base.storage import Folder
from ssgan.cluster import Cluster, Node, cores
from ssgan.data.store import MANIFEST, Store
from ssgan.evaluation.judge import CARD, Judge, JudgeCard
from ssgan.launch.preparation import (
    Plan,
    find_judge,
    find_store,
    load_dataset,
    make_plan,
    pack_judge,
    unpack_judge,
    use_threads,
)
from ssgan.launch.preparation import Stage as Progress
from ssgan.records.searchdir import SearchDir, Stage
from ssgan.tuning.preflight import Need
from ssgan.tuning.search import Search, refusing

# So that a configuration is not crowned by the judge that chose it.
_JUDGE_SEEDS: dict[Stage, int] = {"search": 0, "final": 1}


class TrialSpec(TypedDict):
    """What each trial is told beside its values; plain data."""

    search: str
    """Location of the search directory, which holds the search and the judges."""
    stage: Stage
    """Which stage the trial belongs to."""
    store: str
    """Location of the images."""
    tracking_uri: str | None
    """Where MLflow records the trials; written into their summaries."""
    threads: int
    """CPU threads of a worker."""
    cpus: float
    """CPU cores that a worker reserves."""
    gpus: float
    """GPUs that a worker reserves."""
    cuda: bool
    """Whether workers compute on GPUs."""


def plan_trials(search: Search, cluster: Cluster) -> Plan:
    """Decide how the workers of each trial compute.

    Raises:
        BadInput: GPUs are asked for and there is none.
    """
    cpus, gpus = (sum(column) for column in zip(*cluster.capacity, strict=True))
    return make_plan(search.base.scaling, cpus, gpus, shared=True)


def need_of(search: Search, plan: Plan) -> Need:
    """Return what one trial reserves."""
    return Need(search.base.scaling.counts()[0], plan.cpus, plan.gpus)


def find_data(search: Search, progress: Progress | None = None) -> Store:
    """Find or build the images.

    Raises:
        BadInput: The source is wrong.
    """
    return find_store(search.base, progress)


def prepare_data(search: Search, progress: Progress | None = None) -> Store:
    """Find or build the images, and check every end of the space against them.

    Raises:
        BadInput: The source is wrong, or a corner of the space does not fit its images or labels.
    """
    store = find_data(search, progress)
    for path, value, experiment in search.corners():
        with refusing(path, value):
            load_dataset(experiment, store=store)
    return store


def share_store(store: Store, search_dir: SearchDir, nodes: Sequence[Node]) -> str:
    """Return where trials find the images: here, or, for several machines, a copy of them."""
    if len(nodes) < 2:
        return store.location
    if not search_dir.exists(f"store/{MANIFEST}"):
        # The manifest makes a store of the folder, so it comes last.
        for split in store.manifest.splits.values():
            for shard in split.shards:
                content = _read(store, shard.file)
                search_dir.write_bytes(f"store/{shard.file}", content)
        search_dir.write_bytes(f"store/{MANIFEST}", _read(store, MANIFEST))
    return search_dir.locate("store")


def save_judge(
    search: Search,
    stage: Stage,
    search_dir: SearchDir,
    store: Store,
    plan: Plan,
    progress: Progress | None = None,
) -> None:
    """Train the judge of a stage, or find it in the cache, and keep it with the search.

    No trial runs beside it, so it may have all cores of this machine.
    """
    experiment = search.experiment(search.corner, stage=stage)
    dataset = load_dataset(experiment, store=store)
    with use_threads(search.base.scaling.threads or cores()):
        judge = find_judge(experiment, dataset, plan, progress, _JUDGE_SEEDS[stage])
    for name, content in (pack_judge(judge) or {}).items():
        search_dir.write_bytes(f"judges/{stage}/{name}", content)


def read_judge(search_dir: SearchDir, stage: Stage) -> dict[str, bytes] | None:
    """Return the files of a stage's judge; None where there is none."""
    names = search_dir.list(f"judges/{stage}")
    return {name.rpartition("/")[2]: search_dir.read_bytes(name) for name in names} or None


def load_judge(search_dir: SearchDir, stage: Stage, device: Any) -> Judge | None:
    """Load a stage's judge; None where there is none."""
    return unpack_judge(read_judge(search_dir, stage), device)


def read_judge_card(search_dir: SearchDir, stage: Stage) -> JudgeCard | None:
    """Read what is known of a stage's judge; None where there is none."""
    name = f"judges/{stage}/{CARD}"
    if not search_dir.exists(name):
        return None
    return JudgeCard.model_validate_json(search_dir.read_bytes(name))


def _read(store: Store, name: str) -> bytes:
    return Folder(store.location).read_bytes(name)
