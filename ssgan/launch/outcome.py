"""What a run ends with: the exported generator, the figures, summary.json."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ssgan.base.storage import Folder
from ssgan.base.threads import use_threads
from ssgan.data.dataset import Dataset
from ssgan.drawing.charts import loss_curve
from ssgan.drawing.sheet import png
from ssgan.evaluation.catalog import HEADLINES
from ssgan.experiment.fields import flatten
from ssgan.experiment.tree import Experiment
from ssgan.export.card import read_card
from ssgan.export.card_text import README, is_card, to_markdown
from ssgan.export.format import MANIFEST, Provenance, pack_export, parse_manifest
from ssgan.export.generator import NamedGenerator
from ssgan.export.strips import draw_strips
from ssgan.launch.loaded_run import LoadedRun, load_networks
from ssgan.launch.preparation import ComputePlan
from ssgan.records.rundir import Record, RunDir

EXPORT = "export"
"""Folder of a run's export."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a run reached."""

    run_dir: str
    summary: dict[str, Any]
    """Content of its summary.json."""
    view: str | None = None
    """Path of its experiment in MLflow, behind the address of a server; None where MLflow did not
    answer."""


def export(loaded: LoadedRun, copy: Literal["ema", "raw"] = "ema") -> dict[str, bytes]:
    """Pack a copy of G, the trunk and the Q heads as the files of an export folder.

    Its model card with the pictures is one part of it.
    """
    files = pack(loaded, copy)
    card = read_card(loaded.run, parse_manifest(files[MANIFEST], MANIFEST))
    assert card is not None
    generator, space = loaded.snapshot.generators[copy], loaded.dataset.space
    strips = draw_strips(generator, space, labeled=card.is_labeled)
    return {**files, README: to_markdown(card, title=True).encode(), **strips}


def pack(loaded: LoadedRun, copy: Literal["ema", "raw"] = "ema") -> dict[str, bytes]:
    """Pack what of an export folder is needed to load it, without the card."""
    run, dataset = loaded.run, loaded.dataset
    return pack_export(
        loaded.snapshot.generators[copy],
        loaded.snapshot.discriminator,
        networks=loaded.experiment.networks,
        space=dataset.space,
        shape=dataset.manifest.shape,
        copy_of=copy,
        shares=None if dataset.gained is None else dataset.gained.shares(dataset.space.supervised),
        provenance={
            "run_id": run.run_id,
            "run": run.info.name,
            "experiment": loaded.experiment.name,
            "step": loaded.step,
            "seed": loaded.experiment.seed,
            "data": dataset.manifest.name,
            "data_hash": dataset.manifest.hash,
            "labels": len(dataset.budget),
            "labels_hash": dataset.budget.hash,
            **_describe_spread(loaded),
        },
    )


def _describe_spread(loaded: LoadedRun) -> dict[str, Provenance]:
    """Say how many images have gained labels, and how; nothing where none were spread."""
    if loaded.experiment.data.spread is None or loaded.gained is None:
        return {}
    settings = flatten(loaded.experiment.data.spread).items()
    return {
        "labels_gained": loaded.gained,
        "labels_spread": ", ".join(f"{name}={value}" for name, value in settings),
    }


def open_export(
    loaded: LoadedRun, files: Mapping[str, bytes], copy: Literal["ema", "raw"] = "ema"
) -> NamedGenerator:
    """Return the generator that was packed from a run, on the CPU, without writing it.

    The networks of `loaded` are moved there.
    """
    networks = loaded.snapshot.generators[copy].cpu(), loaded.snapshot.discriminator.cpu()
    return NamedGenerator(parse_manifest(files[MANIFEST], MANIFEST), *networks)


def write_export(run: RunDir, files: Mapping[str, bytes]) -> str:
    """Write the files of an export to the run's export folder; return its location."""
    for name, content in keep_readme(run, files, f"{EXPORT}/").items():
        run.write_bytes(f"{EXPORT}/{name}", content)
    return run.locate(EXPORT)


