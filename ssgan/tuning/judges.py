"""The judges of a search, trained beside its first trials.

A task of Ray trains them, first that of stage one, with a GPU where trials have one, else with all
cores of a machine. It writes them to the search directory, where trials wait for theirs at their
first evaluation. It has its place before the first trial starts, so they never wait for what they
keep from starting; where it gets none, or loses it, the driver trains them itself.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssgan.base.errors import BadInput, NonFiniteLoss
from ssgan.base.threads import cores, use_threads
from ssgan.cluster.capacity import object_store_environment
from ssgan.cluster.connection import Cluster
from ssgan.data.store import Store
from ssgan.evaluation.judge import CARD, keep_judge
from ssgan.launch.preparation import (
    ComputePlan,
    find_judge,
    find_store,
    has_judge,
    judge_cache,
    load_dataset,
)
from ssgan.records.search_judges import JUDGE_SEEDS, judge_file, read_judge
from ssgan.records.searchdir import SearchDir, Stage
from ssgan.tuning.search import Search

_FAILURE = "failure.json"  # in the folder of a judge that there will not be
_POLL = 1.0  # seconds between two looks for a judge
_PATIENCE, _GROWTH = 60.0, 600.0  # seconds until the task has a place; where machines may be added

_log = logging.getLogger(__name__)
_training: dict[str, "JudgeTraining"] = {}  # by search directory, while it goes on


def prepare_judges(
    search: Search,
    stages: Sequence[Stage],
    search_dir: SearchDir,
    store: Store,
    plan: ComputePlan,
    cluster: Cluster,
    shared: str | None = None,
) -> bool:
    """See that there are, or will be, the judges of some stages; return whether there are any.

    Those in the cache are written to the search directory at once. `shared` is where other machines
    find the images, by default where this one does.

    Raises:
        BadInput: C cannot learn from its rows.
    """
    missing: list[Stage] = []
    is_judged = True
    for stage in stages:
        if search_dir.exists(judge_file(stage, CARD)):
            continue
        experiment = search.experiment(search.corner, stage=stage)
        dataset = load_dataset(experiment, store=store)
        is_judged = has_judge(dataset)
        if not is_judged:
            continue
        judge = find_judge(experiment, dataset, plan, seed=JUDGE_SEEDS[stage], trains=False)
        if judge is None:
            missing.append(stage)
        else:
            _write(search_dir, stage, judge.files())
    under_way = _training.get(search_dir.location)
    if under_way is not None and under_way.goes_on:
        missing = [stage for stage in missing if stage not in under_way.stages]
    for stage in missing:
        search_dir.delete(judge_file(stage, _FAILURE))
    if missing:
        training = JudgeTraining(search, missing, search_dir, shared or store.location, plan)
        _training[search_dir.location] = training
        training.start(cluster)
    return is_judged


def wait_for_judge(search_dir: SearchDir, stage: Stage) -> dict[str, bytes]:
    """Return the files of a stage's judge as soon as they are there.

    Raises:
        BadInput: There will be none; the message says why.
    """
    while (files := read_judge(search_dir, stage)) is None:
        check_judge(search_dir, stage)
        time.sleep(_POLL)
    return files


def check_judge(search_dir: SearchDir, stage: Stage) -> None:
    """Raise what the training of a stage's judge ended with (`BadInput`, `NonFiniteLoss`)."""
    if search_dir.exists(judge_file(stage, _FAILURE)):
        failure = search_dir.read_json(judge_file(stage, _FAILURE))
        kind = NonFiniteLoss if failure["kind"] == NonFiniteLoss.__name__ else BadInput
        raise kind(failure["message"])


def train_judges(
    search: Search,
    stages: Sequence[Stage],
    search_dir: SearchDir,
    store: Store,
    plan: ComputePlan,
    threads: int,
) -> Iterator[Stage]:
    """Train judges that are not there yet, with so many threads; yield each stage that has its own.

    Raises:
        NonFiniteLoss: Training diverged.
    """
    for stage in stages:
        if not search_dir.exists(judge_file(stage, CARD)):
            experiment = search.experiment(search.corner, stage=stage)
            dataset = load_dataset(experiment, store=store)
            with use_threads(threads):
                judge = find_judge(experiment, dataset, plan, seed=JUDGE_SEEDS[stage])
            assert judge is not None, "prepare_judges has found that there is one"
            _write(search_dir, stage, judge.files())
        yield stage


