"""What comes before the first update: device, threads, data, label budget, judge.

The driver prepares everything once. Workers find it in the cache, or, on another machine, build
the store again from its source and are handed the judge.
"""

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ssgan.base.errors import BadInput
from ssgan.base.progress import PreparationProgress, of_step
from ssgan.base.storage import default_cache
from ssgan.base.threads import cores
from ssgan.cluster.capacity import memory
from ssgan.cluster.connection import address_in_environment, is_connected
from ssgan.data.dataset import Dataset
from ssgan.data.store import Store
from ssgan.data.store import prepare as prepare_store
from ssgan.evaluation.judge import Judge, cached_judge, train_judge
from ssgan.experiment.footprint import check_footprint, takes_multiply_adds
from ssgan.experiment.tree import Experiment, ScalingConfig
from ssgan.networks.architecture import Shape
from ssgan.records.data_info import DATA, LABELS, SPREAD, DataInfo, read_budget, read_gained
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import open_run

_LEAST_FOR_TWO = 250_000_000
"""Multiply-adds (`takes_multiply_adds`) from which two threads are taken to be faster than one. Of
106 million, those of `digits`, two took 1.38 times as long; of 345 million, at twice the width,
0.92 times; of the 3,349 million of `mnist` 0.73 times (docs/results/threads.md)."""
_LARGEST_MACHINE = 16 * 2**40  # bytes of memory, more than any has


@dataclass(frozen=True)
class ComputePlan:
    """How the workers compute: the threads of each, and the cores and GPUs that Ray reserves."""

    under_ray: bool
    cuda: bool
    threads: int
    cpus: float
    gpus: float

    @property
    def device_here(self) -> torch.device:
        """Where this process computes: on a GPU if workers do and it has one itself."""
        return torch.device("cuda" if self.cuda and torch.cuda.is_available() else "cpu")


