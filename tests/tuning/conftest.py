"""Searches that are checked, not run."""

from typing import Any

import pytest

from ssgan.experiment.loading import load_experiment
from ssgan.tuning.loading import load_search
from ssgan.tuning.search import Search

LOG = {"kind": "loguniform", "low": 0.05, "high": 2}


def definition(**changes: Any) -> dict[str, Any]:
    """A search over λ1 on the digits, as a user writes it."""
    return {
        "base": load_experiment("digits", ["training.epochs=9"]),
        "space": {"objective.lambda1": LOG},
        **changes,
    }


@pytest.fixture
def search() -> Search:
    """Two fields, six trials of nine epochs."""
    space = {
        "objective.lambda1": LOG,
        "objective.lambda2": {"kind": "uniform", "low": 1, "high": 3},
    }
    return load_search(definition(space=space, trials=6))
