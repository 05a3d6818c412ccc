"""An object store on this machine: moto's S3 server, which counts, delays and refuses requests."""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

_BUSY = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""


class Request(NamedTuple):
    """What a client asked for."""

    method: str
    path: str
    """The bucket and the key, with the query."""


class Bucket:
    """A bucket of its own on a server of its own."""

    def __init__(self) -> None:
        self.delay = 0.0
        """Seconds that each answer takes longer."""
        self.refuse_every = 0
        """Every so manyth request is answered by 503; 0 is none."""
        self.is_open = threading.Event()
        """No request is answered while this is not set."""
        self.is_open.set()
        self.requests: list[Request] = []
        self.then: Callable[[Request], object] = lambda request: None
        """Called when a request is served, before its answer goes out."""
        self.refused = 0
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=Silent
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.name = f"bucket-{uuid.uuid4().hex[:8]}"
        self.client: Any = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")
        self.client.create_bucket(Bucket=self.name)
        self.requests.clear()

    def locate(self, path: str) -> str:
        """Return the URI of a folder in the bucket, with what pyarrow has to be told."""
        return f"s3://{self.name}/{path}?endpoint_override={self.endpoint}&region=us-east-1"

    def list_keys(self) -> list[str]:
        """Return the keys of all objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        with self._lock:
            asked = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"] + query)
            self.requests.append(asked)
            count = len(self.requests)
        self.is_open.wait()
        time.sleep(self.delay)
        if self.refuse_every and count % self.refuse_every == 0:
            self.refused += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [_BUSY]
        answer: Iterable[bytes] = self._moto(environ, start_response)
        self.then(asked)
        return answer


class Silent(WSGIRequestHandler):
    """Keeps requests off the screen, and connections open."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def running_bucket(secret: str = "testing") -> Iterator[Bucket]:
    """Run a bucket, with the credentials for it in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        bucket = Bucket()
        try:
            yield bucket
        finally:
            bucket.close()
