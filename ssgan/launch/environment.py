"""What a run's weights depend on beside the experiment: versions, machine, workers, threads."""

import importlib.metadata
import json
import logging
import platform
from typing import Any

from ssgan import __version__
from ssgan.experiment.tree import Experiment
from ssgan.launch.preparation import Plan
from ssgan.records.rundir import RunDir

_ENVIRONMENT = "environment.json"

_log = logging.getLogger(__name__)


def record_environment(run: RunDir, experiment: Experiment, plan: Plan) -> dict[str, Any]:
    """Write environment.json, and warn where a run that goes on does so under another one."""
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
    if run.exists(_ENVIRONMENT):
        before = json.loads(run.read_bytes(_ENVIRONMENT))
        changed = {k: (before.get(k), v) for k, v in environment.items() if before.get(k) != v}
        if changed:
            _log.warning(
                "this run goes on with %s, so it will not end with the same bits as without the "
                "interruption",
                ", ".join(f"{key}={new} (before {old})" for key, (old, new) in changed.items()),
            )
    run.write_json(_ENVIRONMENT, environment)
    return environment
