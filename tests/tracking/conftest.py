from pathlib import Path

import pytest

from ssgan.records.searchdir import SearchDir
from tests.helpers.searchdirs import make_search


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a dead server at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def search(tmp_path: Path, request: pytest.FixtureRequest) -> SearchDir:
    """An empty search, named as the test so that its experiment is its own."""
    return make_search(tmp_path, request.node.name.partition("[")[0][:60])
