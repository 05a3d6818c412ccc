import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data import dataset as datasets
from ssgan.data.memmap import Take
from ssgan.data.store import Store
from ssgan.evaluation import judge as judges
from ssgan.experiment.loading import load_experiment, with_values
from ssgan.experiment.tree import Experiment, ScalingConfig
from ssgan.launch.preparation import (
    check_execution,
    find_judge,
    fit_to_work,
    load_dataset,
    load_run_data,
    make_plan,
    plan_here,
    save_data,
)
from ssgan.records.rundir import RunDir


def test_one_worker_runs_here_with_all_cores() -> None:
    plan = make_plan(ScalingConfig(), cpus=8, gpus=0, shared=False)
    assert (plan.under_ray, plan.cuda, plan.threads) == (False, False, 8)


def test_several_divide_a_machine_of_their_own() -> None:
    plan = make_plan(ScalingConfig(workers=2), cpus=8, gpus=0, shared=False)
    assert (plan.under_ray, plan.threads, plan.cpus) == (True, 4, 1.0)


def test_workers_in_a_shared_cluster_have_what_they_reserve() -> None:
    plan = make_plan(ScalingConfig(workers=2, cpus=3), cpus=64, gpus=0, shared=True)
    assert (plan.threads, plan.cpus) == (3, 3.0)


def test_an_elastic_group_of_one_runs_under_ray() -> None:
    plan = make_plan(ScalingConfig(workers=(1, 4)), cpus=8, gpus=0, shared=False)
    assert (plan.under_ray, plan.threads) == (True, 2)


@pytest.mark.parametrize(
    ("cores", "workers", "threads"), [(2, 1, 2), (2, 2, 1), (2, 4, 1), (16, 3, 5), (0, 1, 1)]
)
def test_workers_share_the_cores(cores: int, workers: int, threads: int) -> None:
    scaling = ScalingConfig(workers=workers)
    assert make_plan(scaling, cpus=cores, gpus=0, shared=False).threads == threads


def test_threads_that_the_user_set_are_kept() -> None:
    assert make_plan(ScalingConfig(threads=3), cpus=8, gpus=0, shared=False).threads == 3


@pytest.mark.parametrize(
    ("preset", "fields", "threads"),
    [
        ("digits", [], 1),
        ("digits", ["scaling.threads=8"], 8),
        ("digits", ["scaling.device=cuda"], 8),
        ("digits", ["training.batch_size=640"], 8),
        ("digits", ["training.batch_size=640", "scaling.workers=8"], 1),
        ("mnist", [], 8),
    ],
)
def test_one_thread_does_what_is_too_little_for_more(
    preset: str, fields: list[str], threads: int
) -> None:
    experiment = load_experiment(preset, fields)
    plan = make_plan(experiment.scaling, cpus=64, gpus=1, shared=False)
    plan = replace(plan, threads=8, cuda=experiment.scaling.device == "cuda")
    size = 16 if preset == "digits" else 28
    assert fit_to_work(plan, experiment, (1, size, size)).threads == threads


@pytest.mark.parametrize(
    ("scaling", "gpus", "cuda", "each"),
    [
        (ScalingConfig(), 1, True, 1.0),
        (ScalingConfig(device="cpu"), 1, False, 0.0),
        (ScalingConfig(workers=2), 1, False, 0.0),
        (ScalingConfig(workers=2), 2, True, 1.0),
        (ScalingConfig(gpus=0.5), 1, True, 0.5),
        (ScalingConfig(workers=2, device="cuda"), 1, True, 1.0),
    ],
)
def test_gpus_are_used_where_there_are_enough(
    scaling: ScalingConfig, gpus: float, cuda: bool, each: float
) -> None:
    plan = make_plan(scaling, cpus=8, gpus=gpus, shared=False)
    assert (plan.cuda, plan.gpus) == (cuda, each)


@pytest.mark.parametrize("scaling", [ScalingConfig(device="cuda"), ScalingConfig(gpus=1)])
def test_gpus_that_are_not_there_are_refused(scaling: ScalingConfig) -> None:
    with pytest.raises(BadInput, match="there is none"):
        make_plan(scaling, cpus=8, gpus=0, shared=False)


