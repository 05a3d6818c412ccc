"""Fixtures of real servers and a real browser, which end with their test."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssgan.base.threads import cores
from ssgan.cluster.connection import Cluster, connect
from tests.helpers.servers import Browser, Server


@pytest.fixture
def serve() -> Iterator[Callable[[Server], Server]]:
    """Start servers that end with the test."""
    started: list[Server] = []

    def start(server: Server) -> Server:
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def chromedriver(tmp_path: Path, serve: Callable[[Server], Server]) -> Server:
    """What starts and drives headless browsers."""
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("needs a browser: apt-get install -y chromium chromium-driver")
    return serve(Server([driver, "--port=PORT"], "/status", tmp_path / "chromedriver.log"))


@pytest.fixture
def browser(chromedriver: Server) -> Browser:
    """A headless browser window of 1900 x 1100 pixels."""
    return Browser(chromedriver, (1900, 1100))


@pytest.fixture(scope="session")
def ray_here() -> Iterator[Cluster]:
    """One Ray for all tests; its folder's path is short, for the sockets in it."""
    if cores() < 2:
        pytest.skip("two workers need two CPU cores")
    folder = tempfile.mkdtemp(prefix="ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        with connect(folder) as found:
            yield found
    shutil.rmtree(folder, ignore_errors=True)
