"""MNIST with 10 to 132 labels: asked or random, with and without each part that teaches Q_ss.

``python -m benchmarks.few_labels run --runs FOLDER --data ROOT`` trains what is missing in order of
importance, each run as ``ssgan train`` does, and writes a line a run to
docs/results/few-labels.jsonl. It may be stopped and repeated, and several may work on one folder.
``page`` makes the page from these lines alone; ``show`` prints the table of any lines.

A run that fails twice in a row is a line too, with its error, and counts as chance. Delete the line
to have it trained again.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.few_labels_cells import CELLS, DEVELOPMENT, GROUPS, Cell
from benchmarks.few_labels_lines import Line, add_line, alone_on, read_lines
from benchmarks.few_labels_page import cell_table, has_curve, page, picture
from benchmarks.results_page import RESULTS
from ssgan.data.dataset import Dataset
from ssgan.drawing.sheet import png
from ssgan.experiment.fields import difference
from ssgan.experiment.loading import load_experiment, with_values
from ssgan.experiment.tree import Experiment
from ssgan.launch.loaded_run import load_run
from ssgan.launch.machine import describe_machine, source_commit
from ssgan.records.rundir import RunDir

_LINES = RESULTS / "few-labels.jsonl"
_SECOND = {"kind": "wrn", "depth": 10, "width": 2}  # where the preset's C is a plain CNN
_BAD_INPUT = 2
_ATTEMPTS = 2  # a run that was killed is resumed; one that became NaN does so again at once


@dataclass(frozen=True)
class Setup:
    """Where runs and lines go, and what is set in all of them."""

    runs: Path
    lines: Path
    source: tuple[str, ...] = ()
    """FIELD=VALUE that say where the images are."""
    overrides: tuple[str, ...] = ()


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing, write the page, or show lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="train what is missing")
    run.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    run.add_argument("--data", help="folder of the data set's files; nothing is downloaded then")
    run.add_argument("--cells", nargs="+", choices=CELLS, metavar="CELL", help=", ".join(CELLS))
    run.add_argument("--draws", type=draw_range, metavar="FIRST-LAST")
    run.add_argument("--overrides", nargs="+", default=[], metavar="FIELD=VALUE")
    write = verbs.add_parser("page", help="write the page and its picture")
    write.add_argument("--page", type=Path, default=RESULTS / "few-labels.md")
    show = verbs.add_parser("show", help="print the table of the lines")
    for verb in (run, write, show):
        verb.add_argument("--lines", type=Path, default=_LINES, help="file of the JSON lines")
    arguments = parser.parse_args(argv)
    if arguments.verb == "show":
        print("\n".join(cell_table(read_lines(arguments.lines))))
    elif arguments.verb == "page":
        _write_page(arguments.page, read_lines(arguments.lines))
    else:
        draws: range | None = arguments.draws
        if draws and draws[-1] >= DEVELOPMENT and arguments.lines.resolve() == _LINES:
            run.error(f"draws from {DEVELOPMENT} on are for development; give them --lines FILE")
        at = arguments.data
        source = (f"data.source.root={at}", "data.source.download=false") if at else ()
        setup = Setup(arguments.runs, arguments.lines, source, tuple(arguments.overrides))
        heed_sigterm()
        asked = arguments.cells
        for cells in [[CELLS[name] for name in asked]] if asked else GROUPS:
            fill(setup, cells, draws)


def heed_sigterm() -> None:
    """End by an exception at SIGTERM, so that what trains now writes a checkpoint."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; repeat the command to go on"))


def draw_range(text: str) -> range:
    """Read FIRST-LAST from a command line."""
    first, _, last = text.partition("-")
    draws = range(int(first), int(last or first) + 1)
    if not draws or draws[0] < 1:
        raise argparse.ArgumentTypeError(f"{text} is not FIRST-LAST, as 1-10")
    return draws


def fill(setup: Setup, cells: Sequence[Cell], draws: Iterable[int] | None = None) -> None:
    """Train what has no line and what no other process trains now, a draw of all cells at a time.

    Without draws they are those that the page asks for, of each cell.

    Raises:
        SystemExit: A run cannot be started as it was asked for, or is there with other settings.
    """
    most = max(cell.draws for cell in cells)
    for draw in draws or range(1, most + 1):
        for cell in cells:
            if draws is None and draw > cell.draws:
                continue
            place = setup.runs / cell.name / str(draw)
            with alone_on(place, f"{cell.name}, draw {draw}") as is_alone:
                done = {line.key for line in read_lines(setup.lines)}
                if is_alone and (cell.name, draw) not in done:
                    line = _make(setup, cell, draw, place)
                    add_line(setup.lines, line, setup.runs / "lines.lock")
                    told = line.error or f"0-1 loss {line.value('zero_one_loss_ema'):.4f}"
                    print(f"{cell.name}, draw {draw}: {told}", flush=True)