def test_a_gpu_that_would_not_be_used_is_refused() -> None:
    with pytest.raises(BadInput, match=r"makes no use of scaling\.gpus=1"):
        make_plan(ScalingConfig(device="cpu", gpus=1), cpus=8, gpus=1, shared=False)


def test_cuda_graphs_are_refused_where_there_is_no_gpu_for_them() -> None:
    experiment = load_experiment("digits", ["training.execution=graph"])
    plan = make_plan(experiment.scaling, cpus=8, gpus=0, shared=False)
    with pytest.raises(BadInput, match=r"training\.execution=graph is for a GPU"):
        check_execution(experiment, plan)
    check_execution(experiment, replace(plan, cuda=True))
    with pytest.raises(BadInput, match=r"training\.execution=graph is for one worker"):
        load_experiment("digits", ["training.execution=graph", "scaling.workers=2"])


def test_the_limit_on_threads_of_the_environment_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert plan_here(ScalingConfig()).threads == 1


def test_a_judge_travels_to_other_machines(digits_store: Store) -> None:
    experiment = Experiment.model_validate(
        {"evaluation": {"judge": {"epochs": 1, "least_updates": 3}}}
    )
    dataset = load_dataset(experiment)
    plan = make_plan(ScalingConfig(threads=1), cpus=1, gpus=0, shared=False)
    told: list[tuple[str, str]] = []
    judge = find_judge(
        experiment, dataset, plan, lambda name, done, total, unit: told.append((name, unit))
    )
    assert judge is not None
    arrived = judges.Judge.from_files(judge.files(), torch.device("cpu"))
    images = dataset.train.images[:8]
    assert torch.equal(arrived.predict(images).features, judge.predict(images).features)
    assert ("training the judge C", "updates") in told


def test_data_without_a_judge_split_has_no_judge(digits_store: Store) -> None:
    from dataclasses import replace

    experiment = Experiment()
    dataset = replace(load_dataset(experiment), test=None, y_test=None)
    plan = make_plan(ScalingConfig(threads=1), cpus=1, gpus=0, shared=False)
    assert find_judge(experiment, dataset, plan) is None