def make_plan(scaling: ScalingConfig, cpus: float, gpus: float, shared: bool) -> ComputePlan:
    """Decide how workers compute.

    One worker on this machine needs no Ray. Several on one machine that is theirs divide its
    cores; on a cluster that is shared with others a worker has the threads that it reserves.

    Cores and GPUs are those of this machine, or of the whole cluster.

    Raises:
        BadInput: CUDA is asked for and there is none.
    """
    if scaling.device == "cpu" and scaling.gpus:
        raise BadInput(f"scaling.device=cpu makes no use of scaling.gpus={scaling.gpus:g}")
    is_asked = scaling.device == "cuda" or scaling.gpus > 0
    if is_asked and gpus <= 0:
        raise BadInput(
            f"scaling.device={scaling.device} and scaling.gpus={scaling.gpus:g} ask for GPUs, and "
            "there is none; leave both out to train on the CPU"
        )
    cuda = is_asked or (scaling.device == "auto" and gpus >= scaling.most_workers)
    if scaling.threads is not None:
        threads = scaling.threads
    elif shared:
        threads = max(1, int(scaling.cpus))
    else:
        threads = max(1, int(cpus) // scaling.most_workers)
    return ComputePlan(
        under_ray=scaling.workers != 1,
        cuda=cuda,
        threads=threads,
        cpus=scaling.cpus,
        gpus=(scaling.gpus or 1.0) if cuda else 0.0,
    )


def plan_here(scaling: ScalingConfig) -> ComputePlan:
    """Decide how workers compute on this machine alone; OMP_NUM_THREADS is heeded."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    usable = int(limit) * scaling.most_workers if limit.isdigit() else cores()
    return make_plan(scaling, max(usable, 1), torch.cuda.device_count(), shared=False)


def check_execution(experiment: Experiment, plan: ComputePlan) -> None:
    """Refuse an experiment that asks for CUDA graphs where there is no GPU.

    Raises:
        BadInput: It does.
    """
    if experiment.training.execution == "graph" and not plan.cuda:
        raise BadInput(
            "training.execution=graph is for a GPU, and this would train on the CPU; leave it out"
        )


def fit_to_work(plan: ComputePlan, experiment: Experiment, shape: Shape) -> ComputePlan:
    """Take one thread where a batch is too little work for two, unless a number was asked for.

    Args:
        plan: By `make_plan` or `plan_here`.
        experiment: What is trained.
        shape: Of the images.
    """
    if plan.cuda or experiment.scaling.threads is not None:
        return plan
    is_enough = takes_multiply_adds(experiment, shape, _LEAST_FOR_TWO)
    return replace(plan, threads=1) if is_enough is False else plan


def keep_to_share(gpus: float, device: torch.device) -> None:
    """Keep this process to its share of a GPU's memory, where others have the rest."""
    if device.type == "cuda" and 0 < gpus < 1:
        torch.cuda.set_per_process_memory_fraction(gpus, device)


def save_data(run: RunDir, dataset: Dataset) -> None:
    """Write what a run is trained on: spread.parquet, labels.parquet, and data.json."""
    if dataset.gained is not None:  # first, because labels.parquet says that it is there
        run.write_bytes(SPREAD, dataset.gained.to_parquet())
    run.write_bytes(LABELS, dataset.budget.to_parquet())
    run.write_json(DATA, DataInfo.of(dataset.manifest).model_dump(mode="json"))


def find_store(
    experiment: Experiment, progress: PreparationProgress | None = None, location: str | None = None
) -> Store:
    """Find or build the store of an experiment's images.

    The driver's store at `location` is taken if this machine can see it, because a worker's
    working directory, to which the source's path may be relative, is another.

    Raises:
        BadInput: The source is wrong.
    """
    if location is not None:
        with contextlib.suppress(BadInput):
            return Store.open(location)
    told = of_step(progress, "preparing images", "images")
    return prepare_store(experiment.data.source, progress=told)


def load_dataset(
    experiment: Experiment,
    run: RunDir | None = None,
    store: Store | None = None,
    progress: PreparationProgress | None = None,
) -> Dataset:
    """Check the experiment against its store and label the images; find the store if it is None.

    The labels are those of `run`, where it has any: the budget that was drawn for it, and what was
    spread from that.

    Raises:
        BadInput: The source, a code or the budget is wrong.
    """
    budget = None if run is None else read_budget(run)
    gained = None if run is None or budget is None else read_gained(run, budget)
    store = store or find_store(experiment, progress)
    experiment.validate_against(store.manifest)
    return Dataset.load(experiment.data, experiment.codes, store, budget, gained, progress)


def check_memory(experiment: Experiment, shape: Shape | None = None) -> None:
    """Refuse sizes that no worker could hold, by arithmetic; without a shape, for small images.

    On a cluster, whose machines are not this one, only what fits no machine is refused.

    Raises:
        BadInput: With the arithmetic.
    """
    if address_in_environment() is not None or is_connected():
        has, what = _LARGEST_MACHINE, "the largest machine"
    elif torch.cuda.is_available() and experiment.scaling.device != "cpu":
        count = torch.cuda.device_count()
        has = sum(torch.cuda.get_device_properties(i).total_memory for i in range(count))
        # Where there are too few GPUs for all workers they compute on the CPU.
        has, what = max(has, memory()), "this machine"
    else:
        has, what = memory(), "this machine"
    check_footprint(experiment, shape, has, what)


def load_run_data(location: str) -> tuple[RunDir, Experiment, Dataset]:
    """Open a run, or the winner of a search, with its experiment and data.

    Raises:
        BadInput: There is no run, or its data is not here.
    """
    run = open_run(location)
    experiment = run.read_definition(Experiment)
    return run, experiment, load_dataset(experiment, run)


def has_judge(dataset: Dataset) -> bool:
    """Whether there is a C for a data set: not without a test split, nor without labels."""
    return (
        dataset.test is not None and dataset.y_test is not None and bool(dataset.space.supervised)
    )


def find_judge(
    experiment: Experiment,
    dataset: Dataset,
    plan: ComputePlan,
    progress: PreparationProgress | None = None,
    seed: int = 0,
    *,
    trains: bool = True,
) -> Judge | None:
    """Find C in the cache or train it there; None without a test split or without labels.

    Its seed is not that of the run, so that runs of all seeds are measured alike. Where nothing
    shall be trained now, None also means that it is not there yet.

    Raises:
        BadInput: C cannot learn from its rows.
    """
    if not has_judge(dataset):
        return None
    assert dataset.test is not None
    assert dataset.y_test is not None
    config, codes = experiment.evaluation.judge, dataset.space.supervised
    content, cache = f"{dataset.manifest.hash}/judge", judge_cache()
    if not trains:
        return cached_judge(
            config,
            codes,
            dataset.test.shape,
            dataset.y_test,
            content=content,
            seed=seed,
            cache=cache,
            device=plan.device_here,
        )
    return train_judge(
        config,
        codes,
        dataset.test,
        dataset.y_test,
        dataset.train,
        dataset.y_known,
        content=content,
        seed=seed,
        cache=cache,
        device=plan.device_here,
        progress=of_step(progress, "training the judge C", "updates"),
    )


def judge_cache() -> Path:
    """Return the folder of this machine's judges."""
    return default_cache() / "judges"
