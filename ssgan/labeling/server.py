"""The page of ``ssgan label``: what `ssgan.base.local_server` serves on 127.0.0.1."""

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ssgan.base.errors import BadInput, LeaseLost
from ssgan.base.local_server import read_body
from ssgan.labeling.session import Session

_PAGE = resources.files("ssgan.labeling") / "page"
_TYPES = {"label.css": "text/css", "label.js": "text/javascript"}


def make_app(session: Session) -> ASGIApp:
    """Return the application: the page, its pictures, and what its keys do."""

    def page(request: Request) -> Response:
        return Response((_PAGE / "label.html").read_bytes(), media_type="text/html")

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
    return Starlette(routes=routes)


def _acting(session: Session, act: Callable[[dict[str, Any]], None]) -> Callable[..., Any]:
    """Return an endpoint that does something, and answers with the state that it leads to.

    What cannot be done is said beside the state, with the status 409.
    """

    async def endpoint(request: Request) -> Response:
        body = await read_body(request)
        if body is None:
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