@pytest.fixture(scope="module")
def spread_run(digits_store: Store, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that was prepared, and whose labels were spread."""
    definition = {
        "data": {"labels": 20, "spread": {"neighbors": 5, "steps": 20}},
        "codes": {"prior": "estimated"},
    }
    experiment = Experiment.model_validate(definition)
    run = RunDir.create(tmp_path_factory.mktemp("runs") / "spread", experiment.to_yaml())
    save_data(run, load_dataset(experiment, store=digits_store))
    return run


def open_copy(run: RunDir, to: Path) -> tuple[RunDir, Experiment, Path]:
    """Copy a run, and return also its experiment and the file of what its labels gained."""
    shutil.copytree(run.location, to)
    copy = RunDir.open(to)
    return copy, copy.read_definition(Experiment), to / "spread.parquet"


def test_what_labels_gained_is_read_by_all_who_open_the_run(
    spread_run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = spread_run.read_definition(Experiment)
    first = load_dataset(experiment)
    monkeypatch.delattr(datasets, "find_graph")  # a machine that could not find them again
    _, _, again = load_run_data(spread_run.location)
    torch.testing.assert_close(again.y, first.y, equal_nan=True)
    assert (~again.y.isnan()).sum() > 400
    assert again.space == first.space
    assert again.space.joint is not None


def test_a_run_that_kept_only_their_hash_spreads_them_again_and_compares(
    spread_run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, experiment, file = open_copy(spread_run, tmp_path / "run")
    before = file.read_bytes()
    file.unlink()
    save_data(run, load_dataset(experiment, run))
    assert file.read_bytes() == before
    file.unlink()
    spread_labels = datasets.spread_labels

    def otherwise(config: Any, codes: Any, given: Tensor, apart: Tensor, graph: Any) -> Any:
        return spread_labels(config, codes, given, torch.tensor([0, 1, 2, 3]), graph)

    monkeypatch.setattr(datasets, "spread_labels", otherwise)
    with pytest.raises(BadInput, match=r"other labels here .* restore spread\.parquet"):
        load_dataset(experiment, run)


def test_what_labels_gained_is_refused_where_it_is_damaged_or_of_another_run(
    spread_run: RunDir, tmp_path: Path
) -> None:
    run, experiment, file = open_copy(spread_run, tmp_path / "run")
    other = with_values(experiment, {"data.label_seed": 1})
    save_data(run, load_dataset(other))
    foreign = file.read_bytes()
    save_data(run, load_dataset(experiment))
    file.write_bytes(foreign)
    with pytest.raises(
        CorruptFile, match=r"spread\.parquet is of another run than labels\.parquet"
    ):
        load_dataset(experiment, run)
    file.write_bytes(foreign[:100])
    with pytest.raises(CorruptFile, match=r"spread\.parquet cannot be read"):
        load_dataset(experiment, run)


def test_what_takes_long_before_labels_are_spread_tells_of_its_progress(
    digits_store: Store,
) -> None:
    definition = {"data": {"labels": 20, "spread": {"neighbors": 7, "steps": 20}}}
    experiment = Experiment.model_validate(definition)
    told: dict[str, list[tuple[int, int]]] = {}

    def progress(name: str, done: int, total: int, unit: str) -> None:
        assert unit == "images"
        told.setdefault(name, []).append((done, total))

    load_dataset(experiment, store=digits_store, progress=progress)
    assert list(told) == ["comparing images", "finding neighbors"]
    for steps in told.values():
        assert steps == sorted(set(steps))
        assert steps[-1][0] == steps[-1][1] >= 1200
    told.clear()
    load_dataset(experiment, store=digits_store, progress=progress)
    assert told == {}  # the graph is in the cache


PICTURES = 120


def write_pictures(file: Path) -> None:
    """Write pictures whose gray level is their row; a person has three of them in a row."""
    pictures = []
    for level in range(PICTURES):
        buffer = io.BytesIO()
        Image.new("L", (8, 8), level).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    rows = range(PICTURES)
    columns = {
        "image": pictures,
        "side": ["ab"[i % 2] for i in rows],
        "person": [i // 3 for i in rows],
    }
    pq.write_table(pa.table(columns), file)


@pytest.mark.parametrize("rows", ["whole", "first half", "second half"])
@pytest.mark.parametrize(
    "split",
    [
        {"train_rows": [0, 70], "test_rows": [70, PICTURES]},
        {"test_share": 0.4},
        {"test_share": 0.4, "split_by": "person"},
    ],
)
def test_c_learns_from_judge_rows_and_is_validated_on_train_rows_only(
    split: dict[str, Any], rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[int] = []
    validated: list[int] = []
    fit, predict = judges.fit, judges.Judge.predict

    def seen(images: Tensor) -> list[int]:
        return images[:, 0, 0, 0].tolist()

    def fit_and_tell(
        network: Any, config: Any, codes: Any, take: Take, labels: Tensor, *rest: Any, **named: Any
    ) -> None:
        learned.extend(seen(take(torch.arange(len(labels)))))
        fit(network, config, codes, take, labels, *rest, **named)

    def predict_and_tell(judge: judges.Judge, images: Tensor) -> judges.Prediction:
        validated.extend(seen(images))
        return predict(judge, images)

    monkeypatch.setattr(judges, "fit", fit_and_tell)
    monkeypatch.setattr(judges.Judge, "predict", predict_and_tell)
    write_pictures(tmp_path / "pictures.parquet")
    experiment = Experiment.model_validate(
        {
            "data": {
                "source": {
                    "kind": "parquet",
                    "train": str(tmp_path / "pictures.parquet"),
                    "labels": ["side"],
                    "channels": 1,
                    **split,
                },
                "labels": "50%",
            },
            "codes": {"supervised": ["side"]},
            "evaluation": {
                "judge": {"epochs": 1, "least_updates": 1, "batch_size": 8, "rows": rows}
            },
        }
    )
    dataset = load_dataset(experiment)
    assert dataset.test is not None
    train, judge = set(seen(dataset.train.images)), set(seen(dataset.test.images))
    assert not train & judge
    if "split_by" in split:
        assert not {row // 3 for row in train} & {row // 3 for row in judge}

    plan = make_plan(ScalingConfig(threads=1), cpus=1, gpus=0, shared=False)
    assert find_judge(experiment, dataset, plan) is not None
    assert set(validated) == train
    assert set(learned) <= judge
    assert len(learned) == len(set(learned))
    share = 1 if rows == "whole" else 0.5
    assert len(learned) == pytest.approx(share * len(judge), abs=1)
