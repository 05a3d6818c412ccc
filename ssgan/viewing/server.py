"""The page of ``ssgan view``: what `ssgan.base.local_server` serves on 127.0.0.1."""

import json
from collections.abc import Awaitable, Callable
from hashlib import sha256

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ssgan.base.errors import BadInput
from ssgan.base.json_text import read_json
from ssgan.base.local_server import read_body
from ssgan.viewing.view import View


def make_app(view: View) -> ASGIApp:
    """Return the application: the page, what training says, and the pictures."""

    def page(request: Request) -> Response:
        made = view.page()
        policy = f"{made.policy}; frame-ancestors 'none'"
        return Response(
            made.content, media_type="text/html", headers={"Content-Security-Policy": policy}
        )

    def state(request: Request) -> Response:
        try:
            content = json.dumps(view.state(), allow_nan=False).encode()
        except (BadInput, OSError) as error:
            return PlainTextResponse(str(error), 503)
        tag = f'"{sha256(content).hexdigest()}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304)
        return Response(content, media_type="application/json", headers={"ETag": tag})

    def picture(request: Request) -> Response:
        try:
            found = view.picture(request.path_params["epoch"], request.path_params["name"])
        except (BadInput, OSError) as error:
            return PlainTextResponse(str(error), 503)
        if found is None:
            return PlainTextResponse("there is no such picture", 404)
        return Response(found, media_type="image/png")

    routes = [
        Route("/", page),
        Route("/state", state),
        Route("/picture/{epoch:int}/{name}", picture),
        Route("/image", _drawing(view), methods=["POST"]),
        Route("/favicon.ico", lambda request: Response(status_code=204)),
    ]
    return Starlette(routes=routes)


def _drawing(view: View) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that draws a picture; what cannot be drawn is said with status 400."""

    async def image(request: Request) -> Response:
        body = await read_body(request)
        if body is None:
            return PlainTextResponse("too long", 413)
        try:
            return JSONResponse(await run_in_threadpool(view.draw, read_json(body)))
        except ValueError as error:
            return PlainTextResponse(str(error), 400)

    return image
