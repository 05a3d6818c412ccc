"""A source from outside of the package: known by the module that its kind names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssgan.data.sources import SourceConfig
from ssgan.data.store import prepare
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.no_effect import find_inert
from ssgan.experiment.tree import Experiment
from tests.helpers.outside import module_outside

STRIPES = """
from typing import ClassVar, Literal

import numpy as np

from ssgan.data.sources.base import ArraySource, SourceConfig
from ssgan.method.codes import Code

DIRECTION = Code(name="direction", kind="categorical", classes=("across", "down"))


class Stripes(SourceConfig):
    kind: Literal["stripes_for_tests.Stripes"] = "stripes_for_tests.Stripes"
    count: int = 40
    has_test_split: ClassVar[bool] = False
    fully_labeled: ClassVar[bool] = True

    def open(self):
        labels = np.arange(self.count, dtype=np.float32)[:, None] % 2
        images = np.zeros((self.count, 1, 8, 8), dtype=np.uint8)
        images[0::2, :, ::2], images[1::2, :, :, ::2] = 255, 255
        return ArraySource("stripes", (DIRECTION,), {"train": (images, labels)}, {})

    def fingerprint(self):
        return str(self.count)
"""


@pytest.fixture
def stripes(tmp_path: Path) -> Iterator[str]:
    with module_outside(tmp_path, "stripes_for_tests", STRIPES, SourceConfig):
        yield "stripes_for_tests.Stripes"


def test_a_source_of_another_package_is_used_like_one_of_ssgan(
    stripes: str, tmp_path: Path
) -> None:
    overrides = ["data.source.count=24", f"data.source.kind={stripes}", "codes.supervised=[]"]
    experiment = load_experiment("digits", overrides)
    assert Experiment.from_yaml(experiment.to_yaml()) == experiment
    assert "no test split" in find_inert(experiment)["evaluation.judge"]
    store = prepare(experiment.data.source, tmp_path / "cache")
    assert (len(store.split("train", tmp_path)), store.has_test_split) == (24, False)
    assert store.manifest.columns[0].name == "direction"
