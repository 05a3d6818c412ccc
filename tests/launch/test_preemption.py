"""SIGTERM, and a machine that drains, as a notice to a worker of Ray, which trains in a thread."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import ray
from ray._private.state import state

from ssgan.launch import preemption
from ssgan.launch.preemption import heed_sigterm, watch_for_preemption


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A process of Ray whose own handler notes each SIGTERM; no machine drains."""
    heard: list[int] = []
    monkeypatch.setattr(preemption, "_sigterm", threading.Event())
    monkeypatch.setattr(preemption, "_POLL", 0.01)

    class Context:
        def get_node_id(self) -> str:
            return "node-1"

    monkeypatch.setattr(ray, "get_runtime_context", Context)
    monkeypatch.setattr(state, "get_draining_nodes", dict)
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    yield heard
    signal.signal(signal.SIGTERM, before)


def test_the_first_sigterm_is_a_notice_in_every_thread_and_the_second_ends(
    heard: list[int],
) -> None:
    heed_sigterm()
    found: list[bool] = []

    def train() -> None:
        with watch_for_preemption() as is_taken:
            found.append(is_taken())
            os.kill(os.getpid(), signal.SIGTERM)
            deadline = time.monotonic() + 30
            while not is_taken() and time.monotonic() < deadline:
                time.sleep(0.01)
            found.append(is_taken())

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert (found, heard) == ([False, True], [])
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_a_machine_that_drains_is_a_notice_to_who_stands_on_it(
    heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Semaphore(0)
    draining = {"node-2": 0}

    def get_draining_nodes() -> dict[str, int]:
        asked.release()
        if len(draining) == 1:
            raise ConnectionError("the head is busy")
        return draining

    monkeypatch.setattr(state, "get_draining_nodes", get_draining_nodes)
    with watch_for_preemption() as is_taken:
        for _ in range(2):
            assert asked.acquire(timeout=30)
        draining["node-3"] = 0
        for _ in range(2):
            assert asked.acquire(timeout=30)
        assert not is_taken()
        draining["node-1"] = 0
        deadline = time.monotonic() + 30
        while not is_taken() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_taken()
    assert "preemption" not in {thread.name for thread in threading.enumerate()}
