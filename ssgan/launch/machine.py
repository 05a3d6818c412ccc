"""What results depend on besides the experiment: machine, commit, versions, workers, threads."""

import importlib.metadata
import json
import logging
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from ssgan import __version__
from ssgan.base.errors import CorruptFile
from ssgan.experiment.tree import Experiment
from ssgan.launch.preparation import ComputePlan
from ssgan.records.rundir import RunDir

_ENVIRONMENT = "environment.json"
_COMMIT = "git_commit"  # of the user's files; it says nothing of bits

_log = logging.getLogger(__name__)


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
    return _commit(folder, "--short=12") if (folder / ".git").exists() else None


def source_commit() -> str | None:
    """Return the commit of the checkout around the working directory, ``+`` if it was changed.

    That is where experiment files and code of the user's own are. None outside of a checkout.
    """
    return _commit(Path())


def record_environment(
    run: RunDir, experiment: Experiment, plan: ComputePlan, commit: str | None = None
) -> dict[str, Any]:
    """Write environment.json, and warn where a run is resumed under another one.

    The commit is that of the checkout that it was started in.
    """
    environment = {
        "ssgan": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("torch", "ray")},
        "machine": f"{platform.system()} {platform.machine()}",
        "device": "cuda" if plan.cuda else "cpu",
        "workers": experiment.scaling.workers,
        "threads": plan.threads,
    }
    environment = dict(json.loads(json.dumps(environment)))  # a tuple comes back as a list
    source = {} if commit is None else {_COMMIT: commit}
    if run.exists(_ENVIRONMENT):
        before = _read_environment(run)
        changed = {k: (before.get(k), v) for k, v in environment.items() if before.get(k) != v}
        if changed and before:
            _log.warning(
                "this run is resumed with %s, so it will not end with the same bits as without the "
                "interruption",
                ", ".join(f"{key}={new} (before {old})" for key, (old, new) in changed.items()),
            )
    run.write_json(_ENVIRONMENT, environment | source)
    return environment | source


def _read_environment(run: RunDir) -> dict[str, Any]:
    try:
        return dict(run.read_json(_ENVIRONMENT))
    except (CorruptFile, ValueError, TypeError):
        _log.warning("%s cannot be read and is written again", run.locate(_ENVIRONMENT))
        return {}


def _commit(folder: Path, *how: str) -> str | None:
    try:
        commit = _git(folder, "rev-parse", *how, "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
