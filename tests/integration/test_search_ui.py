"""A search in real browsers: the contact sheet from its file, and MLflow's own interface."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ssgan.records.searchdir import SearchDir
from ssgan.report.pages import write_report
from ssgan.tracking.search import sync_search
from tests.helpers.searchdirs import ANNEALING, LAMBDAS, fill_search, make_search
from tests.helpers.servers import Browser, Server, mlflow_server
from tests.integration.test_mlflow_ui import sheet

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

SHOWN = """
    return [...document.querySelectorAll('.card')].map(card => ({
        run: card.dataset.run,
        picture: card.querySelector('img')?.src,
        loaded: card.querySelector('img')?.naturalWidth || 0,
        alt: card.querySelector('img')?.alt,
        value: card.querySelector('.metric').textContent,
        over: card.querySelector('.over')?.textContent || '',
    }));
"""
SET_SLIDER = """
    const slider = document.getElementById('slider');
    slider.value = arguments[0];
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    return true;
"""
RIGHT, LEFT, DOWN, ESCAPE = "\ue014", "\ue012", "\ue015", "\ue00c"  # WebDriver's names of keys


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> SearchDir:
    """A search that has ended, with pictures of digits."""
    folder = tmp_path_factory.mktemp("search")
    search = make_search(folder, "annealing", {**LAMBDAS, **ANNEALING})
    fill_search(
        search,
        trials=8,
        epochs=6,
        annealed=True,
        finals=1,
        picture=lambda trial, epoch, loss: sheet(10 * trial + epoch),
    )
    winner = next(row.run for row in search.rows() if row.stage == "final")
    search.write_summary({"trials": 8, "winner": winner})
    write_report(search)
    return search


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where screenshots go, to look at them."""
    return Path(os.environ.get("SSGAN_SCREENSHOTS", tmp_path))


def test_the_contact_sheet_sorts_and_leafs_through_the_epochs(
    search: SearchDir, browser: Browser, kept: Path
) -> None:
    rows = {row.run: row for row in search.rows()}
    browser.open(f"file://{search.location}/report/contact-sheet.html")
    browser.wait_for(
        "return document.querySelectorAll('.card').length == arguments[0]"
        " && [...document.images].every(image => image.alt === '' || image.naturalWidth > 0)",
        len(rows),
    )
    last = {card["run"]: card for card in browser.run(SHOWN)}
    assert set(last) == set(rows)
    assert all(card["loaded"] == 240 for card in last.values())
    assert all(card["value"] == f"{rows[run].metric:.4f}" for run, card in last.items())
    assert last["trials/00000"]["alt"].startswith("Samples of trial 00000 after epoch")
    browser.screenshot(kept / "contact-sheet.png")

    # Finals stand before the search, each sorted by the metric.
    def order() -> list[str]:
        return [card["run"] for card in browser.run(SHOWN)]

    def ranked(stage: str) -> list[str]:
        of_stage = [row for row in rows.values() if row.stage == stage]
        return [row.run for row in sorted(of_stage, key=lambda row: row.metric or 1)]

    assert order() == ranked("final") + ranked("search")
    browser.click("//label[span='Search']")
    assert order() == ranked("search")
    browser.click("//button[@id='order']")
    assert order() == ranked("search")[::-1]
    browser.run(
        "const sort = document.getElementById('sort'); sort.value = arguments[0];"
        "sort.dispatchEvent(new Event('change', {bubbles: true}));",
        "objective.lambda1",
    )
    searched = [row for row in rows.values() if row.stage == "search"]
    by_lambda = sorted(searched, key=lambda row: row.values["objective.lambda1"])
    assert order() == [row.run for row in by_lambda]

    # The slider sets the epoch for all; who has ended shows the last samples, and says so.
    assert browser.run(SET_SLIDER, 0)
    first = {card["run"]: card for card in browser.run(SHOWN)}
    assert all(card["picture"] != last[run]["picture"] for run, card in first.items())
    assert browser.run("return document.getElementById('epoch').textContent") == "1 of 6"
    browser.press("//input[@id='slider']", RIGHT * 2)
    third = {card["run"]: card for card in browser.run(SHOWN)}
    assert browser.run("return document.getElementById('epoch').textContent") == "3 of 6"
    for run, card in third.items():
        row = rows[run]
        record = search.run(row).record(min(3, row.epoch))
        assert record is not None
        assert card["value"] == f"{record.metrics['zero_one_loss_ema']:.4f}"
        ended = f"ended after epoch {row.epoch}" if row.epoch < 3 else ""
        assert card["over"] == ended
    browser.screenshot(kept / "contact-sheet-epoch-3.png")

    # A picture opens large, and the keys lead on from there.
    browser.click("//article[1]//button")
    title = """
        return document.getElementById('large').open
            && document.getElementById('large-title').textContent;
    """
    assert browser.wait_for(title) == by_lambda[0].trial
    browser.press("//dialog//button", DOWN)
    assert browser.run(title) == by_lambda[1].trial
    browser.press("//dialog//button", LEFT)
    assert browser.run("return document.getElementById('epoch').textContent") == "2 of 6"
    browser.screenshot(kept / "contact-sheet-large.png")
    browser.press("//dialog//button", ESCAPE)
    assert not browser.run("return document.getElementById('large').open")
    browser.click("//button[@id='theme']")
    browser.screenshot(kept / "contact-sheet-dark.png")
    dark = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert dark != browser.run(
        "document.getElementById('theme').click();"
        "return getComputedStyle(document.body).backgroundColor"
    )


