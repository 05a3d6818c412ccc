"""How many CPU threads torch computes with, and how many cores there are for them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def has_spare_core(device: torch.device, processes: int = 1) -> bool:
    """Whether so many processes, each computing on such a device as this one does, leave a core.

    One that computes on a GPU keeps a core busy with telling it what to do.
    """
    busy = 1 if device.type == "cuda" else torch.get_num_threads()
    return processes * busy < cores()


@contextmanager
def use_threads(threads: int) -> Iterator[None]:
    """Let torch compute with so many CPU threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
