"""Whether samples teach, and whether they are copies: digits, MNIST with 132 labels, SVHN with 600.

``python -m benchmarks.teaches run --runs FOLDER --data ROOT`` trains each generator as ``ssgan
train`` does, teaches the classifiers of `ssgan.evaluation.teaching` and looks for copies among the
samples (`ssgan.evaluation.copy_audit`). Each result is a line of docs/results/teaches.jsonl. It may
be stopped and repeated, and several may work on one folder. ``page`` makes the page from these
lines alone.

A run that fails twice in a row has lines, too, with its error, and what it teaches counts as
chance. Delete the lines to have it trained again.
"""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import fmean

from benchmarks.few_labels import Setup, draw_range, heed_sigterm, make_line, train
from benchmarks.few_labels_lines import add_line, alone_on, read_lines
from benchmarks.heaps import source_fields
from benchmarks.results_page import RESULTS
from benchmarks.teaches_page import DATA, PARTS, SEEDS, Data, Part, page, picture_file
from ssgan.drawing.sheet import png
from ssgan.launch.loaded_run import LoadedRun, load_run

_LINES = RESULTS / "teaches.jsonl"
_RUN_FACTS = ("zero_one_loss_ema", "q_ss_accuracy", "diversity", "judge_error")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is missing, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="measure what is missing")
    run.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    run.add_argument("--data", type=Path, default=Path(), help="folder of MNIST's and SVHN's files")
    run.add_argument("--sets", nargs="+", choices=DATA, default=[*DATA], metavar="SET")
    run.add_argument("--seeds", type=draw_range, default=range(1, SEEDS + 1), metavar="FIRST-LAST")
    run.add_argument("--overrides", nargs="+", default=[], metavar="FIELD=VALUE")
    write = verbs.add_parser("page", help="write the page")
    write.add_argument("--page", type=Path, default=RESULTS / "teaches.md")
    for verb in (run, write):
        verb.add_argument("--lines", type=Path, default=_LINES, help="file of the JSON lines")
    arguments = parser.parse_args(argv)
    if arguments.verb == "page":
        text = page(read_lines(arguments.lines))
        arguments.page.write_text(text)
        print(text)
        return
    heed_sigterm()
    setup = Setup(arguments.runs, arguments.lines, overrides=tuple(arguments.overrides))
    for seed in arguments.seeds:
        for name in arguments.sets:
            fill(setup, DATA[name], seed, arguments.data)


def fill(setup: Setup, data: Data, seed: int, root: Path) -> None:
    """Train a generator and measure what has no line, unless another process does that now.

    Raises:
        SystemExit: The run cannot be started as it was asked for, or has other settings.
    """
    place = setup.runs / data.preset / str(seed)
    with alone_on(place, f"{data.preset}, seed {seed}") as is_alone:
        if not is_alone:
            return
        done = {line.key for line in read_lines(setup.lines)}
        missing = [part for part in PARTS if (data.cell(part), seed) not in done]
        if not missing:
            return
        set_here = [*data.fields, *setup.overrides]
        draw = [f"data.label_seed={seed}", f"seed={seed}"]
        error = train(data.preset, [*source_fields(data.preset, root), *set_here, *draw], place)
        loaded = load_run(str(place)) if error is None else None
        for part in missing:
            measured = {} if loaded is None else measure(loaded, part, _picture(setup, data, seed))
            line = make_line(data.cell(part), seed, set_here, place, error, measured)
            add_line(setup.lines, line, setup.runs / "lines.lock")
            print(f"{data.preset}, seed {seed}, {part}: {error or measured}", flush=True)


def _picture(setup: Setup, data: Data, seed: int) -> Path | None:
    """Return where the closest pairs of a run go; None where they are not drawn."""
    return setup.lines.parent / picture_file(data) if seed == 1 and data.license else None


def measure(loaded: LoadedRun, part: Part, picture: Path | None) -> dict[str, float | None]:
    """Measure a part of what the page says of a finished run."""
    if part == "copies":
        return _measure_copies(loaded, picture)
    lesson = loaded.teach(loaded.experiment, part)
    recorded = (loaded.run.summary() or {})["metrics"]
    return {
        "accuracy": fmean(lesson.accuracy.values()),
        "images": lesson.images,
        "updates": lesson.updates,
        "right": fmean(lesson.right.values()) if lesson.right else None,
        **{name: recorded.get(name) for name in _RUN_FACTS if part == "samples"},
    }


def _measure_copies(loaded: LoadedRun, picture: Path | None) -> dict[str, float | None]:
    judge = loaded.find_judge(loaded.experiment).judge
    assert judge is not None
    audit = loaded.audit_copies(loaded.experiment, judge)
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(png(audit.pairs))
    return {one.name: getattr(audit, one.name) for one in fields(audit) if one.name != "pairs"}


if __name__ == "__main__":
    main()
