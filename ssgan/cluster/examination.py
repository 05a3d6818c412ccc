"""`ssgan doctor`: this machine, and what it can reach."""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from ssgan.base.storage import Folder
from ssgan.base.threads import cores
from ssgan.cluster.capacity import WORKER_BYTES
from ssgan.cluster.nodes import Check, attempt, examine_cluster

_OLDEST_PYTHON = (3, 11)
_FREE_DISK = 2 * 2**30
_PACKAGES = ("torch", "torchvision", "ray", "mlflow", "pyarrow")


def examine(
    output: str | Path,
    cache: Path,
    workers: int = 1,
    tracking: Callable[[], str] | None = None,
    with_ray: bool = True,
) -> Iterator[Check]:
    """Examine this machine and what it can reach, one check at a time.

    So many workers will train here, and write runs to `output`, a folder or a URI. If given,
    `tracking` reaches the tracking store and says what it found, or raises what is wrong. To start
    or join Ray takes ten seconds and more; of a cluster that is joined every node is examined.
    """
    yield Check(
        "python",
        sys.version_info >= _OLDEST_PYTHON,
        platform.python_version(),
        "install Python 3.11 or newer",
    )
    yield from map(_check_package, _PACKAGES)
    yield Check("cores", True, f"{cores()} CPU cores, {platform.machine()}")
    free, needed = psutil.virtual_memory().available, workers * WORKER_BYTES
    yield Check(
        "memory",
        free >= needed,
        f"{_gib(free)} free, {workers} workers take {_gib(needed)} and the data",
        "end other programs, or lower scaling.workers",
    )
    yield _check_output(output)
    yield _check_disk("cache", cache, "SSGAN_CACHE")
    yield _check_cuda()
    if tracking is not None:
        yield attempt("tracking", tracking, "start the MLflow server, or change tracking.uri")
    if with_ray:
        yield from examine_cluster(output, workers)


def _check_package(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", "install ssgan again: pip install '.[train]'")


def _check_output(output: str | Path) -> Check:
    if "://" not in str(output):
        return _check_disk("output", Path(output), "--out")

    def write() -> str:
        Folder(output).try_writing()
        return f"{output}: can be written"

    remedy = "check the address and this machine's rights there, or choose another with --out"
    return attempt("output", write, remedy)


def _check_disk(name: str, folder: Path, setting: str) -> Check:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    can_write = os.access(place, os.W_OK)
    return Check(
        name,
        can_write and free >= _FREE_DISK,
        f"{folder}: {_gib(free)} free{'' if can_write else ', but it cannot be written'}",
        f"free some space, or choose another place with {setting}",
    )


def _check_cuda() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("cuda", True, "no CUDA device; training runs on the CPU")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Check("cuda", True, f"{len(names)} CUDA devices: {', '.join(names)}")


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
