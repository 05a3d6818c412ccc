"""A page on 127.0.0.1, for the one who started its server and nobody else.

Every request needs the token that is in the address, which the page keeps as a cookie; those that
another page makes, or that come under another host's name, are refused. The page loads nothing
from elsewhere, and could not: its content security policy allows this server alone.

It needs starlette and uvicorn, which the extra `train` brings.
"""

import contextlib
import hmac
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ssgan.base.errors import BadInput

HOST = "127.0.0.1"
_MOST = 10_000  # bytes of a request's body
_GRACE = 2  # seconds that requests have to end when the server does
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
    app: ASGIApp,
    program: str,
    listener: socket.socket,
    told: Callable[[str], object],
    *,
    opens: bool,
) -> None:
    """Serve a page and what it asks for until Ctrl-C.

    Args:
        app: What answers the requests that are let in; the page is at ``/``.
        program: The command that the user gave, such as "ssgan label".
        listener: From `listen`.
        told: Given the address of the page.
        opens: Open it in the user's browser.
    """
    token, port = secrets.token_urlsafe(24), listener.getsockname()[1]
    address = f"http://{HOST}:{port}/?token={token}"
    server = uvicorn.Server(configure(Guard(app, program, token, port)))
    told(address)
    if opens:  # it may wait for the browser, or for ever in one of text
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def configure(app: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn serves an application: quietly, and without its own name."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )


async def read_body(request: Request) -> bytes | None:
    """Read the body of a request; None if it is longer than any that a page sends."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST:
            return None
    return body


class Guard:
    """Lets in only requests of the page itself, and gives every answer its headers.

    An answer that has one of these headers keeps its own.
    """

    def __init__(self, app: ASGIApp, program: str, token: str, port: int) -> None:
        """Guard an application that listens on a port; `program` is what the user started."""
        self._app, self._program, self._token = app, program, token
        # Browsers give a cookie to all ports of a host.
        self._cookie = f"{program.replace(' ', '-')}-{port}"
        self._hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self._refuse(Headers(scope=scope), scope)
        wanted = dict(_HEADERS)
        if refusal is None and scope["path"] == "/" and "token" in Request(scope).query_params:
            wanted["Set-Cookie"] = (
                f"{self._cookie}={self._token}; HttpOnly; Path=/; SameSite=strict"
            )

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                own = [(name.lower().encode(), text.encode()) for name, text in wanted.items()]
                own = [(name, text) for name, text in own if name not in given]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

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
            return f"the address lacks its token; open the one that `{self._program}` has printed"
        return None

    def _knows_token(self, headers: Headers, scope: Scope) -> bool:
        request = Request(scope)
        given = [request.cookies.get(self._cookie, "")]
        if scope["path"] == "/":
            given += request.query_params.getlist("token")
        return any(hmac.compare_digest(one.encode(), self._token.encode()) for one in given)
