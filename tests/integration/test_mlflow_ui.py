"""MLflow's own interface, in a real browser, shows runs side by side with their samples."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ssgan.records.rundir import Record, RunDir
from ssgan.tracking.recorder import sync_run
from ssgan.tracking.registry import register_champion
from ssgan.tracking.store import default_uri
from tests.helpers.servers import START, Browser, Server, mlflow_server, synthetic_run
from tests.helpers.tracking import draw_card, finish_run, make_run

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

EPOCHS = 4
ARROW_LEFT = "\ue012"  # WebDriver's name of the key


def sheet(seed: int) -> bytes:
    """Draw ten rows of real digits, one row a class."""
    data, draw = load_digits(), np.random.default_rng(seed)
    rows = [
        np.hstack(data.images[draw.choice(np.flatnonzero(data.target == digit), 10)])
        for digit in range(10)
    ]
    pixels = np.kron(np.vstack(rows) * 15.9, np.ones((3, 3))).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def run_of_digits(folder: Path, seed: int) -> RunDir:
    run = synthetic_run(folder / f"digits-seed-{seed}", seed=seed)
    for epoch in range(1, EPOCHS + 1):
        metrics = {"zero_one_loss_ema": 0.4 / (epoch + seed), "q_ss_accuracy": 1 - 0.3 / epoch}
        record = Record(
            epoch=epoch,
            step=100 * epoch,
            images_seen=12_800 * epoch,
            timestamp_ms=START + 1000 * epoch,
            metrics=metrics,
        )
        run.commit_record(record, {"samples_ema": sheet(10 * seed + epoch)})
    run.write_summary({"epochs": EPOCHS})
    return run


def test_two_runs_stand_side_by_side_with_metrics_and_samples_at_equal_steps(
    tmp_path: Path, serve: Callable[[Server], Server], browser: Browser
) -> None:
    runs = [run_of_digits(tmp_path, seed) for seed in (0, 1)]
    reports = [sync_run(default_uri(tmp_path), run) for run in runs]
    ids = [report.mlflow_run_id for report in reports]
    url = serve(mlflow_server(tmp_path, "ui")).url
    kept = Path(os.environ.get("SSGAN_SCREENSHOTS", tmp_path))  # to look at them

    browser.open(f"{url}/#/compare-runs?runs={json.dumps(ids)}&experiments=%5B%221%22%5D")
    browser.wait_for("return document.body.innerText.includes('Comparing 2 Runs')")
    text = browser.wait_for(
        "const text = document.body.innerText; return text.includes('0.08') && text"
    )
    for shown in ("digits-seed-0", "digits-seed-1", "zero_one_loss_ema", "0.1", "0.08"):
        assert shown in text
    browser.screenshot(kept / "compare.png")

    # The view that the recorder left shows the last pictures of all runs side by side.
    assert reports[0].view == reports[1].view
    browser.open(url + reports[0].view)
    browser.wait_for("return document.querySelectorAll('.js-plotly-plot').length >= 2")
    for shown in ("zero_one_loss_ema", "q_ss_accuracy", "samples_ema"):
        assert shown in browser.run("return document.body.innerText")
    pictures_at(EPOCHS, ids, browser)
    browser.screenshot(kept / "view.png")
    # Its slider sets the step for all.
    browser.press("//*[@role='slider']", ARROW_LEFT)
    pictures_at(EPOCHS - 1, ids, browser)
    with Image.open(browser.screenshot(kept / "samples.png")) as image:
        assert image.width >= 1000


def test_the_page_of_a_model_shows_its_card_its_data_and_that_it_is_the_champion(
    tmp_path: Path, serve: Callable[[Server], Server], browser: Browser
) -> None:
    uri, run = default_uri(tmp_path), make_run(tmp_path, "shapes")
    finish_run(run)
    draw_card(run)
    found = register_champion(
        uri, run.locate("export"), "shapes", run, metric=("zero_one_loss_ema", 0.02), identity={}
    )
    assert (found.version, found.is_champion) == (1, True)
    synced = sync_run(uri, run)
    url = serve(mlflow_server(tmp_path, "ui")).url
    kept = Path(os.environ.get("SSGAN_SCREENSHOTS", tmp_path))

    def text_with(words: str) -> str:
        script = "const text = document.body.innerText; return text.includes(arguments[0]) && text"
        return str(browser.wait_for(script, words))

    browser.open(f"{url}/#/models/shapes/versions/1")
    text = text_with("What it draws")
    for shown in ("circle", "1,200 images to train", "0-1 loss of G's EMA", "champion", "Limits"):
        assert shown in text
    shown = browser.wait_for(
        "const found = [...document.images].filter(one => one.src.includes('export/strips'));"
        "return found.length === 3 && found.every(one => one.naturalWidth > 0)"
    )
    assert shown
    browser.screenshot(kept / "model.png")
    browser.open(f"{url}/#/experiments/1/runs/{synced.mlflow_run_id}")
    text_with("shapes (train) (dddddddd")  # the data set, with its digest
    browser.screenshot(kept / "model-run.png")


def pictures_at(step: int, ids: list[str], browser: Browser) -> None:
    """Wait until the window shows the samples of each run at a step, each once."""
    sources = browser.wait_for(
        """
        const found = [...document.images].filter(
            image => image.src.includes('get-artifact') && image.naturalWidth > 0);
        const sources = found.map(image => decodeURIComponent(image.src));
        const wanted = sources.filter(source => source.includes(arguments[0]));
        return wanted.length >= 2 && wanted;
        """,
        f"images/samples_ema+step+{step}+",
    )
    assert sorted(run_id for run_id in ids for source in sources if run_id in source) == sorted(ids)
