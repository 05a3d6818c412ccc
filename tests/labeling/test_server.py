"""The page's server: who is let in, and what requests do."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import uvicorn

from ssgan.base.errors import BadInput
from ssgan.labeling.server import HOST, listen, make_app
from ssgan.labeling.session import Session
from tests.labeling.conftest import Open

TOKEN = "the-token"


class Page(NamedTuple):
    """A page that is served."""

    session: Session
    port: int

    def request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a request as the page does, but for some headers; empty ones are left out."""
        own = {"Host": f"{HOST}:{self.port}", "Cookie": f"ssgan-label-{self.port}={TOKEN}"}
        if method == "POST":
            own["Origin"] = f"http://{HOST}:{self.port}"
        own |= {name.replace("_", "-"): text for name, text in headers.items()}
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            sent = {name: text for name, text in own.items() if text}
            connection.request(method, path, None if method == "GET" else json.dumps(body), sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        status, _, content = self.request("POST", path, body)
        return status, json.loads(content)

    def answer(self, kind: str, value: str = "") -> tuple[int, dict[str, Any]]:
        asked = json.loads(self.request("GET", "/state")[2])["question"]
        given = {"picture": asked["picture"], "column": asked["column"]}
        return self.post("/answer", {**given, "kind": kind, "value": value})


@pytest.fixture
def page(opened: Open) -> Iterator[Page]:
    """The page of a session, served by a thread."""
    session, listener = opened(), listen(None)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        make_app(session, TOKEN, port), log_level="warning", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Page(session, port)
    server.should_exit = True
    thread.join()


def test_the_address_with_its_token_opens_the_page_and_leaves_a_cookie(page: Page) -> None:
    status, headers, content = page.request("GET", f"/?token={TOKEN}", Cookie="")
    assert status == 200
    assert b"<title>ssgan label</title>" in content
    assert headers["Set-Cookie"].startswith(f"ssgan-label-{page.port}={TOKEN};")
    assert "httponly" in headers["Set-Cookie"].lower()
    assert "samesite=strict" in headers["Set-Cookie"].lower()
    for path, kind in (("/label.js", "text/javascript"), ("/label.css", "text/css")):
        status, headers, content = page.request("GET", path)
        assert status == 200
        assert headers["Content-Type"].startswith(kind)
        assert b"://" not in content


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": ""},
        {"Cookie": "ssgan-label-1=the-token"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
def test_requests_of_others_are_refused(page: Page, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/state"), ("GET", "/large/0"), ("POST", "/undo")):
        status, answered, content = page.request(method, path, {}, **headers)
        assert status == 403
        assert page.session.heap.names[0].encode() not in content
        assert "default-src 'none'" in answered["Content-Security-Policy"]
        assert page.request(method, path, {})[0] in (200, 409)


def test_a_token_in_the_address_opens_nothing_but_the_page(page: Page) -> None:
    assert page.request("GET", f"/state?token={TOKEN}", Cookie="")[0] == 403
    assert page.request("GET", "/?token=other", Cookie="")[0] == 403
    assert page.request("POST", "/undo", {}, Origin="")[0] == 403


def test_everything_is_sent_with_a_strict_policy(page: Page) -> None:
    for path in (f"/?token={TOKEN}", "/state", "/small/0", "/nothing"):
        headers = page.request("GET", path)[1]
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"


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
    assert page.request("POST", "/answer", body)[0] == 400
    assert page.request("POST", "/answer", {"value": "x" * 20_000})[0] == 413
    assert not page.session.answers.path.exists()


def test_pictures_are_pngs_and_a_missing_one_is_no_server_error(page: Page) -> None:
    for kind in ("large", "small"):
        status, headers, content = page.request("GET", f"/{kind}/0")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert content.startswith(b"\x89PNG")
        assert page.request("GET", f"/{kind}/40")[0] == 404


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BadInput, match=rf"the port {port} cannot be used .* choose another"):
            listen(port)


def test_it_listens_on_this_machine_alone() -> None:
    with listen(None) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
