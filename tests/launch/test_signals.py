"""SIGTERM as a Ctrl-C, also where Ctrl-C is ignored."""

import signal
from collections.abc import Iterator

import pytest

from ssgan.launch.signals import handling, interrupt


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
