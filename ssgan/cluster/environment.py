"""What a worker finds on its machine: cores, threads, environment variables."""

import os
from collections.abc import Mapping

WORKER_BYTES = 700 * 2**20
"""Resident memory of one worker with torch and Ray, before it has any data."""

# Chosen by the user where host names do not resolve, and needed by every worker.
_PASSED_ON = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "NCCL_DEBUG", "SSGAN_CACHE")


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def threads_per_worker(cores: int, workers: int) -> int:
    """Divide a machine's cores among the workers on it; at least one thread each."""
    return max(1, cores // workers)


def worker_environment(
    threads: int, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment variables of a worker.

    Waiting is passive: on a machine with more threads than cores, threads that spin take several
    times as long for a step.

    Args:
        threads: Threads the worker computes with.
        environment: Where network interfaces and the cache's place are taken from; by default
            this process's own.
    """
    environment = os.environ if environment is None else environment
    passed_on = {name: environment[name] for name in _PASSED_ON if name in environment}
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        **passed_on,
    }
