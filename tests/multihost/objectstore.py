"""An object store on the desk: moto's S3 server, which the hosts reach over the bridge."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hosts import Host, wait_until

PORT = 9000
BUCKET = "proof"
KEYS = {
    "AWS_ACCESS_KEY_ID": "proof",
    "AWS_SECRET_ACCESS_KEY": "proof",
    "AWS_DEFAULT_REGION": "us-east-1",
}
# What this program asks stands in namespaces of its own, so a small one asks for it there.
_ASK = "import sys, urllib.request as u; r = u.Request(sys.argv[2], method=sys.argv[1]); "
_ASK += "sys.stdout.buffer.write(u.urlopen(r, timeout=20).read())"


class ObjectStore:
    """A bucket, seen from outside of all hosts.

    Args:
        desk: Where the server runs.
    """

    def __init__(self, desk: Host) -> None:
        self._desk = desk
        self.endpoint = f"http://{desk.address}:{PORT}"
        self._ask("PUT", "")

    def locate(self, path: str) -> str:
        """Return the URI of a folder in the bucket, as users write it."""
        return f"s3://{BUCKET}/{path}?endpoint_override={self.endpoint}&region=us-east-1"

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects below a folder, without it."""
        found: list[str] = []
        while True:  # a thousand at a time
            after = f"&start-after={found[-1]}" if found else ""
            page = self._ask("GET", f"?list-type=2&prefix={prefix}/{after}").decode()
            found += re.findall(r"<Key>([^<]*)</Key>", page)
            if "<IsTruncated>true" not in page:
                return [key.removeprefix(f"{prefix}/") for key in found]

    def _ask(self, method: str, what: str) -> bytes:
        command = [sys.executable, "-Sc", _ASK, method, f"{self.endpoint}/{BUCKET}{what}"]
        return subprocess.run(
            self._desk.command(command), check=True, capture_output=True, timeout=60
        ).stdout


@contextmanager
def run_object_store(desk: Host, log: Path) -> Iterator[ObjectStore]:
    """Run the server on the desk."""
    command = [sys.executable, "-m", "moto.server", "-H", desk.address, "-p", str(PORT)]
    with log.open("wb") as file:
        process = subprocess.Popen(desk.command(command), stdout=file, stderr=file)
    made: list[ObjectStore] = []

    def answers() -> bool:
        try:
            made.append(ObjectStore(desk))
        except subprocess.CalledProcessError:
            return False
        return True

    try:
        wait_until(answers, "the object store to answer", 60)
        yield made[-1]
    finally:
        process.kill()
        process.wait()
