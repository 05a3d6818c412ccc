from types import SimpleNamespace
from typing import Any

import pytest

from ssgan.tuning.tuner import TrialNames


def trial(tag: str, config: dict[str, Any] | None = None) -> Any:
    return SimpleNamespace(experiment_tag=tag, config=config or {})


@pytest.mark.parametrize(
    ("first", "tag", "name"), [(0, "0_lr=1", "00000"), (0, "12", "00012"), (1, "1_lr=1", "00000")]
)
def test_trials_are_counted_from_zero(first: int, tag: str, name: str) -> None:
    assert TrialNames(first)(trial(tag)) == name


def test_a_final_has_the_name_that_it_was_given() -> None:
    assert TrialNames()(trial("3", {"final": {"trial": "00003-s7"}})) == "00003-s7"
