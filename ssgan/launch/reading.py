"""Labels for the rest: what Q_ss and Q_us of a run read in images, with calibrated confidences."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssgan.base.errors import BadInput
from ssgan.base.progress import Advance
from ssgan.base.rng import Streams
from ssgan.base.storage import replacing
from ssgan.base.threads import use_threads
from ssgan.data.named_images import named_images
from ssgan.data.orders import draw_order
from ssgan.data.sources.base import Source
from ssgan.evaluation.calibration import CodeCalibration, calibrate, rescale
from ssgan.evaluation.reading import Q_BATCH, run_q
from ssgan.export.readings import ENDINGS, as_text, writing_readings
from ssgan.launch.loaded_run import LoadedRun
from ssgan.launch.location import move_aside
from ssgan.launch.preparation import plan_here
from ssgan.method.objective import QReading, read_all

_MOST_LABELS = 10_000
_LISTED = 100  # names of unreadable images


class Reader:
    """Q_ss and Q_us of a run's checkpoint: all codes of images, with calibrated confidences.

    The networks are those of an evaluation: in eval mode, with the trunk's BatchNorm statistics of
    the snapshot, so that what is read from an image depends on no other image.
    """

    def __init__(self, loaded: LoadedRun) -> None:
        """Fit the calibration to the run's held-out labels, at most ten thousand."""
        dataset = loaded.dataset
        self._space = dataset.space
        self._networks = loaded.snapshot.discriminator, loaded.device
        self._threads = plan_here(loaded.experiment.scaling).threads
        codes = self._space.supervised
        taught = (~dataset.y.isnan()).any(dim=0).tolist()
        take, labels = dataset.held_out(none=self._space.none)
        order = draw_order(Streams(0), "calibration", len(labels))
        rows = order.at(torch.arange(min(_MOST_LABELS, len(labels)) if any(taught) else 0))
        q = torch.empty(0, self._space.q_width(codes))
        if len(rows):
            with use_threads(self._threads):
                q, _ = run_q(map(take, rows.split(Q_BATCH)), *self._networks)
        self.calibrations: list[CodeCalibration] = calibrate(
            codes, self._space.posterior, q, labels[rows], taught
        )
        """One a supervised code."""
        self.labels_from: str | None = None
        """Where the labels come from that confidences are calibrated on; None without."""
        if any(found.measured for found in self.calibrations):
            is_test = dataset.test is not None
            self.labels_from = "the test split" if is_test else "labels held out of the budget"

    def certain(self) -> list[bool]:
        """Return of each code whether its readings have a confidence."""
        gaussian = self._space.posterior == "gaussian"
        return [code.is_categorical or gaussian for code in self._space.codes]

    def read(self, images: Tensor) -> QReading:
        """Read all codes of images, uint8 (n, C, H, W), n at least 1, on the CPU.

        Images of none of the classes have `Code.none`, where the run was told of such.
        """
        space = self._space
        with use_threads(self._threads):
            q_ss, q_us = run_q(images.split(Q_BATCH), *self._networks)
        scales = [found.scale for found in self.calibrations]
        q_ss = rescale(space.supervised, space.posterior, q_ss, scales)
        return read_all(space, q_ss, q_us)


def check_target(file: Path, replace: bool) -> None:
    """Refuse a table that cannot be written, before any work starts.

    Raises:
        BadInput: Its name has another ending, its folder is missing, or it is there already.
    """
    if file.suffix not in ENDINGS:
        raise BadInput(f"--out {file} must end in .csv or .parquet")
    if not file.absolute().parent.is_dir():
        raise BadInput(f"--out {file}: there is no folder {file.absolute().parent}; make it first")
    if file.is_dir():
        raise BadInput(f"--out {file} is a folder; choose another --out")
    if file.exists() and not replace:
        raise BadInput(
            f"{file} is there already; choose another --out, or move it aside with --replace"
        )


def facts_file(file: Path) -> Path:
    """Return the file beside a table that says how it was made, FILE.csv.json."""
    return file.with_name(f"{file.name}.json")


def write_readings(
    loaded: LoadedRun,
    source: Source,
    file: Path,
    *,
    replace: bool = False,
    progress: Advance | None = None,
) -> Mapping[str, Any]:
    """Read the train split of a source, some images at a time, and write a table of all of them.

    The table and `facts_file` appear whole once all is read; a table of that name is refused, or
    moved aside (`replace`).

    Args:
        loaded: The run.
        source: Images of its shape.
        file: The table; its ending says which form it has.
        replace: Whether a file of that name is moved aside.
        progress: Told how many images are read, and how many there are.

    Returns:
        What was read, by which networks, and how the confidences were calibrated.

    Raises:
        BadInput: `check_target`, or as the source.
        OSError: The files cannot be written.
    """
    check_target(file, replace)
    reader, space = Reader(loaded), loaded.dataset.space
    total, done, lost = source.counts["train"], 0, 0
    broken: list[str] = []
    with replacing(file, uuid.uuid4().hex) as new:
        with writing_readings(new, file.suffix, space.codes, reader.certain()) as write:
            for part in named_images(source):
                table = torch.full((2, len(part.names), len(space.codes)), torch.nan)
                if len(part.images):
                    readable = torch.from_numpy(part.readable)
                    table[:, readable] = torch.stack([*reader.read(torch.from_numpy(part.images))])
                write(part.names, QReading(*table))
                done += len(part.names)
                unreadable = [
                    name for name, ok in zip(part.names, part.readable, strict=True) if not ok
                ]
                lost += len(unreadable)
                broken += unreadable[: _LISTED - len(broken)]
                if progress is not None:
                    progress(done, max(total, done))
        facts = {
            "file": file.name,
            "run": loaded.run.info.name,
            "run_id": loaded.run.run_id,
            "step": loaded.step,
            "source": source.name,
            "images": done,
            "unreadable": lost,
            "unreadable_names": [*map(as_text, broken)],
            "labels_from": reader.labels_from,
            "codes": [_describe(found) for found in reader.calibrations],
        }
        check_target(file, replace)  # which may have come meanwhile
        for old in (file, facts_file(file)):
            move_aside(str(old))
        with replacing(facts_file(file), uuid.uuid4().hex) as beside:
            beside.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts


def _describe(found: CodeCalibration) -> dict[str, Any]:
    described = asdict(found)
    for when in ("before", "after"):
        measured = getattr(found, when)
        described[when] = None if measured is None else measured._asdict()
    return described
