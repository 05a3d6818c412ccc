"""The multi-host proof as a test; `make cluster-test` runs it by itself and shows its steps."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture
def multihost(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the modules of tests/multihost be imported by their names, by this test alone."""
    folder = Path(__file__).parents[1] / "multihost"
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) in map(str, folder.glob("*.py")):
            del sys.modules[name]


@pytest.mark.usefixtures("multihost")
def test_a_search_over_three_hosts_outlives_two_of_them() -> None:
    from hosts import why_not
    from proof import prove

    if os.environ.get("SSGAN_MULTIHOST") == "0":
        pytest.skip("left out by SSGAN_MULTIHOST=0; make cluster-test runs it by itself")
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    steps: list[str] = []
    prove(steps.append)
    assert steps[-1] == "the hosts are gone"
