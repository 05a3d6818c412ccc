"""Announcements of clouds, asked of servers that are as strict as theirs."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ssgan.cluster import spot
from ssgan.cluster.spot import Announcement, ask_aws, ask_gcp, main, wait_and_drain
from tests.helpers.metadata import AWS_ACTION, AWS_REBALANCE, GCP_PREEMPTED, MetadataServer


@pytest.fixture
def announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of what the metadata services announce; they run."""
    server = MetadataServer("127.0.0.1", 0, tmp_path)
    place = f"127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{place}/")
    monkeypatch.setenv("GCE_METADATA_HOST", place)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield tmp_path
    server.shutdown()
    server.server_close()
    thread.join()


def action(seconds: float) -> str:
    when = datetime.now(UTC) + timedelta(seconds=seconds)
    return json.dumps({"action": "terminate", "time": when.strftime("%Y-%m-%dT%H:%M:%SZ")})


def test_aws_takes_a_machine_back_at_a_time_or_recommends_to_leave(announced: Path) -> None:
    assert ask_aws() is None
    (announced / AWS_REBALANCE).write_text(json.dumps({"noticeTime": "2020-10-27T08:22:00Z"}))
    recommended = ask_aws()
    assert recommended is not None
    assert recommended.seconds is None
    (announced / AWS_ACTION).write_text(action(120))
    found = ask_aws()
    assert found is not None
    assert found.reason.startswith("AWS will terminate this machine at 20")
    assert found.seconds is not None
    assert 90 < found.seconds <= 120
    (announced / AWS_ACTION).write_text(action(-5))
    late = ask_aws()
    assert late is not None
    assert late.seconds == 0


def test_gcp_takes_a_machine_back(announced: Path) -> None:
    (announced / GCP_PREEMPTED).write_text("FALSE\n")
    assert ask_gcp() is None
    (announced / GCP_PREEMPTED).write_text("TRUE\n")
    assert ask_gcp() == Announcement("GCP takes this machine back", 30)


def test_a_silent_service_is_asked_on_and_named_once(
    announced: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([OSError("no route"), OSError("no route"), None, Announcement("gone", 7)])
    drained: list[Announcement] = []

    def ask() -> Announcement | None:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(spot, "_POLL", 0)
    monkeypatch.setattr(spot, "drain", drained.append)
    with caplog.at_level(logging.WARNING):
        wait_and_drain(ask)
    assert drained == [Announcement("gone", 7)]
    assert caplog.text.count("no route") == 1


def test_an_unknown_cloud_is_refused() -> None:
    with pytest.raises(SystemExit, match="aws or gcp"):
        main(["azure"])


def test_the_program_needs_neither_torch_nor_ray_while_it_waits(announced: Path) -> None:
    code = "import sys, ssgan.cluster.spot; print({'torch', 'ray', 'numpy'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
