"""The contact sheet is one file that needs nothing else, hides nothing and carries what fits.

The last picture of each trial goes before all others.
"""

import base64
import io
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssgan.records.histories import Histories, History
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.report import contact
from ssgan.report.contact import Thumbnails, contact_sheet
from tests.helpers.searchdirs import ANNEALING, LAMBDAS, exploit, fill_search, make_search


def data_of(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return dict(json.loads(text))


@pytest.fixture
def search(tmp_path: Path) -> SearchDir:
    search = make_search(tmp_path, "annealing", {**LAMBDAS, **ANNEALING})
    fill_search(search, trials=6, epochs=5, annealed=True, finals=1)
    return search


def test_every_trial_is_on_the_page_with_its_pictures(search: SearchDir) -> None:
    data = data_of(contact_sheet(search))
    assert data["name"] == "annealing"
    assert data["epochs"] == [1, 2, 3, 4, 5]
    trials = {trial["run"]: trial for trial in data["trials"]}
    assert set(trials) == {row.run for row in search.rows()}
    for row in search.rows():
        shown = trials[row.run]
        assert sorted(map(int, shown["pictures"])) == list(range(1, row.epoch + 1))
        assert [epoch for epoch, _ in shown["curve"]] == list(range(1, row.epoch + 1))
        assert (shown["status"], shown["reason"]) == (row.status, row.reason)
        assert shown["curve"][-1][1] == shown["metric"] == row.metric
    first = trials["trials/00000"]
    assert [field["label"] for field in data["fields"]] == ["lambda1", "lambda2", "probability"]
    assert first["shown"]["label_sampling.probability"].startswith("linear: duration ")
    assert first["values"]["objective.lambda1"] == search.rows()[0].values["objective.lambda1"]
    assert data["note"] is None


def test_the_page_needs_nothing_but_itself(search: SearchDir) -> None:
    page = contact_sheet(search)
    assert not re.findall(r"https?://(?!www\.w3\.org)", page)  # the namespace of SVG is no address
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "default-src 'none'" in page
    assert "<!--" not in page


def test_equal_directories_make_equal_pages(search: SearchDir) -> None:
    assert contact_sheet(search) == contact_sheet(search)


def test_what_does_not_fit_is_said(search: SearchDir) -> None:
    whole = contact_sheet(search)
    room = 2_000 * (len(search.rows()) + 30)
    pictures = sum(map(len, re.findall(r'"data:image/webp;base64,[^"]*"', whole)))
    page = contact_sheet(search, budget=room + pictures // 2)
    data = data_of(page)
    assert len(page) < room + pictures // 2
    missing = 5 - len(data["epochs"])
    assert 0 < missing < 5
    assert data["note"].startswith(f"{missing} of 5 epochs are left out")
    none = data_of(contact_sheet(search, budget=room + 1))
    assert "the pictures of the last 9 trials are left out" in none["note"]
    assert all(not trial["pictures"] for trial in none["trials"])


def test_text_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    search = make_search(tmp_path)
    reason = "</script><script>alert(1)</script><!-- <b>"
    search.write_rows(
        [
            TrialRow(
                trial="00000",
                stage="search",
                values={"networks.norm": "<i>"},
                seed=0,
                status="FAILED",
                reason=reason,
            )
        ]
    )
    page = contact_sheet(search)
    assert "alert(1)</script>" not in page
    (trial,) = data_of(page)["trials"]
    assert trial["reason"] == reason
    assert trial["shown"] == {"networks.norm": "<i>"}


def test_exploits_are_told(tmp_path: Path) -> None:
    search = make_search(tmp_path)
    (row,) = fill_search(search, trials=1, epochs=3)
    lineage = (exploit(2, "00004", objective__lambda1=0.4),)
    search.write_rows([row.model_copy(update={"lineage": lineage})])
    (trial,) = data_of(contact_sheet(search))["trials"]
    assert trial["lineage"] == ["after epoch 2 from 00004: lambda1 0.4"]


def test_a_search_before_its_first_trial_has_a_page(tmp_path: Path) -> None:
    data = data_of(contact_sheet(make_search(tmp_path)))
    assert (data["trials"], data["epochs"]) == ([], [])


def noise(trial: int, epoch: int, loss: float) -> bytes:
    pixels = np.random.default_rng([trial, epoch]).integers(0, 255, (60, 90), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> list[History]:
    search: SearchDir = make_search(tmp_path_factory.mktemp("thumbnails"))
    fill_search(search, trials=6, epochs=7, picture=noise)
    return Histories().read(search)


def last_epochs(histories: list[History]) -> list[int]:
    return [history.row.epoch for history in histories]


def bytes_of(pictures: list[dict[int, str]]) -> int:
    return sum(len(uri) for one in pictures for uri in one.values())


def test_all_pictures_where_there_is_room(histories: list[History]) -> None:
    chosen = Thumbnails().select(histories, 10**7)
    assert chosen.epochs == [1, 2, 3, 4, 5, 6, 7]
    assert [sorted(one) for one in chosen.pictures] == [
        list(range(1, epoch + 1)) for epoch in last_epochs(histories)
    ]
    assert (chosen.all_epochs, chosen.without) == (7, 0)


def test_epochs_are_thinned_out_evenly_and_the_last_stays(histories: list[History]) -> None:
    whole = bytes_of(Thumbnails().select(histories, 10**7).pictures)
    chosen = Thumbnails().select(histories, int(0.85 * whole))
    assert chosen.epochs == [1, 3, 5, 7]
    assert bytes_of(chosen.pictures) <= 0.85 * whole
    assert [max(one) for one in chosen.pictures] == last_epochs(histories)
    assert (chosen.all_epochs, chosen.without) == (7, 0)


def test_without_room_the_first_trials_keep_their_last_picture(histories: list[History]) -> None:
    one = len(next(iter(Thumbnails().select(histories, 10**7).pictures[0].values())))
    chosen = Thumbnails().select(histories, int(2.5 * one))
    assert [len(pictures) for pictures in chosen.pictures] == [1, 1, 0, 0, 0, 0]
    assert chosen.without == 4
    assert chosen.width == 256


def test_pictures_shrink_before_trials_lose_theirs(tmp_path: Path) -> None:
    search = make_search(tmp_path)

    def large(trial: int, epoch: int, loss: float) -> bytes:
        with Image.open(io.BytesIO(noise(trial, epoch, loss))) as image:
            sink = io.BytesIO()
            image.resize((900, 600)).save(sink, "PNG")
            return sink.getvalue()

    fill_search(search, trials=3, epochs=1, picture=large)
    histories, thumbnails = Histories().read(search), Thumbnails()
    full = thumbnails.select(histories, 10**7)
    assert full.width == 640
    small = thumbnails.select(histories, bytes_of(full.pictures))  # the last ones take half of it
    assert small.width < 640
    assert small.without == 0
    webp = base64.b64decode(small.pictures[0][1].partition(",")[2])
    with Image.open(io.BytesIO(webp)) as image:
        assert (image.format, image.size) == ("WEBP", (small.width, small.width * 2 // 3))


def test_a_picture_is_made_once(histories: list[History], monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = Thumbnails()
    first = thumbnails.select(histories, 10**7)
    monkeypatch.setattr("ssgan.report.contact.thumbnail", lambda *_: pytest.fail("made again"))
    assert thumbnails.select(histories, 10**7) == first


def test_pictures_are_read_several_at_a_time(
    search: SearchDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, read = contact_sheet(search), RunDir.read_bytes
    reading: set[int] = set()
    together = []

    def read_slowly(self: RunDir, name: str) -> bytes:
        reading.add(threading.get_ident())
        time.sleep(0.02)
        together.append(len(reading))
        content = read(self, name)
        reading.discard(threading.get_ident())
        return content

    monkeypatch.setattr(RunDir, "read_bytes", read_slowly)
    assert contact_sheet(search) == alone
    assert max(together) > 4


def test_pictures_of_many_are_the_thumbnails_of_their_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = make_search(tmp_path)
    rows = fill_search(search, trials=2, epochs=2)
    for row in rows:
        search.run(row).delete("record")
        for epoch in range(1, row.epoch + 1):
            record = Record(epoch=epoch, step=1, images_seen=1, timestamp_ms=1, metrics={})
            small = f"small {row.trial} {epoch}".encode()
            search.run(row).commit_record(
                record, {"samples_ema": noise(0, 0, 0)}, {"samples_ema": small}
            )
    monkeypatch.setattr(contact, "_MADE", 1)
    monkeypatch.setattr(contact, "thumbnail", lambda *_, **__: pytest.fail("made"))
    chosen = Thumbnails().select(Histories().read(search), 10**6)
    shown = [base64.b64decode(one[2].partition(",")[2]).decode() for one in chosen.pictures]
    assert shown == [f"small {row.trial} 2" for row in rows]
    assert (chosen.width, chosen.epochs) == (256, [1, 2])


def test_a_page_holds_the_finals_and_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = make_search(tmp_path)
    rows = fill_search(search, trials=6, epochs=2, finals=1)
    monkeypatch.setattr(contact, "_MOST", 5)
    data = data_of(contact_sheet(search))
    best = sorted((row for row in rows if row.stage == "search"), key=lambda row: row.metric or 0)
    finals = [row for row in rows if row.stage == "final"]
    assert {trial["run"] for trial in data["trials"]} == {row.run for row in [*finals, *best[:2]]}
    assert data["note"].startswith("the 4 worst trials are left out")


def test_trials_without_pictures(tmp_path: Path) -> None:
    assert Thumbnails().select([], 100).epochs == []
