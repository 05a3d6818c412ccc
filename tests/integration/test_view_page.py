"""`ssgan view` in a real browser beside a real training, which is killed and goes on."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from ssgan.base.local_server import listen
from ssgan.launch.loaded_run import load_run
from ssgan.launch.outcome import export, open_export
from ssgan.method.codes import Latents
from ssgan.records.checkpoint_address import step_of
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from tests.helpers.runs import SMALL
from tests.helpers.servers import Browser, Server

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

EPOCH = "return Number(document.getElementById('epoch').textContent.match(/[0-9]+/))"
LATER = f"{EPOCH.replace('return', 'const epoch =')}; return epoch > arguments[0] && epoch"
STATUS = "return document.getElementById('status').textContent.includes(arguments[0])"
TROUBLE = "return document.getElementById('trouble').textContent.includes(arguments[0])"
SUBTITLE = "return document.getElementById('subtitle').textContent.includes(arguments[0])"
SLIDERS = "return window.ssgan && ssgan.first > 0"
SEEN = """
    const image = document.getElementById('samples');
    return image.complete && image.naturalWidth;
"""
CURVES = """
    return Object.fromEntries([...document.querySelectorAll('.chart')].map(chart =>
        [chart.querySelector('h3').textContent, chart.querySelector('polyline').points.length]));
"""
DRAW = """
    return Promise.all(arguments[0].map(request => ssgan.draw(request))).then(drawn =>
        drawn.map(({pixels}) => [...pixels].filter((_, i) => i % 4 === 0)));
"""


class Program:
    """The command, as a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ssgan", *arguments],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "BROWSER": "true", "OMP_NUM_THREADS": "1"},  # opens nothing
            )

    def wait_for(self, pattern: str) -> str:
        """Wait until it says something."""
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(pattern, self.log.read_text()):
                return found[0]
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, and return the exit status."""
        self._process.send_signal(how)
        return self._process.wait(timeout=60)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Any]:
    """Start programs in one folder, which end with the test."""
    with ExitStack() as stack:

        def start(*arguments: str) -> Program:
            program = Program(tmp_path, *arguments)
            stack.callback(program.end)
            return program

        yield start


def test_samples_and_curves_advance_while_it_trains_and_nothing_is_lost(
    tmp_path: Path, chromedriver: Server, programs: Any
) -> None:
    kept = Path(os.environ.get("SSGAN_SCREENSHOTS", tmp_path))
    with listen(None) as probe:
        port = str(probe.getsockname()[1])
    length = ("training.epochs=1000", "training.steps_per_epoch=8", "evaluation.every=1")
    training = programs("train", "digits", *SMALL, *length, "--out", "runs", "--name", "tiny")
    place = tmp_path / "runs" / "tiny"
    while not (place / "run.json").exists():
        training.wait_for("")  # raises once it has ended
        time.sleep(0.1)
    view = programs("view", "runs/tiny", "--port", port, "--no-browser")
    browser = Browser(chromedriver, (1400, 1000), watched=True)
    browser.open(view.wait_for(r"http://\S+"))

    # Samples, curves and the generator advance in the page that stays open.
    first = browser.wait_for(LATER, 0)
    browser.wait_for(SLIDERS)
    before = browser.run("return document.getElementById('subtitle').textContent")
    second = browser.wait_for(LATER, first + 1)
    assert browser.wait_for(SEEN) > 100
    curves = browser.run(CURVES)
    assert min(curves["0-1 loss by C"], curves["adversarial losses of D and G"]) >= second
    assert "Q_ss accuracy" in curves
    browser.wait_for(
        "return document.getElementById('subtitle').textContent !== arguments[0]", before
    )
    assert browser.run(STATUS, "Training now: epoch")
    rows = browser.run("return document.getElementById('health').innerText")
    assert "digit" in rows
    assert "style_1" in rows

    # The training is killed: the page says what to do, and its pictures are exact.
    training.end()
    browser.wait_for(STATUS, "To go on: ssgan train --resume")
    newest = Checkpoints(RunDir.open(place)).newest()
    assert newest is not None
    browser.wait_for(SUBTITLE, f"{step_of(newest):,} updates")
    loaded = load_run(str(place))
    generator = open_export(loaded, export(loaded))
    latents = generator.draw(6, seed=5)
    asked = [{"c": row.tolist(), "seed": "5", "index": i} for i, row in enumerate(latents.c)]
    drawn: Any = browser.run(DRAW, asked)
    exact = [generator.render(Latents(*(part[i : i + 1] for part in latents))) for i in range(6)]
    assert (np.array(drawn, np.uint8).reshape(6, 16, 16, 1) == np.concatenate(exact)).all()
    assert np.concatenate(exact).std() > 5
    files = {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}
    browser.screenshot(kept / "view-page.png")
    assert browser.errors() == []

    # It is resumed: the same page goes on.
    last = browser.run(EPOCH)
    assert {file: file.read_bytes() for file in place.rglob("*") if file.is_file()} == files
    training = programs("train", "--resume", "runs/tiny")
    later = browser.wait_for(LATER, last)
    browser.wait_for(STATUS, "Training now: epoch")
    browser.wait_for(f"{SUBTITLE.replace('return ', 'return !')}", f"{step_of(newest):,} updates")
    hosts = {urlsplit(url).netloc for url in browser.requests()}
    assert hosts == {f"127.0.0.1:{port}"}

    # The server is killed: the page says so, and another one shows all again.
    view.end()
    browser.wait_for(TROUBLE, "start ssgan view again")
    view = programs("view", "runs/tiny", "--port", port, "--no-browser")
    address = view.wait_for(r"http://\S+")
    browser.wait_for(TROUBLE, "open the one that `ssgan view` has printed")
    browser.open(address)
    assert browser.wait_for(LATER, later) > later
    browser.wait_for(SLIDERS)
    assert browser.run(CURVES)["adversarial losses of D and G"] > later
    training.end()
    assert view.end(signal.SIGINT) == 0

    narrow = Browser(chromedriver, (480, 1000))
    view = programs("view", "runs/tiny", "--port", port, "--no-browser")
    narrow.open(view.wait_for(r"http://\S+"))
    narrow.wait_for(SLIDERS)
    wide = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert narrow.wait_for(wide)
    narrow.run("document.getElementById('training').scrollIntoView()")
    narrow.wait_for(SEEN)
    narrow.screenshot(kept / "view-page-narrow.png")
