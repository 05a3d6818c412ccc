from pathlib import Path

import pytest

from ssgan.base.errors import CorruptFile
from ssgan.data.store import Store
from ssgan.records.data_info import DATA, DataInfo, read_data_info
from ssgan.records.rundir import RunDir


def test_a_run_says_in_short_what_it_was_trained_on(tmp_path: Path, digits_store: Store) -> None:
    run = RunDir.create(tmp_path / "run", "seed: 0")
    assert read_data_info(run) is None
    info = DataInfo.of(digits_store.manifest)
    run.write_json(DATA, info.model_dump(mode="json"))
    assert read_data_info(run) == info
    assert (info.hash, info.counts) == (digits_store.manifest.hash, {"train": 1297, "test": 500})


def test_what_does_not_describe_data_is_named(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", "seed: 0")
    run.write_json(DATA, {"name": 3})
    with pytest.raises(CorruptFile, match=r"run/data\.json does not describe data; delete it"):
        read_data_info(run)
