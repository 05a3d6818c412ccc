"""Real servers, a real browser, and runs made by hand to fill them with."""

import base64
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from ssgan.records.rundir import Record, RunDir

HOST = "127.0.0.1"
START = 1_700_000_000_000  # timestamp of epoch 0, in milliseconds
_OFFLINE = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


class Server:
    """A program that listens on a port: started, killed, started again."""

    def __init__(self, command: list[str], ready: str, log: Path, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._command = [part.replace("PORT", str(self.port)) for part in command]
        self._ready = ready
        self._log = log
        # MLflow calls uvicorn by its name, as if the virtual environment were activated.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        self._environment = {**os.environ, **_OFFLINE, "PATH": path, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                cwd=self._log.parent,
                env=self._environment,
                start_new_session=True,  # so that its workers die with it
            )
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + self._ready, timeout=5):
                    return self
            except OSError:
                time.sleep(0.2)
        self.kill()
        raise RuntimeError(f"{self._command} did not come up:\n{self._log.read_text()[-3000:]}")

    def kill(self) -> None:
        """End it and all its children at once (SIGKILL)."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def mlflow_server(folder: Path, command: str = "server", *more: str) -> Server:
    """Make `mlflow server` (or `ui`) on the SQLite file of a folder: one worker, no jobs."""
    return Server(
        [
            *(sys.executable, "-m", "mlflow", command, "--host", HOST, "--port", "PORT"),
            *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"),
            *more,
        ],
        "/health",
        folder / "server.log",
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    )


def post(url: str, body: Mapping[str, Any]) -> Any:
    """Send JSON, and return the JSON of the answer whatever its status."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def picture(seed: int, side: int = 160) -> bytes:
    """Make a PNG of noise, which does not compress."""
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def synthetic_run(folder: Path, experiment: str = "digits", seed: int = 0) -> RunDir:
    """Make the directory of a run without records."""
    tree = {"name": experiment, "objective": {"lambda2": 2.0}, "seed": seed}
    return RunDir.create(folder, yaml.safe_dump(tree))


def commit(run: RunDir, epoch: int, png: bytes, **metrics: float) -> None:
    """Commit one epoch with 32 metrics and a picture."""
    several = {f"mi/code_{i}": i / epoch for i in range(30)}
    record = Record(
        epoch=epoch,
        step=100 * epoch,
        images_seen=12_800 * epoch,
        timestamp_ms=START + 1000 * epoch,
        metrics={"zero_one_loss_ema": 0.5 / epoch, "q_ss_accuracy": 0.9, **several, **metrics},
    )
    run.commit_record(record, {"samples_ema": png})


class Browser:
    """Headless Chromium behind chromedriver, spoken to by the W3C WebDriver protocol."""

    def __init__(self, driver: Server, size: tuple[int, int], watched: bool = False) -> None:
        self._driver = driver
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options = {"args": [*arguments, f"--window-size={size[0]},{size[1]}", "--hide-scrollbars"]}
        wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        if watched:  # see `requests` and `errors`
            wanted["alwaysMatch"]["goog:loggingPrefs"] = {"performance": "ALL", "browser": "ALL"}
        session = post(f"{driver.url}/session", {"capabilities": wanted})["value"]
        self._session = f"{driver.url}/session/{session['sessionId']}"

    def before_pages(self, script: str) -> None:
        """Run JavaScript in every page that is opened from now on, before its own."""
        body = {"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": script}}
        post(f"{self._session}/goog/cdp/execute", body)

    def open(self, url: str) -> None:
        """Go to an address."""
        post(f"{self._session}/url", {"url": url})

    def click(self, xpath: str) -> None:
        """Click on an element as soon as it can be clicked."""
        self._act(xpath, "click", {})

    def press(self, xpath: str, keys: str) -> None:
        """Send keys to an element."""
        self._act(xpath, "value", {"text": keys})

    def _act(self, xpath: str, action: str, body: Mapping[str, Any], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while True:
            answer = post(f"{self._session}/element", {"using": "xpath", "value": xpath})["value"]
            if "error" not in answer:
                (element,) = answer.values()
                answer = post(f"{self._session}/element/{element}/{action}", body)["value"] or {}
            if "error" not in answer:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"no {action} on {xpath}: {answer['message']}")
            time.sleep(0.3)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript, the body of a function, and return its value."""
        body = {"script": script, "args": arguments}
        return post(f"{self._session}/execute/sync", body)["value"]

    def wait_for(self, script: str, *arguments: Any, seconds: float = 120) -> Any:
        """Run JavaScript until its value is true, and return that."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            if time.monotonic() > deadline:
                text = self.run("return document.body.innerText")
                raise AssertionError(f"never true: {script}\nthe page says:\n{text}")
            time.sleep(0.3)
        return value

    def requests(self) -> list[str]:
        """Return the addresses of all requests since the last call; the browser is `watched`."""
        entries = post(f"{self._session}/se/log", {"type": "performance"})["value"]
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [one for one in messages if one["method"] == "Network.requestWillBeSent"]
        return [one["params"]["request"]["url"] for one in sent]

    def errors(self) -> list[str]:
        """Return the errors on the console since the last call; the browser is `watched`."""
        entries = post(f"{self._session}/se/log", {"type": "browser"})["value"]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def close(self) -> None:
        """End the browser."""
        request = urllib.request.Request(self._session, method="DELETE")
        with urllib.request.urlopen(request, timeout=60):
            pass

    def screenshot(self, file: Path) -> Path:
        """Save what the window shows as a PNG."""
        with urllib.request.urlopen(f"{self._session}/screenshot", timeout=300) as answer:
            file.write_bytes(base64.b64decode(json.load(answer)["value"]))
        return file
