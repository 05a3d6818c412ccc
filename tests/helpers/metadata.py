"""The metadata services by which AWS and GCP announce that they take a machine back.

``python tests/helpers/metadata.py ADDRESS PORT FOLDER`` serves until it is killed: the file of
the folder that an announcement is named by (`AWS_ACTION` and others) is what is announced.
"""

import secrets
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

AWS_ACTION = "instance-action"
AWS_REBALANCE = "rebalance"
GCP_PREEMPTED = "preempted"

_AWS = "/latest/meta-data"
_FILES = {
    f"{_AWS}/spot/instance-action": AWS_ACTION,
    f"{_AWS}/events/recommendations/rebalance": AWS_REBALANCE,
    "/computeMetadata/v1/instance/preempted": GCP_PREEMPTED,
}


class MetadataServer(ThreadingHTTPServer):
    """Both services at once; without the token or the header that they demand they refuse."""

    daemon_threads = True

    def __init__(self, address: str, port: int, folder: Path) -> None:
        super().__init__((address, port), _Handler)
        self.folder = folder
        self.token = secrets.token_hex(8)


class _Handler(BaseHTTPRequestHandler):
    server: MetadataServer

    def do_PUT(self) -> None:
        lifetime = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        is_token = self.path == "/latest/api/token" and 1 <= int(lifetime) <= 21600
        self._answer(200 if is_token else 400, self.server.token if is_token else "")

    def do_GET(self) -> None:
        is_aws = self.path.startswith(_AWS)
        if is_aws and self.headers["X-aws-ec2-metadata-token"] != self.server.token:
            return self._answer(401)
        if not is_aws and self.headers["Metadata-Flavor"] != "Google":
            return self._answer(403)
        file = self.server.folder / _FILES.get(self.path, "-")
        return self._answer(200, file.read_text()) if file.exists() else self._answer(404)

    def _answer(self, code: int, content: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: what was asked is seen by what was answered."""


if __name__ == "__main__":
    address, port, folder = sys.argv[1:]
    MetadataServer(address, int(port), Path(folder)).serve_forever()