def test_mlflow_shows_a_search_with_its_trials_inside(
    tmp_path: Path,
    search: SearchDir,
    serve: Callable[[Server], Server],
    browser: Browser,
    kept: Path,
) -> None:
    artifacts = tmp_path / "artifacts"
    server = serve(mlflow_server(tmp_path, "server", "--artifacts-destination", artifacts.as_uri()))
    report = sync_search(server.url, search)
    assert (report.trials, report.status) == (11, "FINISHED")

    # The list of runs: the search alone, and its trials under it when it is unfolded.
    experiment = report.view.split("/experiments/")[1].split("/")[0]
    browser.open(f"{server.url}/#/experiments/{experiment}/runs")
    listed = """
        const found = [...document.querySelectorAll('[role=gridcell] a')].map(a => a.textContent);
        return found.length >= arguments[0] && found;
    """
    assert browser.wait_for(listed, 1) == ["annealing"]
    browser.click("//*[@role='gridcell'][.//a[.='annealing']]//button")
    names = {row.trial for row in search.rows()}
    found = browser.wait_for(listed, 1 + len(names))
    (winner,) = [name for name in found if name.endswith(" (winner)")]
    assert {*found, winner.removesuffix(" (winner)")} == {"annealing", *names, winner}
    browser.screenshot(kept / "mlflow-search-runs.png")

    # The views that the recorder left, the best run first: the finals, and stage one.
    views = {
        "mlflow-search-view": (report.view, "(winner)"),
        "mlflow-search-stage-one": (
            report.view.replace("=ssgan&", "=ssgan-stage-one&"),
            "Parallel Coordinates",
        ),
    }
    for name, (view, own) in views.items():
        browser.open(server.url + view)
        for shown in (own, "zero_one_loss_ema", "samples_ema"):
            browser.wait_for("return document.body.innerText.includes(arguments[0])", shown)
        browser.wait_for("return document.querySelectorAll('.js-plotly-plot').length >= 1")
        browser.wait_for(
            "return [...document.images].filter(image => image.naturalWidth > 0"
            " && decodeURIComponent(image.src).includes('samples_ema+step+')).length >= 2"
        )
        browser.screenshot(kept / f"{name}.png")

    # The parent's page: description, then the report among the artifacts.
    run = f"{server.url}/#/experiments/{experiment}/runs/{report.mlflow_run_id}"
    browser.open(run)
    browser.wait_for("return document.body.innerText.includes('Finals, scored by another judge')")
    browser.screenshot(kept / "mlflow-search.png")
    browser.open(f"{run}/artifacts/report/contact-sheet.html")
    browser.wait_for("return document.querySelector('iframe[src^=blob]') !== null")
    browser.screenshot(kept / "mlflow-contact-sheet.png")
