"""The page's server: what its requests do."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ssgan.labeling.server import make_app
from ssgan.labeling.session import Session
from tests.helpers.local_pages import LocalPage, serving
from tests.labeling.conftest import Open


class Page(NamedTuple):
    """A page that is served."""

    session: Session
    server: LocalPage

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        status, _, content = self.server.request("POST", path, body)
        return status, json.loads(content)

    def answer(self, kind: str, value: str = "") -> tuple[int, dict[str, Any]]:
        asked = json.loads(self.server.request("GET", "/state")[2])["question"]
        given = {"picture": asked["picture"], "column": asked["column"]}
        return self.post("/answer", {**given, "kind": kind, "value": value})


@pytest.fixture
def page(opened: Open) -> Iterator[Page]:
    """The page of a session, served by a thread."""
    session = opened()
    with serving(make_app(session), "ssgan label") as server:
        yield Page(session, server)


def test_the_page_and_its_files_name_no_other_place(page: Page) -> None:
    status, _, content = page.server.request("GET", "/")
    assert status == 200
    assert b"<title>ssgan label</title>" in content
    for path, kind in (("/label.js", "text/javascript"), ("/label.css", "text/css")):
        status, headers, content = page.server.request("GET", path)
        assert status == 200
        assert headers["Content-Type"].startswith(kind)
        assert b"://" not in content


def test_answers_and_undo_lead_to_the_next_state(page: Page) -> None:
    status, state = page.answer("new", "circle")
    assert status == 200
    assert (state["answers"], state["undo"]) == (1, True)
    assert page.session.answers.counts("shape") == {"circle": 1}
    first = state["recent"][0]["picture"]
    status, state = page.post("/again", {"picture": first})
    assert state["question"]["picture"] == first
    status, state = page.post("/undo", {})
    assert (status, state["answers"]) == (200, 0)


def test_what_cannot_be_done_is_said_beside_the_state(page: Page) -> None:
    status, state = page.answer("class", "square")
    assert status == 409
    assert state["error"] == "'square' is not a class of shape"
    assert state["question"] is not None
    status, state = page.post("/undo", {})
    assert status == 409
    assert "no answer of this session" in state["error"]


@pytest.mark.parametrize(
    "body", [None, [], {"picture": 1}, {"picture": "x", "column": "shape", "kind": "class"}]
)
def test_requests_that_make_no_sense_change_nothing(page: Page, body: Any) -> None:
    assert page.server.request("POST", "/answer", body)[0] == 400
    assert page.server.request("POST", "/answer", {"value": "x" * 20_000})[0] == 413
    assert not page.session.answers.path.exists()


def test_pictures_are_pngs_and_a_missing_one_is_no_server_error(page: Page) -> None:
    for kind in ("large", "small"):
        status, headers, content = page.server.request("GET", f"/{kind}/0")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert content.startswith(b"\x89PNG")
        assert page.server.request("GET", f"/{kind}/40")[0] == 404
