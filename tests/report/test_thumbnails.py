"""A page carries the pictures that fit it, the last one of each trial before all others."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.records.histories import Histories, History
from ssgan.records.searchdir import SearchDir
from ssgan.report.thumbnails import Thumbnails
from tests.helpers.searchdirs import fill_search, make_search


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
    assert chosen.width == 200


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
    monkeypatch.setattr("ssgan.report.thumbnails.thumbnail", lambda *_: pytest.fail("made again"))
    assert thumbnails.select(histories, 10**7) == first


def test_trials_without_pictures(tmp_path: Path) -> None:
    assert Thumbnails().select([], 100).epochs == []
