"""What must hold of a run at the end of a round, whatever was done to it."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch

from ssgan.experiment.tree import Experiment
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import Record, RunDir
from ssgan.records.saved_state import leaves
from tests.helpers.runs import final_state

CLOCKED = frozenset({"images_per_second"})
_OWN = frozenset({"experiment", "figures", "export", "record", "checkpoints"})


def check_run(run: RunDir, theirs: RunDir) -> Iterator[str]:
    """Say in what a run of its own differs from the one that was left alone."""
    yield from check_training(run, theirs)
    yield from _check_export(run, theirs)
    written = run.read_json("summary.json")
    if (written["run_dir"], written["export"]) != (run.location, run.locate("export")):
        yield f"the summary says that it is at {written['run_dir']}, with {written['export']}"


def check_training(run: RunDir, theirs: RunDir) -> Iterator[str]:
    """Say in what a run differs from the one that was left alone, but in what the clock decides."""
    ours = [record.epoch for record in run.records()]
    if ours != [record.epoch for record in theirs.records()]:
        yield f"it has records of the epochs {ours}"
        return
    for record, expected in zip(run.records(), theirs.records(), strict=True):
        for name in _differing(measured(record), measured(expected)):
            yield f"{name} of epoch {record.epoch} differs"
        if run.pictures(record) != theirs.pictures(expected):
            yield f"pictures of epoch {record.epoch} differ"
    ended, expected_end = (dict(leaves(final_state(one.location))) for one in (run, theirs))
    yield from (f"its last {name} differs" for name in _some(_differing(ended, expected_end)))
    for name in ("experiment.yaml", "labels.parquet", "data.json", *theirs.list("figures")):
        if run.find_bytes(name) != theirs.read_bytes(name):
            yield f"{name} differs"
    yield from _check_summary(run, theirs)
    yield from check_files(run, theirs)


def measured(record: Record) -> dict[str, Any]:
    """Return what a record says that no clock decides."""
    told = record.model_dump(exclude={"timestamp_ms", "images", "thumbnails", "metrics"})
    metrics = {key: value for key, value in record.metrics.items() if key not in CLOCKED}
    return {**told, **metrics}


def check_files(run: RunDir, whole: RunDir) -> Iterator[str]:
    """Say which files should not be there, and which are missing."""
    here = set(_all_files(run))
    wanted = {name for name in _all_files(whole) if name.split("/")[0] not in _OWN}
    for record in run.records():
        wanted.add(f"record/{record.epoch:04d}.json")
        pictures = (*record.images.values(), *record.thumbnails.values())
        wanted |= {name.partition(".zip/")[0] + ".zip" if ".zip/" in name else name
                   for name in pictures}  # fmt: skip
    kept = Checkpoints(run).manifests()
    extent = run.read_definition(Experiment).training
    if len(kept) > extent.keep_last + extent.keep_best:
        yield f"it keeps {len(kept)} checkpoints"
    wanted |= {
        f"checkpoints/{name}/{file}" for name in kept for file in ("MANIFEST.json", "state.pt")
    }
    wanted |= {name for folder in ("figures", "export") for name in whole.list(folder)}
    yield from (f"{name} was left over" for name in sorted(here - wanted))
    yield from (f"{name} is missing" for name in sorted(wanted - here))


def check_store(store: Path, run: RunDir) -> Iterator[str]:
    """Say what MLflow lacks of a run, or has twice, by its own tables."""
    with closing(sqlite3.connect(store)) as database:
        found = database.execute(
            "SELECT run_uuid, status, artifact_uri FROM runs JOIN tags USING (run_uuid) "
            "WHERE tags.key = 'ssgan.run_id' AND tags.value = ? AND lifecycle_stage = 'active'",
            (run.run_id,),
        ).fetchall()
        if len(found) != 1:
            yield f"MLflow has {len(found)} runs of it"
            return
        ((run_id, status, artifacts),) = found
        rows = "SELECT key, step, timestamp, value, is_nan FROM metrics WHERE run_uuid = ?"
        points = Counter(database.execute(rows, (run_id,)))
        tags = dict(database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,)))
    if status != "FINISHED":
        yield f"MLflow says that it is {status}"
    wanted = Counter(point for record in run.records() for point in _points(record))
    yield from (f"MLflow lacks {point}" for point in _some((wanted - points).elements()))
    yield from (f"MLflow has {point} too much" for point in _some((points - wanted).elements()))
    if tags.get("ssgan.run_dir") != run.location:
        yield f"MLflow says that it is at {tags.get('ssgan.run_dir')}"
    if tags.get("ssgan.stop_reason", "none") != "none":
        yield f"MLflow says that it was stopped: {tags['ssgan.stop_reason']}"
    yield from _check_artifacts(Path(unquote(urlsplit(artifacts).path)), run)


def _check_artifacts(folder: Path, run: RunDir) -> Iterator[str]:
    names = (file.name for file in (folder / "images").glob("*.png"))
    shown = Counter(tuple(name.split("+")[0:3:2]) for name in names)
    wanted = Counter(
        (name.replace("/", "~"), str(record.epoch))
        for record in run.records()
        for name in record.images
    )
    if shown != wanted:
        yield f"MLflow has other pictures: {[*_some((shown - wanted) + (wanted - shown))]}"
    summary = folder / "summary.json"
    if not summary.exists() or summary.read_bytes() != run.read_bytes("summary.json"):
        yield "MLflow has another summary"


def _check_export(run: RunDir, whole: RunDir) -> Iterator[str]:
    """Say which files of an export differ, but in the ID of the run, which its card has, too."""
    for name in whole.list("export"):
        ours, theirs = run.find_bytes(name), whole.read_bytes(name)
        if ours is None:
            yield f"{name} is missing"
            continue
        ours = ours.replace(run.run_id.encode(), whole.run_id.encode())
        if name.endswith(".json"):
            pair = [json.loads(content) for content in (ours, theirs)]
            for tree in pair:
                tree.pop("manifest_sha256")  # of the ID, too
            if pair[0] != pair[1]:
                yield f"{name} differs"
        elif ours != theirs:
            yield f"{name} differs"


def _check_summary(run: RunDir, whole: RunDir) -> Iterator[str]:
    summary, expected = run.summary(), whole.summary()
    assert expected is not None
    if summary is None:
        yield "there is no summary"
        return
    for name in ("epochs", "images_seen", "stop_reason", "reasons", "alarms", "name"):
        if summary[name] != expected[name]:
            yield f"the summary's {name} is {summary[name]!r}, not {expected[name]!r}"
    pair = [{k: v for k, v in one["metrics"].items() if k not in CLOCKED}
            for one in (summary, expected)]  # fmt: skip
    if pair[0] != pair[1]:
        yield f"the summary's metrics differ: {_differing(*pair)}"


def _points(record: Record) -> Iterator[tuple[str, int, int, float, int]]:
    values = {**record.metrics, "images_seen": float(record.images_seen)}
    for key, value in values.items():
        if value is not None:
            yield key, record.epoch, record.timestamp_ms, value, 0


def _all_files(run: RunDir) -> list[str]:
    """Return the names of all files, those that are passed over elsewhere too."""
    if (place := run.local_path) is None:
        return [*run.list("")]
    files = (file for file in place.rglob("*") if not file.is_dir())
    return [file.relative_to(place).as_posix() for file in files]


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    keys = sorted({**one, **other})
    return [key for key in keys if not _is_same(one.get(key, ...), other.get(key, ...))]


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and one == other


def _some(found: Iterable[Any], most: int = 5) -> Iterator[Any]:
    for index, one in enumerate(found):
        if index < most:
            yield one
