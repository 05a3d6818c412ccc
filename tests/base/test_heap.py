"""The heap that a process keeps, each in a process of its own: it is for good."""

import os
import platform
import subprocess
import sys

import pytest

PAGES = """
import resource
import torch
from ssgan.base.heap import keep_heap

keep_heap()
size = 16 * 2**20  # float32 values, 64 MiB
for _ in range(20):  # blocks are cut until they fit
    torch.ones(size)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> int:
    """Return the page faults of ten tensors, one after the other."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC")}
    done = subprocess.run(
        [sys.executable, "-c", PAGES], capture_output=True, check=True, env={**known, **environment}
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_is_used_again_unless_malloc_was_set_up_otherwise() -> None:
    kept = faults()
    given_back = faults(MALLOC_MMAP_THRESHOLD_="65536")
    assert kept < 100
    assert given_back >= 10 * 32  # of 64 MiB, even in pages of 2 MiB
