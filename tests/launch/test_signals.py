"""SIGTERM as a flag, and as a Ctrl-C, also where Ctrl-C is ignored."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from ssgan.launch.signals import handling, interrupt, stop_on_sigterm


@pytest.fixture
def restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_is_handed_to_who_waits_for_ctrl_c(restored: None) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    with handling(signal.SIGTERM, interrupt):
        signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGINT]


def test_a_background_job_that_ignores_ctrl_c_is_interrupted_all_the_same(restored: None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with handling(signal.SIGTERM, interrupt), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_the_handler_before_is_back_after_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with handling(signal.SIGTERM, interrupt):
        assert signal.getsignal(signal.SIGTERM) is interrupt
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_first_sigterm_is_a_flag_and_the_second_does_what_it_did() -> None:
    heard: list[int] = []
    outer = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with stop_on_sigterm() as raised:
            assert not raised()
            os.kill(os.getpid(), signal.SIGTERM)
            assert raised()
            assert heard == []
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, outer)


def test_outside_the_main_thread_the_flag_stays_down() -> None:
    found: list[bool] = []

    def look() -> None:
        with stop_on_sigterm() as raised:
            found.append(raised())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [False]
