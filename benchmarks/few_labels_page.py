"""The page on few labels, from the lines that `benchmarks.few_labels` wrote."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from benchmarks.few_labels_cells import (
    ABLATION,
    AIMED,
    BUDGETS,
    CELLS,
    CURVE,
    DEVELOPMENT,
    Cell,
    Choice,
    Parts,
    compared,
)
from benchmarks.few_labels_lines import Line
from ssgan.drawing.charts import FAINT, GRID, make_figure, render, scale_metric
from ssgan.paper.charts import place_budgets

_LOSS, _SECOND = "zero_one_loss_ema", "second_zero_one_loss_ema"
_COLORS: dict[Parts, str] = {
    "labels": "#8c959f",
    "spread": "#0969da",
    "consistency": "#bf8700",
    "both": "#1a7f37",
}
_TITLES: dict[Parts, str] = {
    "labels": "labels only",
    "spread": "spread",
    "consistency": "consistency",
    "both": "spread and consistency",
}
_STEPS: list[tuple[str, Parts, Parts]] = [
    ("spread", "labels", "spread"),
    ("consistency", "labels", "consistency"),
    ("spread beside consistency", "consistency", "both"),
    ("consistency beside spread", "spread", "both"),
]

Lines = dict[str, dict[int, Line]]
"""By cell and draw."""


class Target(NamedTuple):
    """A figure that is aimed at."""

    title: str
    cell: Cell
    metric: str
    over: Callable[[list[float]], float]
    bound: float
    is_least: bool = False
    """Whether the bound is the least value, and not the most."""


_ONE_A_CLASS, _ASKED, _RANDOM = AIMED
TARGETS = (
    Target("mean 0-1 loss", _ONE_A_CLASS, _LOSS, fmean, 0.02),
    Target("worst 0-1 loss", _ONE_A_CLASS, _LOSS, max, 0.06),
    Target("mean accuracy of Q_ss", _ONE_A_CLASS, "q_ss_accuracy", fmean, 0.96, True),
    Target("mean diversity", _ONE_A_CLASS, "diversity", fmean, 0.9, True),
    Target("most real images a run", _ONE_A_CLASS, "images_seen", max, 128_000),
    Target("mean 0-1 loss", _ASKED, _LOSS, fmean, 0.02),
    Target("worst 0-1 loss", _ASKED, _LOSS, max, 0.05),
)


def page(lines: Sequence[Line]) -> str:
    """Return the page.

    Raises:
        SystemExit: There is no line, one is of a development draw or of no cell of the page, or a
            cell has runs of different settings.
    """
    found = _sorted(lines)
    missing = [name for name, cell in CELLS.items() if len(found.get(name, {})) < cell.draws]
    failed = [line for line in lines if line.error]
    text = [
        "# Few labels",
        "",
        "MNIST with the preset `mnist` and 1,000 updates, by the number of labels and by how they",
        "were chosen: *balanced*, as many of each class, which needs to know the classes; *asked*,",
        "the images that `ssgan label` asks about first, out of a random half of them; *random*.",
        "Beside the labels, {field}`data.spread` and {field}`objective.consistency` teach Q_ss or",
        "not. Draw d has label seed d and seed d in every cell. What the targets are held against",
        "has updates of 128 images in float32; the curve and the ablation compare many more runs,",
        "whose updates have 64 images and are computed in bfloat16.",
        "",
        "The 0-1 loss is C's on the samples of G's moving average, which is what an export holds,",
        "at the end of the training. C learned from the test set and was validated on the train",
        "set, and so was the second C, a Wide ResNet where the first is a plain CNN. Q_ss is",
        "measured on the whole test set; diversity is the mean distance of two images within a",
        f"class over that of real images. Settings were chosen on draws from {DEVELOPMENT} on",
        "alone, none of which is here. A run that fails counts as chance: a loss of 0.9, a",
        "diversity of 0.",
        "",
        "```console",
        "$ python -m benchmarks.few_labels run --runs FOLDER --data ROOT",
        "$ python -m benchmarks.few_labels page",
        "```",
        "",
        "## Targets",
        "",
        *_targets(found),
        "",
        "## Updates of 128 images",
        "",
        *cell_table(line for line in lines if not CELLS[line.cell].is_short),
        "",
        "## By the number of labels, updates of 64 images",
        "",
        *_curve(found),
        *cell_table(line for line in lines if CELLS[line.cell].is_short),
        "",
        "Means over n draws, ± standard deviation; *worst* is of one draw. *Spread* is how many",
        "images gained a label, *right* the share of these labels that are; *unseen* counts the",
        "classes that no label names.",
        "",
        "## The same draws, paired",
        "",
        "Mean difference of the 0-1 loss ± standard deviation, below 0 where the change made it",
        "better, and in how many of the draws it did.",
        "",
        *_asked_and_random(found),
        "",
        *_with_and_without(found),
        "",
    ]
    if failed:
        text += ["## Runs that failed", ""]
        text += [f"- {line.cell}, draw {line.draw}: {line.error}" for line in failed] + [""]
    if missing:
        counts = [f"`{name}` {len(found.get(name, {}))} of {CELLS[name].draws}" for name in missing]
        text += ["## Not run yet", "", f"These cells lack draws: {', '.join(counts)}.", ""]
    text += [
        "## How a draw of each kind is trained",
        "",
        "```console",
        *_commands(found),
        "```",
        "",
    ]
    for name, title in (("judge_error", "C"), ("second_judge_error", "The second C")):
        if errors := _known(lines, name):
            text.append(f"- {title} errs on {fmean(errors):.4f} of real images.")
    if seconds := _known(lines, "seconds"):
        text.append(f"- A run took {min(seconds):.0f} to {max(seconds):.0f} s on one thread.")
    commits = dict.fromkeys(line.commit or "no checkout" for line in lines)
    text.append(f"- Commit{'s' * (len(commits) > 1)}: {', '.join(commits)}.")
    text += ["", f"Machine: {'; '.join(dict.fromkeys(line.machine for line in lines))}.", ""]
    return "\n".join(text)


def _sorted(lines: Sequence[Line]) -> Lines:
    if not lines:
        raise SystemExit("there are no lines; `python -m benchmarks.few_labels run` writes them")
    found: Lines = {}
    for line in lines:
        if line.cell not in CELLS:
            raise SystemExit(f"{line.cell} is no cell of the page; see few_labels_cells.py")
        if line.draw >= DEVELOPMENT:
            raise SystemExit(
                f"{line.cell} has draw {line.draw}; settings are chosen on draws from "
                f"{DEVELOPMENT} on, and reported on others"
            )
        found.setdefault(line.cell, {})[line.draw] = line
    for name, of in found.items():
        if len({tuple(line.fields) for line in of.values()}) > 1:
            raise SystemExit(f"the lines of {name} have different settings; run it again")
    return found


def has_curve(found: Iterable[str]) -> bool:
    """Return whether one of these cells is on the curve."""
    return not {cell.name for cell in CURVE}.isdisjoint(found)


def _curve(found: Lines) -> list[str]:
    if not has_curve(found):
        return []
    return ["![0-1 loss over the number of labels, asked and random](few-labels/curve.png)", ""]


def _targets(found: Lines) -> list[str]:
    rows = ["| what | cell | aim | measured | met |", f"|{' --- |' * 5}"]
    for target in TARGETS:
        values = _values(found, target.cell.name, target.metric)
        form = "{:,.0f}" if target.bound > 1 else "{:.4f}"
        asked = f"at {'least' if target.is_least else 'most'} {target.bound:,}"
        measured, met = "not run", "open"
        if values:
            value = target.over(values)
            measured = form.format(value)
            if target.metric == _LOSS:
                second = target.over(_values(found, target.cell.name, _SECOND))
                measured += f" (second C {form.format(second)})"
            is_met = value >= target.bound if target.is_least else value <= target.bound
            met = "yes" if is_met else "no"
            if len(values) < target.cell.draws:
                met = f"open: {met} in {len(values)} of {target.cell.draws} draws"
        rows.append(f"| {target.title} | {target.cell.name} | {asked} | {measured} | {met} |")
    for title, cells in (("ablation on the same draws", ABLATION), ("curve", CURVE)):
        runs = sum(min(len(found.get(cell.name, {})), cell.draws) for cell in cells)
        wanted = sum(cell.draws for cell in cells)
        met = "yes" if runs == wanted else "open"
        rows.append(f"| {title} | {len(cells)} cells | {wanted} runs | {runs} runs | {met} |")
    return rows


def cell_table(lines: Iterable[Line]) -> list[str]:
    """Return the table of all cells that lines are of, in the page's order."""
    head = (
        *("labels", "chosen", "taught by", "batch", "n"),
        *("0-1 loss", "worst", "second C", "worst"),
        *("Q_ss", "worst", "diversity", "spread", "right", "unseen"),
    )
    rows = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    found: Lines = {}
    for line in lines:
        found.setdefault(line.cell, {})[line.draw] = line
    for name, cell in CELLS.items():
        if name not in found:
            continue

        def over(metric: str, name: str = name) -> list[float]:
            return _values(found, name, metric)

        gained, right, unseen = map(over, ("spread", "spread_right", "classes_never_seen"))
        cells = (
            *(str(cell.labels), cell.choice, _TITLES[cell.parts]),
            *("64" if cell.is_short else "128", str(len(found[name]))),
            *(_spread(over(_LOSS)), f"{max(over(_LOSS)):.4f}"),
            *(_spread(over(_SECOND)), f"{max(over(_SECOND)):.4f}"),
            *(_spread(over("q_ss_accuracy")), f"{min(over('q_ss_accuracy')):.4f}"),
            f"{fmean(over('diversity')):.2f}",
            f"{fmean(gained):,.0f}" if right else "",
            f"{fmean(right):.4f}" if right else "",
            f"{fmean(unseen):.1f}" if unseen else "",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _asked_and_random(found: Lines) -> list[str]:
    rows = [
        f"| asked instead of random | {' | '.join(_TITLES.values())} |",
        f"|{' --- |' * (1 + len(_TITLES))}",
    ]
    for labels in BUDGETS:
        pairs = zip(compared(labels, "random"), compared(labels, "asked"), strict=True)
        cells = [_difference(found, before, after) for before, after in pairs]
        rows.append(f"| {labels} labels | {' | '.join(cells)} |")
    of_full_length = {_RANDOM.parts: _difference(found, _RANDOM, _ASKED)}
    cells = [of_full_length.get(parts, "") for parts in _TITLES]
    return [*rows, f"| {_ASKED.labels} labels, updates of 128 | {' | '.join(cells)} |"]


def _with_and_without(found: Lines) -> list[str]:
    rows = [f"| gains | {' | '.join(title for title, *_ in _STEPS)} |"]
    rows.append(f"|{' --- |' * (1 + len(_STEPS))}")
    kinds = dict.fromkeys((cell.labels, cell.choice) for cell in [*ABLATION, *CURVE])
    for labels, choice in kinds:
        of = {cell.parts: cell for cell in compared(labels, choice)}
        cells = [_difference(found, of[before], of[after]) for _, before, after in _STEPS]
        rows.append(f"| {labels} labels, {choice} | {' | '.join(cells)} |")
    return rows


def _difference(found: Lines, before: Cell, after: Cell) -> str:
    """Compare the 0-1 loss of two cells on the draws that both have."""
    pair = [found.get(cell.name, {}) for cell in (before, after)]
    draws = pair[0].keys() & pair[1].keys()
    losses = [_known((of[draw] for draw in sorted(draws)), _LOSS) for of in pair]
    changes = [new - old for old, new in zip(*losses, strict=True)]
    if not changes:
        return "not run"
    better = sum(change < 0 for change in changes)
    return f"{_spread(changes, '+')}; {better} of {len(changes)}"


def _commands(found: Lines) -> Iterator[str]:
    """Write how the first run of the first budget of each kind of cell is trained."""
    kinds: dict[tuple[str, str, bool], Cell] = {}
    for name, cell in CELLS.items():
        if name in found:
            kinds.setdefault((cell.choice, cell.parts, cell.is_short), cell)
    for cell in kinds.values():
        line = min(found[cell.name].values(), key=lambda line: line.draw)
        draw = [f"data.label_seed={line.draw}", f"seed={line.draw}"]
        yield f"$ ssgan train {shlex.join([cell.preset, *line.fields, *draw])}"


def picture(lines: Sequence[Line]) -> Image.Image:
    """Draw the 0-1 loss over the number of labels, asked and random, with each part and without."""
    found = _sorted(lines)
    figure, whole = make_figure(10.0, 4.6, "")
    figure.suptitle("0-1 loss on MNIST by the number of labels", fontsize=11, x=0.01, ha="left")
    whole.remove()
    panels = figure.subplots(1, 2, sharey=True)
    shown = []
    places = place_budgets(BUDGETS)
    choices: tuple[Choice, ...] = ("asked", "random")
    for axes, choice in zip(panels, choices, strict=True):
        axes.set_title(choice, fontsize=10)
        axes.set_xticks(places, [f"{labels}" for labels in BUDGETS])
        axes.set(xlabel="labeled images", axisbelow=True)
        margin = (places[-1] - places[0]) / 20
        axes.set_xlim(places[0] - margin, places[-1] + margin)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        for parts, color in _COLORS.items():
            means = []
            for place, labels in zip(places, BUDGETS, strict=True):
                values = _values(found, Cell(labels, choice, parts, is_short=True).name, _LOSS)
                axes.plot([place] * len(values), values, "o", color=color, ms=3, alpha=0.4, mew=0)
                means += [(place, fmean(values))] if values else []
                shown += values
            if means:
                axes.plot(*zip(*means, strict=True), "_-", color=color, lw=2.2, ms=12, mew=2.2)
    if shown:
        scale_metric(panels[0], shown)
    else:
        panels[0].text(0.5, 0.5, "not run", transform=panels[0].transAxes, color=FAINT)
    panels[0].set_ylabel("0-1 loss of samples (EMA)")
    _add_legend(figure)
    return render(figure)


def _add_legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=color, lw=2.2, label=_TITLES[parts])
        for parts, color in _COLORS.items()
    ]
    figure.legend(
        handles=handles,
        title="dots: draws, lines: their means",
        loc="outside lower left",
        ncols=4,
        frameon=False,
        alignment="left",
    )


def _values(found: Lines, cell: str, metric: str) -> list[float]:
    """Return a metric of all draws of a cell that have one."""
    return _known(found.get(cell, {}).values(), metric)


def _known(lines: Iterable[Line], metric: str) -> list[float]:
    return [value for line in lines if (value := line.value(metric)) is not None]


def _spread(values: Sequence[float], sign: str = "") -> str:
    deviation = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
    return f"{fmean(values):{sign}.4f}{deviation}"
