"""What MLflow is told of a run beside its records: experiment, parameters, tags."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ssgan.data.labels import LabelBudget
from ssgan.records.rundir import Record, RunDir

ENVIRONMENT = "environment.json"
_LONGEST_PARAM = 6000  # MLflow's limit


def experiment_of(run: RunDir) -> str:
    """Return the MLflow experiment of a run: `tracking.experiment`, or the preset's name."""
    tree = yaml.safe_load(run.experiment_yaml()) or {}
    chosen = (tree.get("tracking") or {}).get("experiment") or tree.get("name")
    return str(chosen or "ssgan")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Write a tree of configuration as dotted names and values, spelled as overrides are."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            flat[f"{prefix}{key}"] = text[:_LONGEST_PARAM]
    return flat


def tags_of(
    run: RunDir, records: Iterable[Record], summary: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return the tags of a run: hashes of data and labels, environment, alarms, stop reason."""
    tags = {"ssgan.run_dir": run.location}
    if run.exists("labels.parquet"):
        budget = LabelBudget.from_parquet(run.read_bytes("labels.parquet"))
        tags |= {"ssgan.data_hash": budget.data_hash, "ssgan.labels_hash": budget.hash}
    alarms = {alarm: None for record in records for alarm in record.alarms}
    if alarms:
        tags["ssgan.alarms"] = "; ".join(alarms)
    if summary and summary.get("stop_reason"):
        tags["ssgan.stop_reason"] = str(summary["stop_reason"])
    if run.exists(ENVIRONMENT):
        environment = json.loads(run.read_bytes(ENVIRONMENT))
        commit = environment.pop("git_commit", None)
        if commit:
            tags["mlflow.source.git.commit"] = str(commit)
        tags |= {f"ssgan.environment.{key}": str(value) for key, value in environment.items()}
    return tags