class JudgeTraining:
    """Training of judges that goes on while trials train; a thread follows it."""

    def __init__(
        self,
        search: Search,
        stages: Sequence[Stage],
        search_dir: SearchDir,
        store: str,
        plan: ComputePlan,
    ) -> None:
        self.stages = stages
        self._search, self._search_dir, self._store, self._plan = search, search_dir, store, plan
        self._left = list(stages)
        self._thread: threading.Thread | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it is not over."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, cluster: Cluster) -> None:
        """Start the task, and wait until it has its place on the cluster."""
        import ray

        cpus, gpus, threads = place_of_judge(self._search, self._plan, cluster)
        told = self._search.to_yaml(), self.stages, self._search_dir.location, self._store
        task: Any = ray.remote(_work).options(
            num_returns="streaming", num_cpus=cpus, num_gpus=gpus, max_retries=0
        )
        began = task.remote(*told, self._plan, threads, object_store_environment())
        patience = _GROWTH if cluster.growth else _PATIENCE
        if ray.wait([began], timeout=patience)[0]:
            _log.info("the judge C is trained beside the first trials, which wait for it")
        else:
            ray.cancel(began)
            _log.warning("no machine has %g CPUs and %g GPUs for the judge C", cpus, gpus)
            began = None
        self._thread = threading.Thread(
            target=self._follow, args=(began,), name="judges", daemon=True
        )
        self._thread.start()

    def _follow(self, task: Any) -> None:
        """See that the judges come to be, by the task or without it, or say why they do not."""
        import ray
        from ray.exceptions import RayTaskError

        try:
            try:
                for done in () if task is None else task:
                    self._note(ray.get(done))
            except RayTaskError as error:
                if isinstance(error.cause, BadInput | NonFiniteLoss):
                    raise error.cause from error
                _log.warning("the task that trains the judge C failed (%s)", error.cause)
            except Exception as error:  # its process or its machine is gone
                _log.warning("the task that trains the judge C is lost (%s)", error)
            if self._left and ray.is_initialized():  # or this process is about to end
                _log.warning("this process trains the judge C")
                store = find_store(self._search.base, location=self._store)
                threads = self._search.base.scaling.threads or cores()
                told = self._search, self._left[:], self._search_dir, store, self._plan, threads
                for stage in train_judges(*told):
                    self._note(stage)
        except Exception as error:  # whatever it is, trials must not wait forever
            _log.error("there is no judge C: %s", error)
            failure = {"kind": type(error).__name__, "message": str(error)}
            for stage in self._left:
                self._search_dir.write_json(judge_file(stage, _FAILURE), failure)

    def _note(self, stage: Stage | None) -> None:
        if stage is None:
            return
        self._left.remove(stage)
        files = read_judge(self._search_dir, stage)
        if files is not None:
            keep_judge(files, judge_cache())


def place_of_judge(search: Search, plan: ComputePlan, cluster: Cluster) -> tuple[float, float, int]:
    """Say what the task reserves, CPUs and GPUs, and with how many threads it computes."""
    if plan.cuda:
        return plan.cpus, plan.gpus, plan.threads
    machines = [node for node in cluster.nodes if node.cpus >= 1] or cluster.capacity
    most = max((node.cpus for node in machines), default=1.0)
    threads = search.base.scaling.threads or max(1, int(most))
    return min(float(threads), most), 0.0, threads


def _work(
    definition: str,
    stages: Sequence[Stage],
    location: str,
    store: str,
    plan: ComputePlan,
    threads: int,
    environment: Mapping[str, str],
) -> Iterator[Stage | None]:
    """Train judges on a machine of the cluster; the first item says that it has begun."""
    os.environ.update(environment)
    yield None
    search = Search.from_yaml(definition)
    images = find_store(search.base, location=store)
    yield from train_judges(search, stages, SearchDir(location), images, plan, threads)


def _write(search_dir: SearchDir, stage: Stage, files: Mapping[str, bytes]) -> None:
    """Write a judge; its card comes last, and says that the others are there."""
    for name in sorted(files, key=lambda name: name == CARD):
        search_dir.write_bytes(judge_file(stage, name), files[name])
