"""The page of `ssgan label` in a real browser: twenty answers by keys, and nothing is ever lost."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ssgan.base.local_server import listen
from tests.helpers.pictures import draw_heap
from tests.helpers.servers import Browser, Server

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

ENTER = "\ue007"
NAME = "return document.getElementById('name').textContent"
OTHER = """
    const name = document.getElementById('name').textContent;
    return name !== arguments[0] && name;
"""
KEYS = """
    return Object.fromEntries([...document.querySelectorAll('#classes button')].map(button =>
        [button.lastChild.textContent, button.querySelector('kbd').textContent]));
"""
SETTLED = "return document.getElementById('interval').textContent !== '' && state && !state.pending"


class Labeling:
    """The command, as a process of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self._log = folder / f"label-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ssgan", "label", "heap"),
                    *("--label", "shape", "--port", str(port)),
                ],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "BROWSER": "true"},  # which opens nothing
                text=True,
            )

    def address(self) -> str:
        """Wait for the address of the page."""
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"http://\S+", self._log.read_text()):
                return found[0]
            time.sleep(0.1)
        raise AssertionError(self._log.read_text())

    def end(self, how: signal.Signals) -> str:
        """Send a signal and return what was printed."""
        self._process.send_signal(how)
        return self._process.communicate(timeout=60)[0]


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as stream:
        return list(csv.reader(stream))[1:]


def test_twenty_answers_by_keys_with_undo_reload_and_a_killed_server(
    tmp_path: Path, chromedriver: Server
) -> None:
    shapes = draw_heap(tmp_path / "heap", 240, size=64, mode="RGB")
    file, given = tmp_path / "heap.csv", list[list[str]]()
    kept = Path(os.environ.get("SSGAN_SCREENSHOTS", tmp_path))
    with listen(None) as probe:
        port = probe.getsockname()[1]
    browser = Browser(chromedriver, (1400, 900), watched=True)
    running = Labeling(tmp_path, port)
    browser.open(running.address())
    shown: Any = browser.wait_for(f"{NAME} || false")

    def answer() -> str:
        """Answer what is shown by keys; return the name of the next picture."""
        shape = shapes[shown]
        keys = browser.run(KEYS)
        if shape in keys:
            browser.press("//body", keys[shape])
        else:
            browser.press("//body", "n")
            browser.press("//input[@id='class-name']", shape + ENTER)
        given.append([shown, shape])
        following: str = browser.wait_for(OTHER, shown)
        assert rows(file) == given
        return following

    for _ in range(8):
        shown = answer()

    # A reload, without the token in the address, shows the same question.
    browser.open(f"http://127.0.0.1:{port}/")
    assert browser.wait_for(f"{NAME} || false") == shown

    # Undo asks again about what was answered last.
    shown = answer()
    browser.press("//body", "u")
    assert browser.wait_for(OTHER, shown) == given[-1][0]
    shown = given.pop()[0]
    assert rows(file) == given
    shown = answer()

    # The server is killed: what was answered is there, and the page says what to do.
    running.end(signal.SIGKILL)
    browser.press("//body", "1")
    text = "return document.getElementById('error').textContent.includes('start ssgan label again')"
    assert browser.wait_for(text)
    assert rows(file) == given
    running = Labeling(tmp_path, port)
    browser.open(running.address())
    assert browser.wait_for(f"{NAME} || false") == shown
    while len(given) < 20:
        shown = answer()

    browser.wait_for(SETTLED)
    assert browser.run("return document.getElementById('answers').textContent") == "20"
    seen = len({shape for _, shape in given})
    assert browser.run("return document.getElementById('seen').textContent") == str(seen)
    loaded = "return [...document.images].every(image => image.complete && image.naturalWidth > 0)"
    browser.wait_for(loaded)
    browser.screenshot(kept / "label-page.png")

    # Not sure is asked no more, and a click answers as a key does.
    browser.press("//body", "?")
    shown = browser.wait_for(OTHER, shown)
    assert rows(file)[:-1] == given
    assert rows(file)[-1][1] == " "
    browser.press("//body", "u")
    shown = browser.wait_for(OTHER, shown)
    shape = shapes[shown]
    browser.click(f"//div[@id='classes']/button[contains(., '{shape}')]")
    given.append([shown, shape])
    shown = browser.wait_for(OTHER, shown)
    assert rows(file) == given

    hosts = {urlsplit(url).netloc for url in browser.requests()}
    assert hosts == {f"127.0.0.1:{port}"}
    printed = running.end(signal.SIGINT)
    assert "heap.csv: shape: " in printed
    assert printed.rstrip().endswith("ssgan init heap")
    assert sorted(entry.name for entry in tmp_path.glob(".*")) == []
