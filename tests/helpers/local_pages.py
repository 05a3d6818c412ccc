"""A page behind the guard of `ssgan.base.local_server`, and requests as the page sends them."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from ssgan.base.local_server import HOST, Guard, configure, listen

TOKEN = "the-token"


@dataclass(frozen=True)
class LocalPage:
    """A page that a thread serves."""

    port: int
    cookie: str
    """Name of the cookie that holds its token."""

    def request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a request as the page does, but for some headers; empty ones are left out."""
        own = {"Host": f"{HOST}:{self.port}", "Cookie": f"{self.cookie}={TOKEN}"}
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


@contextmanager
def serving(app: ASGIApp, program: str) -> Iterator[LocalPage]:
    """Serve an application behind the guard, whose token is `TOKEN`."""
    listener = listen(None)
    port = listener.getsockname()[1]
    server = uvicorn.Server(configure(Guard(app, program, TOKEN, port)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield LocalPage(port, f"{program.replace(' ', '-')}-{port}")
    finally:
        server.should_exit = True
        thread.join()
