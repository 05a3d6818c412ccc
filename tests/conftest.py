"""Fixtures for all tests: a private cache, one thread, real data where it is, a tiny store."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from ssgan.data.sources import DigitsSource
from ssgan.data.store import Store, prepare

torch.set_num_threads(1)

# A machine that is busy is no reason to fail.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
# Where the user's own runs go is no business of tests.
for name in ("MLFLOW_TRACKING_URI", "SSGAN_OUT"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def isolated_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's cache out of tests, in this process and in those that it starts."""
    before = os.environ.get("SSGAN_CACHE")
    cache = tmp_path_factory.mktemp("cache")
    os.environ["SSGAN_CACHE"] = str(cache)
    yield cache
    if before is None:
        del os.environ["SSGAN_CACHE"]
    else:
        os.environ["SSGAN_CACHE"] = before


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets that stand beside the project on its own machines."""
    path = Path(__file__).parents[1] / "../shared/data"
    if not path.is_dir():
        pytest.skip("../shared/data with the real data sets is not on this machine")
    return path.resolve()


@pytest.fixture(scope="session")
def digits_store(isolated_cache: Path) -> Store:
    """scikit-learn's digits at 16x16: 1,297 to train, 500 to judge by."""
    return prepare(DigitsSource(), isolated_cache)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty MLflow store of the module's own."""
    from ssgan.tracking.store import check, default_uri

    uri = default_uri(tmp_path_factory.mktemp("mlflow store"))
    check(uri)
    return uri