def _make(setup: Setup, cell: Cell, draw: int, place: Path) -> Line:
    fields = cell.fields(draw, setup.overrides)
    error = train(cell.preset, [*setup.source, *fields], place)
    measured = measure(place) if error is None else {}
    return make_line(cell.name, draw, fields[:-2], place, error, measured)


def make_line(
    cell: str,
    draw: int,
    fields: list[str],
    place: Path,
    error: str | None,
    measured: dict[str, float | None],
) -> Line:
    """Return the line of a run, with the commit that it was trained on."""
    summary = RunDir(place).summary() or {}
    commit = summary.get("environment", {}).get("git_commit") or source_commit()
    return Line(cell, draw, commit, describe_machine(), fields, error, measured)


def train(preset: str, fields: list[str], place: Path) -> str | None:
    """Train a run or the rest of it; return None, or why it failed time after time."""
    wanted, run = load_experiment(preset, fields), RunDir(place)
    for _ in range(_ATTEMPTS):
        start = [preset, *fields, "--out", str(place.parent), "--name", place.name]
        if run.exists(run.identity_file):
            changed = set(difference(run.read_definition(Experiment), wanted))
            if changed - {"data.source.root"}:
                raise SystemExit(
                    f"{place} was trained with another {', '.join(sorted(changed))}; "
                    "take another --runs and --lines"
                )
            if _is_finished(run):
                return None
            start = ["--resume", str(place)]
        log = place.with_name(f"{place.name}.log")
        code = _call([sys.executable, "-m", "ssgan", "train", *start], log)
        if code == 0:
            return None
        told = _reason(run, log) or f"exit code {code}"
        if code == _BAD_INPUT:
            raise SystemExit(f"{place} cannot be trained: {told} (see {log})")
    return told


def _is_finished(run: RunDir) -> bool:
    summary = run.summary()
    return summary is not None and summary["stop_reason"] is None


def _reason(run: RunDir, log: Path) -> str | None:
    """Return what a run says of its end, or else the last line of its log."""
    said = (run.summary() or {}).get("stop_reason") or log.read_text().strip()
    return said.splitlines()[-1] if said else None


def _call(command: list[str], log: Path) -> int:
    """Run a command to its end; whatever stops this process stops it with a checkpoint."""
    with log.open("a") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
        with process:
            try:
                return process.wait()
            except BaseException:
                process.terminate()
                raise


def measure(place: Path) -> dict[str, float | None]:
    """Return what a finished run came to: by its own C, by a second one, and of its labels."""
    loaded = load_run(str(place))
    summary: dict[str, Any] = loaded.run.summary() or {}
    own = summary["metrics"]
    other = with_values(loaded.experiment, {"evaluation.judge.classifier": _SECOND})
    judge = loaded.find_judge(other).judge
    second = loaded.evaluate(other, judge, ("raw", "ema")).metrics
    losses = ("zero_one_loss_ema", "zero_one_loss", "judge_error")
    return {
        **{name: own.get(name) for name in (*losses, "q_ss_accuracy", "diversity")},
        **{f"second_{name}": second.get(name) for name in losses},
        **label_facts(loaded.dataset),
        "images_seen": summary["images_seen"],
        "seconds": summary["seconds"],
    }


def label_facts(dataset: Dataset) -> dict[str, float | None]:
    """Say of the labels how many were spread, how many of these are right, and what they miss."""
    gained = ~dataset.y.isnan() & dataset.budget.mask(dataset.y_known).isnan()
    right = (dataset.y == dataset.y_known)[gained]
    counts = dataset.budget.counts.values()
    return {
        "spread": len(right),
        "spread_right": right.float().mean().item() if len(right) else None,
        "classes_never_seen": sum(not count for of in counts for count in of.values()),
    }


def _write_page(file: Path, lines: Sequence[Line]) -> None:
    text = page(lines)
    if has_curve(line.cell for line in lines):
        drawn = file.with_suffix("") / "curve.png"
        drawn.parent.mkdir(parents=True, exist_ok=True)
        drawn.write_bytes(png(picture(lines)))
    file.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
