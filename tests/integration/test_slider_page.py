"""The page with sliders in a real browser, opened from disk: exact pictures, and no request."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import slider_page
from ssgan.export.generator import NamedGenerator
from ssgan.export.sliders import make_page
from ssgan.method.codes import Code, Joint, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.exports import save_untrained
from tests.helpers.servers import Browser, Server

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

MARKUP = "<script>alert('1')</script>"
SELECT_ALL = "\ue009a\ue000"
DRAWN = "return document.querySelector('#readings dd').textContent"
GRID = """
    const cells = [...document.querySelectorAll('#cells canvas')];
    const isDrawn = canvas => canvas.getContext('2d').getImageData(0, 0, 1, 1).data[3] > 0;
    return cells.length && cells.every(isDrawn) && cells.length;
"""
DRAW = """
    return Promise.all(arguments[0].map(request => ssgan.draw(request))).then(drawn =>
        drawn.map(({pixels, readings}) => ({
            pixels: [...pixels].filter((_, i) => i % 4 < 3),
            values: readings.map(one => one.value),
        })));
"""


def save(folder: Path) -> Path:
    """Save an untrained export with names of every kind, and shares that are not even."""
    digit = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
    hostile = Code(name=MARKUP, kind="categorical", classes=("כן", "👎 'no' & <b>"))
    angle = Code(name="angle of it", kind="continuous", low=-90, high=90)
    space = LatentSpace(
        supervised=(digit, hostile),
        unsupervised=(angle,),
        noise=20,
        joint=Joint(rows=((0, 0), (7, 0), (3, 1)), weights=(0.5, 0.3, 0.2)),
    )
    networks = DcganConfig(width=16, hidden=64, leak=0.2, centered=True, output_gain=20)
    return save_untrained(
        folder, networks, space, (3, 16, 16), is_settled=True, run="faces <of> it"
    )


@pytest.fixture
def page(tmp_path: Path, chromedriver: Server) -> tuple[Path, Browser]:
    """Open the page of an export in a browser, and return the export with it."""
    folder = save(tmp_path / "an export")
    content, _ = make_page(NamedGenerator.load(folder), str(folder))
    file = tmp_path / "page.html"
    file.write_bytes(content)
    browser = Browser(chromedriver, (1280, 1100), watched=True)
    browser.open(file.as_uri())
    browser.wait_for(DRAWN)
    return folder, browser


def test_a_page_draws_and_reads_as_python_does(page: tuple[Path, Browser]) -> None:
    folder, browser = page
    generator = NamedGenerator.load(folder)
    latents = generator.draw(200, seed=-3)
    exact = generator.render(latents)
    # The noise is not given: the page draws that of the seed itself.
    requests = [
        {"c": row.tolist(), "seed": "-3", "index": index} for index, row in enumerate(latents.c)
    ]
    drawn: Any = browser.run(DRAW, requests)
    pixels = np.array([one["pixels"] for one in drawn]).reshape(exact.shape)
    apart = np.abs(pixels - exact.astype(int))
    assert exact.std() > 30
    assert (apart <= 2).mean() > 0.999
    assert apart.max() <= 6
    read = np.array([one["values"] for one in drawn])
    known, _ = generator.read_table(exact)
    assert (read[:, :2] == known[:, :2].numpy()).mean() > 0.99
    assert np.abs(read[:, 2] - known[:, 2].numpy()).max() < 0.02


def test_the_page_copies_what_draws_the_same_picture(
    page: tuple[Path, Browser], tmp_path: Path
) -> None:
    _, browser = page
    browser.click("//button[text()='7']")
    browser.click("//button[contains(text(), '<b>')]")
    browser.press("//input[@id='seed']", f"{SELECT_ALL}12\t")
    browser.click("//button[@id='command']")
    command: str = browser.run("return document.getElementById('copied').textContent")
    (drawn,) = browser.run(DRAW, [{"c": [7, 1, 0], "seed": "12", "index": 0}])
    words = [*shlex.split(command), "--out", str(tmp_path / "drawn.npy")]
    assert words.pop(0) == "ssgan"
    subprocess.run([sys.executable, "-m", "ssgan", *words], check=True, capture_output=True)
    made = np.load(tmp_path / "drawn.npy").astype(int)
    assert np.abs(np.array(drawn["pixels"]).reshape(made.shape) - made).max() <= 6

    browser.click("//button[@id='python']")
    script: str = browser.run("return document.getElementById('copied').textContent")
    scope: dict[str, Any] = {}
    exec(script, scope)
    assert (scope["images"] == made).all()


def test_no_name_becomes_markup_and_nothing_is_requested(page: tuple[Path, Browser]) -> None:
    folder, browser = page
    shown = browser.run("return document.body.innerText")
    assert MARKUP in shown
    assert "faces <of> it" in shown
    assert browser.wait_for(GRID) == 10 * 9
    sent = [url for url in browser.requests() if not url.startswith(("blob:", "data:"))]
    assert sent == [folder.with_name("page.html").as_uri()]
    assert browser.errors() == []


def test_codes_out_of_range_are_refused_with_the_range(page: tuple[Path, Browser]) -> None:
    _, browser = page
    browser.press("//input[@id='code-2']", f"{SELECT_ALL}999\t")
    said = "return document.getElementById('error').textContent"
    assert "goes from -180 to 180" in browser.wait_for(said)
    assert browser.run("return document.getElementById('code-2').value") == "0"


def test_without_workers_the_page_draws_by_itself(
    page: tuple[Path, Browser], chromedriver: Server
) -> None:
    folder, usual = page
    browser = Browser(chromedriver, (1280, 1100), watched=True)
    browser.before_pages("window.Worker = class { constructor() { throw new Error('refused'); } };")
    browser.open(folder.with_name("page.html").as_uri())
    browser.wait_for(DRAWN)
    request = [{"c": [7, 1, 0.5], "seed": "4", "index": 2}]
    assert browser.run(DRAW, request) == usual.run(DRAW, request)
    assert browser.errors() == []


def test_a_page_that_was_damaged_says_so(page: tuple[Path, Browser], tmp_path: Path) -> None:
    folder, browser = page
    whole = folder.with_name("page.html").read_text()
    at = whole.index('id="weights">') + 5_000
    damaged = tmp_path / "damaged.html"
    damaged.write_text(whole[:at] + ("A" if whole[at] != "A" else "B") + whole[at + 1 :])
    browser.open(damaged.as_uri())
    said = browser.wait_for("return document.getElementById('error').textContent")
    assert "cannot be read" in said
    assert "copy it again" in said


def test_the_benchmark_of_the_page_runs(
    chromedriver: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    slider_page.main(["--small"])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "`untrained`" in line]
    cells = row.split(" | ")
    assert cells[4] == "100.000 %"
    assert cells[-2:] == ["0", "0 |"]
