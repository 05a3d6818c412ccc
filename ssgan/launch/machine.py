"""Where results come from, in a line each: the machine, the commit."""

import os
import platform
import subprocess
from pathlib import Path

import torch


def describe_machine() -> str:
    """Name the processor, its cores and vector units, GPUs, and the versions that numbers need."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(
        [
            names[0] if names else platform.machine(),
            f"{os.cpu_count()} cores",
            torch.backends.cpu.get_cpu_capability(),
            *(f"{gpus.count(name)} {name}" for name in dict.fromkeys(gpus)),
            f"torch {torch.__version__}",
            f"Python {platform.python_version()}",
        ]
    )


def describe_commit() -> str | None:
    """Return the commit of the checkout that runs, ``+`` if it was changed; None outside of one."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
