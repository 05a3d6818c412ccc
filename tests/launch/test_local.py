import os
import signal
import threading

import torch

from ssgan.launch.local import stop_on_sigterm, use_threads


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


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
