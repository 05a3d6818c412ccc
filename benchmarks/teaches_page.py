"""The page on what samples teach, from the lines that `benchmarks.teaches` wrote."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal, get_args

from benchmarks.few_labels_cells import Cell
from benchmarks.few_labels_lines import Line
from benchmarks.heaps import source_fields
from ssgan.evaluation.copy_audit import NOISE
from ssgan.evaluation.teaching import UPDATES, Teacher

Part = Teacher | Literal["copies"]

TEACHERS: tuple[Teacher, ...] = get_args(Teacher)
PARTS: tuple[Part, ...] = (*TEACHERS, "copies")
SEEDS = 3
_CHANCE = 0.1  # of ten classes
_TITLES: dict[Teacher, str] = {
    "samples": "samples (CAS)",
    "labels": "the labels",
    "augmented labels": "the labels, augmented",
    "readings": "all images, read by Q_ss",
}
_NEED_G: tuple[Teacher, ...] = ("samples", "readings")


@dataclass(frozen=True)
class Data:
    """A data set that the page is about."""

    preset: str
    title: str
    license: str | None
    """Under which its images are shown; None where that is forbidden."""
    fields: tuple[str, ...] = ("scaling.threads=1",)
    """FIELD=VALUE beside the preset, without seed and source."""

    def cell(self, part: Part) -> str:
        """Name the lines of a part."""
        return f"{self.preset}/{part}"


# As the parts are compared by docs/results/few-labels.md: 1,000 updates of 64 images.
_MNIST = tuple(Cell(132, "balanced", "labels", is_short=True).fields(1)[:-2])
_SVHN = ("scaling.threads=1", "training.precision=bfloat16")
_SETS = (
    Data("digits", "Digits, 130 labels", "CC BY 4.0"),
    Data("mnist", "MNIST, 132 labels", "CC BY-SA 3.0", _MNIST),
    Data("svhn", "SVHN, 600 labels", None, _SVHN),  # for non-commercial use only
)
DATA = {data.preset: data for data in _SETS}
"""By preset, in the order of the page."""

Lines = dict[str, dict[int, Line]]
"""By cell and seed."""


def picture_file(data: Data) -> Path:
    """Return where the closest pairs of the first seed are, beside the lines and the page."""
    return Path("teaches", f"{data.preset}.png")


def page(lines: Sequence[Line], sets: Iterable[Data] = _SETS) -> str:
    """Return the page.

    Raises:
        SystemExit: There is no line, or the lines of a data set have different settings.
    """
    if not lines:
        raise SystemExit("there are no lines; `python -m benchmarks.teaches run` writes them")
    found: Lines = {}
    for line in lines:
        found.setdefault(line.cell, {})[line.draw] = line
    shown = [data for data in sets if any(data.cell(part) in found for part in PARTS)]
    for data in shown:
        settings = {tuple(line.fields) for line in _lines(found, data)}
        if len(settings) > 1:
            raise SystemExit(f"the lines of {data.preset} have different settings; run it again")
    commits = dict.fromkeys(line.commit or "no checkout" for line in lines)
    return "\n".join(
        [
            "# Whether samples teach, and whether they are copies",
            "",
            "A classifier that only samples of G taught reads real images: its accuracy is the",
            "classification accuracy score, CAS ([Ravuri and Vinyals,",
            "2019](https://arxiv.org/abs/1905.10887)). Beside it are others, which had the same",
            "labels: taught by the real images of the budget alone, by these with light affine",
            "augmentation, and by all training images with what Q_ss reads in each.",
            "",
            "All four are the same network with the same first weights, learn by C's recipe, and",
            f"take as many updates of 64 images, {UPDATES:,} or more until a walk through the",
            "images is over; a teacher of fewer images than the train split repeats them. Samples",
            "are of G's moving average after the last update, as many of each class. Only the",
            "augmented labels are augmented.",
            "",
            "They read the whole test split, the only real images that none of the four has seen:",
            "G, D and Q learned from the train split alone, and budget and heap are parts of it. C",
            "has learned from the test split, but it teaches nobody here and chooses nothing: no",
            "checkpoint is picked by what it says. Seed s has label seed s and seed s.",
            "",
            "```console",
            "$ python -m benchmarks.teaches run --runs FOLDER --data ROOT",
            "$ python -m benchmarks.teaches page",
            "```",
            "",
            "## What is read right",
            "",
            *_taught(found, shown),
            "",
            "Shares of real test images, means over n seeds ± standard deviation. *Own labels",
            "right* is the share of the training images that Q_ss reads right. Of Q_ss itself,",
            "which reads the test split without a classifier, and of C:",
            "",
            *_runs(found, shown),
            "",
            "## Samples and the others, paired",
            "",
            "CAS minus what another teacher's classifier reads right on the same seeds: above 0",
            "samples teach more, and in how many of the seeds they do.",
            "",
            *_paired(found, shown),
            "",
            "## Whether samples are copies",
            "",
            "The distance of a sample to its nearest training image, in C's features, beside that",
            "of real images that copy nothing: those of the test split, and training images with",
            "the nearest other one. Of samples as real as real ones 1 % are nearer than 1 % of",
            "these; where samples prefer what is common it is more without a copy, and where the",
            "test split is of other hands than the train split, too. What the measure can find is",
            "measured as well: of planted copies, which are training images with noise of",
            f"{NOISE:g} of 255 gray levels, or moved by half a pixel, the share that is nearer",
            "than 1 % of test images.",
            "",
            *_copies(found, shown),
            "",
            *_pictures(found, shown),
            *_failed(lines),
            *_missing(found, sets),
            "## How a run is trained",
            "",
            "```console",
            *(_command(data, found) for data in shown),
            "```",
            "",
            f"Commit{'s' * (len(commits) > 1)}: {', '.join(commits)}. "
            f"Machine: {'; '.join(dict.fromkeys(line.machine for line in lines))}.",
            "",
        ]
    )


def _taught(found: Lines, sets: Iterable[Data]) -> Iterator[str]:
    yield from _head(
        "data", "taught by", "images", "n", "read right", "by seed", "own labels right"
    )
    for data in sets:
        for teacher, title in _TITLES.items():
            lines = found.get(data.cell(teacher), {})
            shares = _accuracies(lines, teacher)
            if not shares:
                continue
            images, right = (_known(lines.values(), name) for name in ("images", "right"))
            yield _row(
                *(data.title, title, f"{max(images):,.0f}" if images else "", str(len(shares))),
                _spread(list(shares.values())),
                ", ".join(f"{share:.4f}" for share in shares.values()),
                _spread(right) if right else "",
            )


def _runs(found: Lines, sets: Iterable[Data]) -> Iterator[str]:
    yield from _head("data", "Q_ss reads right", "0-1 loss of samples by C", "C's own error")
    for data in sets:
        lines = list(found.get(data.cell("samples"), {}).values())
        names = ("q_ss_accuracy", "zero_one_loss_ema", "judge_error")
        values = [_known(lines, name) for name in names]
        if all(values):
            yield _row(data.title, *map(_spread, values))


def _paired(found: Lines, sets: Iterable[Data]) -> Iterator[str]:
    others = [teacher for teacher in TEACHERS if teacher != "samples"]
    yield from _head("data", *(f"than {_TITLES[teacher]}" for teacher in others))
    for data in sets:
        own = _accuracies(found.get(data.cell("samples"), {}), "samples")
        cells = []
        for teacher in others:
            other = _accuracies(found.get(data.cell(teacher), {}), teacher)
            gains = [own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())]
            better = sum(gain > 0 for gain in gains)
            told = f"{_spread(gains, '+')}; {better} of {len(gains)}" if gains else "not run"
            cells.append(told)
        yield _row(data.title, *cells)


def _copies(found: Lines, sets: Iterable[Data]) -> Iterator[str]:
    yield from _head(
        *("data", "n", "nearer than 1 % of test images", "than 1 % of training images"),
        *("of noisy copies", "of moved copies"),
        *("median, samples", "test images", "training images"),
    )
    for data in sets:
        lines = [line for line in found.get(data.cell("copies"), {}).values() if not line.error]
        if not lines:
            continue
        shares = [
            _spread(_known(lines, name))
            for name in ("below_held_out", "below_training", "noisy_found", "moved_found")
        ]
        medians = [
            f"{fmean(_known(lines, f'median_{of}')):.3g}"
            for of in ("samples", "held_out", "training")
        ]
        yield _row(data.title, str(len(lines)), *shares, *medians)


def _pictures(found: Lines, sets: Iterable[Data]) -> Iterator[str]:
    for data in sets:
        line = found.get(data.cell("copies"), {}).get(1)
        if line is None or line.error:
            continue
        if data.license is None:
            yield f"{data.title}: the closest pairs are not shown, which its license forbids."
        else:
            yield f"![{data.title}: the closest pairs of seed 1]({picture_file(data).as_posix()})"
            yield ""
            yield (
                f"{data.title}, seed 1: the samples, and the test images, that are closest to a "
                f"training image, which stands below. Real images: {data.license}."
            )
        yield ""


def _failed(lines: Iterable[Line]) -> list[str]:
    failed = {(line.cell.partition("/")[0], line.draw): line.error for line in lines if line.error}
    if not failed:
        return []
    told = [f"- {preset}, seed {seed}: {error}" for (preset, seed), error in failed.items()]
    counts = "What these runs would have taught counts as chance, 0.1."
    return ["## Runs that failed", "", *told, "", counts, ""]


def _missing(found: Lines, sets: Iterable[Data]) -> list[str]:
    cells = [data.cell(part) for data in sets for part in PARTS]
    short = {cell: len(found.get(cell, {})) for cell in cells if len(found.get(cell, {})) < SEEDS}
    if not short:
        return []
    counts = ", ".join(f"`{cell}` {count} of {SEEDS}" for cell, count in short.items())
    return ["## Not run yet", "", f"These lack seeds: {counts}.", ""]


def _command(data: Data, found: Lines) -> str:
    line = _lines(found, data)[0]
    source = source_fields(data.preset, Path("ROOT"))
    draw = [f"data.label_seed={line.draw}", f"seed={line.draw}"]
    return f"$ ssgan train {shlex.join([data.preset, *source, *line.fields, *draw])}"


def _lines(found: Lines, data: Data) -> list[Line]:
    return [line for part in PARTS for line in found.get(data.cell(part), {}).values()]


def _accuracies(lines: dict[int, Line], teacher: Teacher) -> dict[int, float]:
    """Return what was read right by seed; chance where there is no G that the teacher needs."""
    shares = {}
    for seed, line in sorted(lines.items()):
        share = line.measured.get("accuracy")
        if share is None and line.error and teacher in _NEED_G:
            share = _CHANCE
        if share is not None:
            shares[seed] = share
    return shares


def _known(lines: Iterable[Line], name: str) -> list[float]:
    return [value for line in lines if (value := line.measured.get(name)) is not None]


def _head(*titles: str) -> list[str]:
    return [_row(*titles), f"|{' --- |' * len(titles)}"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], sign: str = "") -> str:
    deviation = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
    return f"{fmean(values):{sign}.4f}{deviation}"
