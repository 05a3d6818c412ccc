"""Runs and searches in MLflow name their data, split by split, with a digest."""

import json
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.data.schema import TensorDatasetSchema

from ssgan.method.codes import Code
from ssgan.records.data_info import DATA, DataInfo
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir
from ssgan.tracking.recorder import sync_run
from ssgan.tracking.search import sync_search
from tests.helpers.searchdirs import fill_search
from tests.helpers.tracking import make_run, runs_of

INFO = DataInfo(
    name="shapes",
    hash="0123456789abcdef" * 4,
    shape=(1, 16, 16),
    columns=(Code(name="shape", kind="categorical", classes=("circle", "square")),),
    counts={"train": 120, "test": 40},
)


def write_info(run: RunDir) -> None:
    run.write_json(DATA, INFO.model_dump(mode="json"))


def inputs_of(uri: str, run_id: str) -> dict[str, Any]:
    """Return the data sets of a run in MLflow, by their contexts."""
    found = MlflowClient(uri).get_run(run_id).inputs.dataset_inputs
    named = {tag.value: one.dataset for one in found for tag in one.tags}
    assert len(named) == len(found)
    return named


def test_a_run_names_its_splits_once_however_often_it_is_sent(uri: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "data")
    tree = run.definition_tree() | {"data": {"source": {"kind": "folder", "root": "shapes"}}}
    run.write_definition(json.dumps(tree))
    write_info(run)
    for _ in range(2):
        run_id = sync_run(uri, run).mlflow_run_id
    splits = inputs_of(uri, run_id)
    assert {split: json.loads(one.profile) for split, one in splits.items()} == {
        "train": {"num_rows": 120},
        "test": {"num_rows": 40},
    }
    train = splits["train"]
    assert (train.name, train.digest) == ("shapes (train)", INFO.hash[:36])
    assert (train.source_type, json.loads(train.source)["root"]) == ("folder", "shapes")
    schema = TensorDatasetSchema.from_dict(json.loads(train.schema))
    assert schema.features.inputs[0].shape == (-1, 1, 16, 16)
    assert schema.targets is not None
    assert schema.targets.input_names() == ["shape"]


def test_a_search_names_the_data_of_its_trials(uri: str, search: SearchDir) -> None:
    rows = fill_search(search, trials=2, epochs=2)
    for row in rows:
        write_info(search.run(row))
    sync_search(uri, search)
    parent, children = runs_of(uri, search)
    for found in (parent, *children.values()):
        assert inputs_of(uri, found.info.run_id).keys() == {"train", "test"}


def test_runs_that_say_nothing_of_their_data_have_none(uri: str, tmp_path: Path) -> None:
    assert inputs_of(uri, sync_run(uri, make_run(tmp_path, "old")).mlflow_run_id) == {}
