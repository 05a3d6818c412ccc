"""A table over seeds from finished runs: ``python -m benchmarks.seeds RUN... --page PAGE.md``.

The runs must be the same experiment but for the seed. Nothing is trained or measured here; every
figure is read from the runs' summaries, and the page is rebuilt by the same command.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssgan.evaluation import catalog
from ssgan.experiment.fields import difference
from ssgan.experiment.tree import Experiment
from ssgan.launch.machine import describe_machine
from ssgan.records.rundir import RunDir

_COLUMNS = {
    "zero_one_loss_ema": "{:.4f}",
    "zero_one_loss": "{:.4f}",
    "q_ss_accuracy": "{:.4f}",
    "diversity": "{:.3f}",
    "fd_judge": "{:.2f}",
    "judge_error": "{:.4f}",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Read the runs, check that they belong together, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--title", required=True)
    parser.add_argument("--command", required=True, help="how one of the runs was made")
    parser.add_argument("--picture", help="path from the page to samples of the first run")
    parser.add_argument("--page", type=Path, required=True)
    arguments = parser.parse_args(argv)
    runs = [RunDir.open(run) for run in arguments.runs]
    text = page(arguments.title, arguments.command, runs, arguments.picture)
    arguments.page.write_text(text)
    print(text)


def page(title: str, command: str, runs: list[RunDir], picture: str | None) -> str:
    """Return the page: a row a seed, then mean and standard deviation.

    Raises:
        SystemExit: There are fewer than two runs, one is not finished, or one differs in more
            than its seed.
    """
    if len(runs) < 2:
        raise SystemExit("a spread needs two runs or more")
    summaries = [_summary(run) for run in runs]
    experiments = [Experiment.from_yaml(run.definition()) for run in runs]
    for run, other in zip(runs, experiments, strict=True):
        changed = set(difference(experiments[0], other)) - {"seed"}
        if changed:
            raise SystemExit(f"{run.location} differs in {', '.join(sorted(changed))}")
    first = experiments[0]
    updates = first.training.epochs * first.training.steps_per_epoch
    values = {
        key: [summary["metrics"].get(key) for summary in summaries]
        for key in _COLUMNS
        if all(summary["metrics"].get(key) is not None for summary in summaries)
    }
    rows = [
        _row("seed", [catalog.title(key) for key in values]),
        _row("---", ["---"] * len(values)),
    ]
    for index, experiment in enumerate(experiments):
        cells = [_COLUMNS[key].format(column[index]) for key, column in values.items()]
        rows.append(_row(str(experiment.seed), cells))
    for name, of in (("mean", statistics.mean), ("standard deviation", statistics.stdev)):
        rows.append(_row(name, [_COLUMNS[key].format(of(v)) for key, v in values.items()]))
    lines = [
        f"# {title}",
        "",
        f"Preset `{first.name}`, label budget {first.data.labels}, {updates:,} updates of",
        f"{first.training.batch_size} images, n = {len(runs)} seeds. One run:",
        "",
        "```console",
        f"$ {command}",
        "```",
        "",
        f"The 0-1 loss is C's on {first.evaluation.samples:,} class-conditional samples after the",
        "last update; C learned from the judge split (the paper's test set) and was validated on",
        "the train split. EMA is the moving average of G, which is what an export holds. Diversity",
        "is the mean distance of two images within a class, over that of real images.",
        "",
        *rows,
        "",
        f"Machine: {describe_machine()}; ssgan {summaries[0]['environment']['ssgan']}.",
        "",
    ]
    if picture is not None:
        lines += [f"![Real digits and samples of seed {first.seed}, a class a row]({picture})", ""]
    return "\n".join(lines)


def _summary(run: RunDir) -> dict[str, Any]:
    summary = run.summary()
    if summary is None:
        raise SystemExit(f"{run.location} is not finished; resume it with ssgan train --resume")
    return summary


def _row(name: str, cells: list[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"


if __name__ == "__main__":
    main()
