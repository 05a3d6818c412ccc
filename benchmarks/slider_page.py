"""How fast the page with sliders opens and draws in a browser, and how near its pictures are.

``python -m benchmarks.slider_page RUN... --write`` exports each run as ``ssgan export --html``
does, opens the page from disk in headless Chromium, lets the page itself draw 1,000 images of the
prior, and holds them against those of the export: pixel by pixel, and by C. ``--small`` shows in
seconds that it runs, on an export that was never trained.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from benchmarks.results_page import ResultsPage
from ssgan.evaluation.judge import Judge
from ssgan.export.generator import NamedGenerator
from ssgan.export.sliders import make_page
from ssgan.launch.loaded_run import load_run
from ssgan.launch.machine import describe_machine
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.exports import save_untrained
from tests.helpers.servers import Browser, Server

_IMAGES, _BATCH = 1_000, 50
_ROUNDS = 15  # pages opened, and times that speed is measured
_SIZE = (1280, 1100)
_FIRST = "return ssgan.first"
_DRAW = """
    return Promise.all(arguments[0].map(request => ssgan.draw(request))).then(drawn =>
        drawn.map(({pixels}) => [...pixels].filter((_, i) => i % 4 < 3)));
"""
_SPEED = """
    const began = performance.now(), requests = arguments[0];
    return Promise.all(requests.map(request => ssgan.draw(request))).then(() =>
        requests.length / (performance.now() - began) * 1000);
"""


class Measured(NamedTuple):
    """What one page came to."""

    name: str
    megabytes: float
    seconds: list[float]
    """From navigation to the first picture."""
    speed: list[float]
    """Images a second."""
    near: float
    """Share of pixels within 2/255."""
    largest: int
    requests: int
    """Requests besides the page itself."""
    errors: int
    """Errors on the console."""
    losses: tuple[tuple[int, int], ...]
    """Images that C recognizes otherwise, of how many: of the export, of the page."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the pages of runs."""
    parser = ResultsPage("slider-page.md", __doc__, "an untrained export, a few images")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="run directories")
    arguments = parser.read(argv)
    if not arguments.runs and not arguments.small:
        parser.error("name one run directory or more")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        driver = Server(["chromedriver", "--port=PORT"], "/status", folder / "driver.log").start()
        try:
            if arguments.small:
                generator = NamedGenerator.load(_untrained(folder / "export"))
                file = folder / "page.html"
                file.write_bytes(make_page(generator, "export")[0])
                found = [_measure(file, driver, generator, "untrained", None, _BATCH, 1)]
            else:
                found = [_of_run(folder, driver, run) for run in arguments.runs]
        finally:
            driver.kill()
    parser.publish(_page(found), write=arguments.write)


def _untrained(folder: Path) -> Path:
    digit = Code(name="digit", kind="categorical", classes=("0", "1"))
    space = LatentSpace(supervised=(digit,), unsupervised=(), noise=8)
    return save_untrained(folder, DcganConfig(width=4, hidden=16), space, (1, 16, 16))


def _of_run(folder: Path, driver: Server, run: str) -> Measured:
    loaded = load_run(run)
    judge = loaded.find_judge(loaded.experiment).judge
    file = folder / f"{loaded.run.run_id}.html"
    command = [sys.executable, "-m", "ssgan", "export", run, "--html", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    generator = NamedGenerator.load(run)
    return _measure(file, driver, generator, loaded.experiment.name, judge, _IMAGES, _ROUNDS)


def _measure(
    file: Path,
    driver: Server,
    generator: NamedGenerator,
    name: str,
    judge: Judge | None,
    count: int,
    rounds: int,
) -> Measured:
    latents = generator.draw(count)
    exact = generator.render(latents).astype(int)
    asked = [{"c": c, "seed": "0", "index": i} for i, c in enumerate(latents.c.tolist())]
    seconds, speed, requests, errors = [], [], 0, 0
    for _ in range(rounds):
        browser = Browser(driver, _SIZE, watched=True)
        browser.open(file.as_uri())
        seconds.append(browser.wait_for(_FIRST) / 1000)
        speed.append(browser.run(_SPEED, asked[:_BATCH]))
        sent = [url for url in browser.requests() if not url.startswith(("blob:", "data:"))]
        requests += len(sent) - 1
        errors += len(browser.errors())
        if len(seconds) < rounds:
            browser.close()
    drawn = [browser.run(_DRAW, asked[i : i + _BATCH]) for i in range(0, count, _BATCH)]
    browser.close()
    pixels = np.concatenate(drawn).reshape(count, *exact.shape[1:3], 3)
    pixels = pixels[..., : exact.shape[3]]
    apart = np.abs(pixels - exact)
    losses = tuple(_loss(judge, images, latents.c) for images in (exact, pixels)) if judge else ()
    return Measured(
        name,
        file.stat().st_size / 1e6,
        seconds,
        speed,
        float((apart <= 2).mean()),
        int(apart.max()),
        requests,
        errors,
        losses,
    )


def _loss(judge: Judge, images: NDArray[Any], c: torch.Tensor) -> tuple[int, int]:
    """Count the readings of supervised classes that C has otherwise than they were asked for."""
    given = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    read = judge.predict(given).c
    codes = [k for k, code in enumerate(judge.codes) if code.is_categorical]
    wrong = (read[:, codes] != c[:, codes]).sum()
    return int(wrong), len(images) * len(codes)


def _page(found: Iterable[Measured]) -> str:
    rows = []
    for one in found:
        losses = [f"{wrong / of:.4f} ({_interval(wrong, of)})" for wrong, of in one.losses]
        rows.append(
            [
                f"`{one.name}`",
                f"{one.megabytes:.2f} MB",
                _spread(one.seconds, "s"),
                _spread(one.speed, "images/s", 0),
                f"{100 * one.near:.3f} %",
                f"{one.largest}/255",
                *(losses or ["", ""]),
                str(one.requests),
                str(one.errors),
            ]
        )
    head = [
        *("Preset", "File", "Opened", "Speed", "Pixels within 2/255", "Farthest pixel"),
        *("0-1 loss, exact", "0-1 loss, page", "Requests", "Errors"),
    ]
    table = [head, ["---"] * len(head), *rows]
    return "\n".join(
        [
            "# The page with sliders",
            "",
            "What `ssgan export RUN --html FILE` writes, opened from disk in headless Chromium on "
            f"{describe_machine()}. Opened: from navigation to the first picture, a new browser "
            "each time. Speed: images that the page's worker draws and reads back, one after the "
            "other. Medians, with quartiles. The pictures compared are 1,000 of the prior, drawn "
            "by the page itself from their seed; beside the 0-1 loss by C stands its 95 % interval "
            "(Clopper and Pearson). Requests are those besides the file, errors those on the "
            "console.",
            "",
            *(f"| {' | '.join(row)} |" for row in table),
            "",
            "`python -m benchmarks.slider_page RUN... --write` makes this page.",
            "",
        ]
    )


def _interval(wrong: int, of: int) -> str:
    low, high = binomtest(wrong, of).proportion_ci()
    return f"{low:.4f} to {high:.4f}"


def _spread(values: Sequence[float], unit: str, digits: int = 2) -> str:
    middle = f"{statistics.median(values):.{digits}f} {unit}"
    if len(values) < 2:
        return middle
    low, _, high = statistics.quantiles(values, n=4)
    return f"{middle} ({low:.{digits}f} to {high:.{digits}f}, n = {len(values)})"


if __name__ == "__main__":
    main()
