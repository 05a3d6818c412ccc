"""Compares a search with what MLflow has of it: ``python audit.py SEARCH_DIR URI TRIALS``.

Prints what is missing or too much, one line each, and then ends with 1.
"""

import sys
from collections import Counter
from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities import Run

from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.tracking.recorder import IMAGE_FOLDER, RUN_ID, picture_names


def audit(search: SearchDir, client: MlflowClient, trials: int) -> Iterator[str]:
    """Say what is wrong with a search of so many trials, and with MLflow's copy of it."""
    rows = search.rows()
    summary = search.summary() or {}
    if (len(rows), summary.get("trials"), summary.get("failed")) != (trials, trials, 0):
        yield f"{len(rows)} trials instead of {trials}, and the summary is {summary}"
    experiment = client.get_experiment_by_name(search.info.name)
    if experiment is None:
        yield f"MLflow has no experiment {search.info.name}"
        return
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    parents = {run.data.tags["mlflow.parentRunId"] for run in children}
    if [run.info.status for run in runs if run.info.run_id in parents] != ["FINISHED"]:
        yield "there is not one finished run of the search, with the trials as its children"
    by_id = {run.data.tags[RUN_ID]: run for run in children}
    if len(by_id) != len(children):
        yield "a trial has several runs"
    for row in rows:
        child = by_id.get(search.run(row).run_id)
        if child is None:
            yield f"{row.run} has no run in MLflow"
        else:
            yield from (f"{row.run}: {fault}" for fault in _faults(search, row, child, client))


def _faults(search: SearchDir, row: TrialRow, child: Run, client: MlflowClient) -> Iterator[str]:
    run = search.run(row)
    if row.status not in ("FINISHED", "STOPPED"):
        yield f"it is {row.status}: {row.reason}"
    if child.info.status != "FINISHED":
        yield f"MLflow says {child.info.status}"
    records = [record for record in run.records() if record.epoch <= row.epoch]
    if [record.epoch for record in records] != list(range(1, row.epoch + 1)) or not records:
        yield f"records of {[record.epoch for record in records]}, and {row.epoch} epochs trained"
    names = {name for record in records for name in record.metrics}
    for name in sorted(names):
        own = {r.epoch for r in records if r.metrics.get(name) is not None}
        told = Counter(point.step for point in client.get_metric_history(child.info.run_id, name))
        if own != set(told) or max(told.values(), default=1) > 1:
            yield f"{name} at {sorted(told.elements())} instead of {sorted(own)}"
    kept = {file.path for file in client.list_artifacts(child.info.run_id, IMAGE_FOLDER)}
    for record in records:
        for name in record.images:
            file = picture_names(run.run_id, record, name)[0]
            if file not in kept:
                yield f"no picture {file}"


def main() -> int:
    location, uri, trials = sys.argv[1:]
    faults = list(audit(SearchDir.open(location), MlflowClient(uri), int(trials)))
    print("\n".join(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