def keep_readme(folder: Folder, files: Mapping[str, bytes], prefix: str = "") -> dict[str, bytes]:
    """Leave the card out where a README.md stands that is none: it is somebody's own, and stays.

    The prefix stands before the files' names in the folder.
    """
    found = folder.find_bytes(f"{prefix}{README}")
    if found is None or is_card(found.decode(errors="replace")):
        return dict(files)
    _log.warning(
        "%s is not a model card of ssgan and stays; move it for the card to be written",
        folder.locate(f"{prefix}{README}"),
    )
    return {name: content for name, content in files.items() if name != README}


def renew_card(run: RunDir) -> None:
    """Write the card of a run's export again, as its record tells it by now."""
    card = read_card(run)
    if card is None:
        return

    def link(file: str) -> str | None:
        return file if run.exists(f"{EXPORT}/{file}") else None

    write_export(run, {README: to_markdown(card, title=True, link=link).encode()})


def finish(run: RunDir, experiment: Experiment, dataset: Dataset, plan: ComputePlan) -> str:
    """Export the newest checkpoint's moving average, draw figures; return the export's place."""
    with use_threads(plan.threads):
        files = export(load_networks(run, experiment, dataset, plan.device_here))
    location = write_export(run, files)
    draw_figures(run)
    return location


def draw_figures(run: RunDir, drawn: Mapping[str, bytes] | None = None) -> list[str]:
    """Write the last evaluation's pictures and the curve of the 0-1 loss into `figures`.

    PNG bytes that were drawn again, by name, replace those of the last evaluation. Return the
    files' names, relative to the run directory.
    """
    evaluated = [record for record in run.records() if record.is_evaluated]
    pictures: dict[str, bytes] = {}
    if evaluated:
        last = evaluated[-1]
        pictures = run.pictures(last)[0]
        raw = [record.metrics.get("zero_one_loss") for record in evaluated]
        ema = [record.metrics.get("zero_one_loss_ema") for record in evaluated]
        if any(value is not None for value in raw + ema):
            epochs = [record.epoch for record in evaluated]
            title = f"{run.info.name}: samples that C does not recognize as asked for"
            error = last.metrics.get("judge_error")
            pictures["zero_one_loss"] = png(loss_curve(epochs, raw, ema, error, title))
    pictures |= drawn or {}
    files = {f"figures/{name}.png": content for name, content in pictures.items()}
    for name, content in files.items():
        run.write_bytes(name, content)
    return list(files)


def write_summary(
    run: RunDir,
    experiment: Experiment,
    tracking_uri: str | None,
    environment: dict[str, Any],
    started: float,
    *,
    export_location: str | None = None,
    stop_reason: str | None = None,
) -> dict[str, Any]:
    """Write summary.json from the records of a run that started at `started` (`time.monotonic`).

    A stop reason says why it ended before its last epoch.
    """
    records = run.records()
    last = next((record for record in reversed(records) if record.is_evaluated), None)
    metrics = dict(last.metrics) if last is not None else {}
    summary: dict[str, Any] = {key: metrics.get(key) for key in HEADLINES}
    summary |= {
        "epochs": records[-1].epoch if records else 0,
        "images_seen": records[-1].images_seen if records else 0,
        "images_per_second": _speed(records),
        "run_id": run.run_id,
        "name": run.info.name,
        "experiment": experiment.name,
        "tracking_uri": tracking_uri,
        "run_dir": run.location,
        "export": export_location,
        "seed": experiment.seed,
        "stop_reason": stop_reason,
        "seconds": round(time.monotonic() - started, 1),
        "environment": environment,
        "metrics": metrics,
        "reasons": last.reasons if last is not None else {},
        "alarms": list(last.alarms) if last is not None else [],
    }
    run.write_summary(summary)
    return summary


def _speed(records: Sequence[Record]) -> float | None:
    """Mean training speed over the epochs, each of them as long as the others."""
    speeds = [record.metrics.get("images_per_second") for record in records]
    known = [speed for speed in speeds if speed]
    return len(known) / sum(1 / speed for speed in known) if known else None
