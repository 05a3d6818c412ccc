"""The guard of a page on this machine: who is let in, and with which headers answers go out."""

import socket
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ssgan.base.errors import BadInput
from ssgan.base.local_server import HOST, listen, read_body
from tests.helpers.local_pages import TOKEN, LocalPage, serving

SECRET = "what nobody else may read"


@pytest.fixture(scope="module")
def page() -> Iterator[LocalPage]:
    """A page with a secret, which has a policy of its own at one address."""

    async def post(request: Request) -> Response:
        body = await read_body(request)
        return PlainTextResponse("too long", 413) if body is None else PlainTextResponse(SECRET)

    own = {"Content-Security-Policy": "default-src 'none'"}
    routes = [
        Route("/", lambda request: PlainTextResponse(SECRET)),
        Route("/state", lambda request: PlainTextResponse(SECRET)),
        Route("/strict", lambda request: PlainTextResponse(SECRET, headers=own)),
        Route("/post", post, methods=["POST"]),
    ]
    with serving(Starlette(routes=routes), "ssgan label") as page:
        yield page


def test_the_address_with_its_token_opens_the_page_and_leaves_a_cookie(page: LocalPage) -> None:
    status, headers, content = page.request("GET", f"/?token={TOKEN}", Cookie="")
    assert (status, content) == (200, SECRET.encode())
    assert headers["Set-Cookie"].startswith(f"ssgan-label-{page.port}={TOKEN};")
    assert "httponly" in headers["Set-Cookie"].lower()
    assert "samesite=strict" in headers["Set-Cookie"].lower()
    assert page.request("GET", "/")[1]["Set-Cookie"] is None


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
def test_requests_of_others_are_refused(page: LocalPage, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/state"), ("POST", "/post")):
        status, answered, content = page.request(method, path, {}, **headers)
        assert status == 403
        assert SECRET.encode() not in content
        assert "default-src 'none'" in answered["Content-Security-Policy"]
        assert page.request(method, path, {})[0] == 200


def test_a_token_in_the_address_opens_nothing_but_the_page(page: LocalPage) -> None:
    status, headers, content = page.request("GET", f"/state?token={TOKEN}", Cookie="")
    assert (status, headers["Set-Cookie"]) == (403, None)
    assert b"open the one that `ssgan label` has printed" in content
    assert page.request("GET", "/?token=other", Cookie="")[0] == 403
    assert page.request("POST", "/post", {}, Origin="")[0] == 403


def test_everything_is_sent_with_a_strict_policy(page: LocalPage) -> None:
    for path in (f"/?token={TOKEN}", "/state", "/strict", "/nothing"):
        headers = page.request("GET", path)[1]
        (policy,) = headers.get_all("Content-Security-Policy")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert ("'self'" in policy) == (path != "/strict")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_a_body_that_no_page_sends_is_not_read_to_its_end(page: LocalPage) -> None:
    assert page.request("POST", "/post", "x" * 20_000)[0] == 413


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
