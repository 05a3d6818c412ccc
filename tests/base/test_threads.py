import os

import pytest
import torch

from ssgan.base.threads import cores, has_spare_core, use_threads

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_this_machine_has_a_core() -> None:
    assert cores() >= 1


@pytest.mark.parametrize(
    ("usable", "threads", "processes", "expected"),
    [(1, 1, 1, False), (2, 1, 1, True), (2, 2, 1, False), (8, 2, 4, False), (8, 2, 3, True)],
)
def test_a_core_is_spare_where_threads_and_processes_leave_one(
    usable: int, threads: int, processes: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(usable))
    assert cores() == usable
    with use_threads(threads):
        assert has_spare_core(CPU, processes) is expected


def test_a_process_with_a_gpu_keeps_one_core_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2))
    with use_threads(2):
        assert has_spare_core(GPU)
        assert not has_spare_core(GPU, 2)


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
