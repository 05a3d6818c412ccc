"""Drain this machine of a Ray cluster once its cloud says that it takes it back.

::

    python -m ssgan.cluster.spot aws      # or gcp; cluster.yaml starts it on every worker

A machine that drains gets no more work, and what trains on it writes a checkpoint and goes on
elsewhere (`ssgan.launch.preemption`). AWS announces two minutes before, with a recommendation to
leave often sooner; GCP announces 30 seconds before. Where their services are is for
``AWS_EC2_METADATA_SERVICE_ENDPOINT`` and ``GCE_METADATA_HOST`` to say, as for their own libraries.
"""

import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

_POLL = 5.0  # seconds between two questions; AWS asks for no more
_PATIENCE = 2.0  # seconds for an answer: the service is next to the machine
_TOKEN_SECONDS = 300

_log = logging.getLogger(__name__)


class Announcement(NamedTuple):
    """That a machine is taken back."""

    reason: str
    seconds: int | None
    """How long it has; None where nobody knows."""


def ask_aws() -> Announcement | None:
    """Ask EC2's metadata service (IMDSv2) whether this spot instance is taken back.

    Raises:
        OSError: It does not answer.
    """
    place = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")
    latest = f"{place.rstrip('/')}/latest"
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
    token = _read(f"{latest}/api/token", lifetime, "PUT")
    headers = {"X-aws-ec2-metadata-token": token or ""}
    found = _read(f"{latest}/meta-data/spot/instance-action", headers)
    if found is not None:
        action = json.loads(found)
        until = datetime.fromisoformat(action["time"]) - datetime.now(UTC)
        return Announcement(
            f"AWS will {action['action']} this machine at {action['time']}",
            max(0, int(until.total_seconds())),
        )
    found = _read(f"{latest}/meta-data/events/recommendations/rebalance", headers)
    return None if found is None else Announcement("AWS recommends to leave this machine", None)


def ask_gcp() -> Announcement | None:
    """Ask Compute Engine's metadata server whether this spot machine is taken back.

    Raises:
        OSError: It does not answer.
    """
    place = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    url = f"http://{place}/computeMetadata/v1/instance/preempted"
    is_taken = (_read(url, {"Metadata-Flavor": "Google"}) or "").strip() == "TRUE"
    return Announcement("GCP takes this machine back", 30) if is_taken else None


CLOUDS: dict[str, Callable[[], Announcement | None]] = {"aws": ask_aws, "gcp": ask_gcp}
"""Who is asked on which cloud."""


def drain(announcement: Announcement) -> None:
    """Let this machine's node of Ray drain.

    Raises:
        subprocess.CalledProcessError: Ray does not run here, or refused.
    """
    # Ray's own command finds this node and its head, and keeps Ray out of this small process.
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node"]
    command += ["--reason", "DRAIN_NODE_REASON_PREEMPTION"]
    command += ["--reason-message", announcement.reason]
    if announcement.seconds is not None:
        command += ["--deadline-remaining-seconds", str(announcement.seconds)]
    subprocess.run(command, check=True)


def wait_and_drain(ask: Callable[[], Announcement | None]) -> None:
    """Ask until the machine is taken back, then drain it; a service that is silent is asked on."""
    is_silent = False
    while True:
        try:
            announcement = ask()
            if announcement is not None:
                _log.warning("%s; it drains", announcement.reason)
                drain(announcement)
                return
            is_silent = False
        except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
            if not is_silent:
                _log.warning("cannot ask, or drain: %s; I keep trying", error)
            is_silent = True
        time.sleep(_POLL)


def main(arguments: list[str]) -> None:
    """Wait for the announcement of the cloud that is named."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    if len(arguments) != 1 or arguments[0] not in CLOUDS:
        raise SystemExit(f"say which cloud this machine is of: {' or '.join(CLOUDS)}")
    wait_and_drain(CLOUDS[arguments[0]])


def _read(url: str, headers: dict[str, str], method: str = "GET") -> str | None:
    """Return what a metadata service has at an address; None where it has nothing."""
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            content: bytes = answer.read()
            return content.decode()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
