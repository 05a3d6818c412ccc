"""The page of ``ssgan label``: a server on 127.0.0.1, for the one who started it and nobody else.

Every request needs the token that is in the address, which the page keeps as a cookie; those that
another page makes, or that come under another host's name, are refused. The page loads nothing
from elsewhere, and could not: its content security policy allows this server alone.
"""

import contextlib
import hmac
import json
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from importlib import resources
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ssgan.base.errors import BadInput, LeaseLost
from ssgan.labeling.session import Session

HOST = "127.0.0.1"
_MOST = 10_000  # bytes of a request's body
_GRACE = 2  # seconds that requests have to end when the server does
_PAGE = resources.files("ssgan.labeling") / "page"
_TYPES = {"label.css": "text/css", "label.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def listen(port: int | None) -> socket.socket:
    """Listen on a port of this machine alone; None is any that is free.

    Raises:
        BadInput: It is taken, or may not be used.
    """
    listener = socket.socket()
    # A server that was killed leaves connections behind, which must not keep its port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port or 0))
        listener.listen()
    except OSError as error:
        listener.close()
        raise BadInput(
            f"the port {port} cannot be used ({error.strerror}); choose another --port, or leave "
            "it out for a free one"
        ) from error
    return listener


def serve(
    session: Session, listener: socket.socket, told: Callable[[str], object], *, opens: bool
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        session: What is asked.
        listener: From `listen`.
        told: Given the address of the page.
        opens: Open it in the user's browser.
    """
    token, port = secrets.token_urlsafe(24), listener.getsockname()[1]
    address = f"http://{HOST}:{port}/?token={token}"
    config = uvicorn.Config(
        make_app(session, token, port),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    told(address)
    if opens:  # it may wait for the browser, or for ever in one of text
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def make_app(session: Session, token: str, port: int) -> ASGIApp:
    """Return the application: the page, its pictures, and what its keys do."""

    def page(request: Request) -> Response:
        answer = Response((_PAGE / "label.html").read_bytes(), media_type="text/html")
        if "token" in request.query_params:
            answer.set_cookie(_cookie(port), token, httponly=True, samesite="strict")
        return answer

    def file(request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        return Response((_PAGE / name).read_bytes(), media_type=_TYPES[name])

    def state(request: Request) -> Response:
        return JSONResponse(session.state())

    def picture(request: Request) -> Response:
        row = request.path_params["row"]
        if not row < len(session.heap):
            return PlainTextResponse("there is no such picture", 404)
        read = session.heap.large if request.url.path.startswith("/large") else session.heap.small
        try:
            return Response(read(row), media_type="image/png")
        except BadInput as error:
            return PlainTextResponse(str(error), 404)

    def answer(given: dict[str, Any]) -> None:
        kind = given["kind"]
        if kind not in ("class", "new", "number", "none", "unsure"):
            raise BadInput(f"there is no kind of answer {kind!r}")
        session.answer(int(given["picture"]), str(given["column"]), kind, str(given["value"]))

    def undo(given: dict[str, Any]) -> None:
        session.undo()

    def again(given: dict[str, Any]) -> None:
        session.ask_again(int(given["picture"]))

    routes = [
        Route("/", page),
        *(Route(f"/{name}", file) for name in _TYPES),
        Route("/state", state),
        Route("/large/{row:int}", picture),
        Route("/small/{row:int}", picture),
        Route("/favicon.ico", lambda request: Response(status_code=204)),
        *(
            Route(f"/{act.__name__}", _acting(session, act), methods=["POST"])
            for act in (answer, undo, again)
        ),
    ]
    return _Guard(Starlette(routes=routes), token, port)


def _acting(session: Session, act: Callable[[dict[str, Any]], None]) -> Callable[..., Any]:
    """Return an endpoint that does something, and answers with the state that it leads to.

    What cannot be done is said beside the state, with the status 409.
    """

    async def endpoint(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST:
                return PlainTextResponse("too long", 413)

        def run() -> Response:
            try:
                act(json.loads(body))
            except (BadInput, LeaseLost) as error:
                return JSONResponse({**session.state(), "error": str(error)}, 409)
            except (ValueError, KeyError, TypeError):
                return PlainTextResponse("not a request of this page", 400)
            return JSONResponse(session.state())

        return await run_in_threadpool(run)

    return endpoint


class _Guard:
    """Lets in only requests of the page itself, and gives every answer its headers."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token, self._cookie = app, token, _cookie(port)
        self._hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), text.encode()) for name, text in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        refusal = self._refuse(Headers(scope=scope), scope)
        answer = self._app if refusal is None else PlainTextResponse(refusal, 403)
        await answer(scope, receive, send_with_headers)

    def _refuse(self, headers: Headers, scope: Scope) -> str | None:
        """Say why a request is refused; None if it is not."""
        if headers.get("host") not in self._hosts:
            return "this server answers to 127.0.0.1 alone"
        origin = headers.get("origin")
        if (origin is not None or scope["method"] != "GET") and origin not in self._origins:
            return "another page may ask nothing here"
        is_foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if is_foreign and scope["path"] != "/":  # a link to the page may stand anywhere
            return "another page may ask nothing here"
        if not self._knows_token(headers, scope):
            return "the address lacks its token; open the one that `ssgan label` has printed"
        return None

    def _knows_token(self, headers: Headers, scope: Scope) -> bool:
        request = Request(scope)
        given = [request.cookies.get(self._cookie, "")]
        if scope["path"] == "/":
            given += request.query_params.getlist("token")
        return any(hmac.compare_digest(one.encode(), self._token.encode()) for one in given)


def _cookie(port: int) -> str:
    """Name the cookie; browsers give one to all ports of a host."""
    return f"ssgan-label-{port}"
