"""One experiment's report: its claims with their verdicts, its figures, and what it rests on."""

from collections.abc import Collection, Iterator, Sequence
from statistics import mean

from matplotlib.figure import Figure as Plot
from PIL import Image

from ssgan.base.config import Config
from ssgan.drawing.charts import render
from ssgan.drawing.sheet import png
from ssgan.evaluation import catalog
from ssgan.evaluation.grids import Real
from ssgan.evaluation.judge import JudgeCard
from ssgan.paper.charts import plot_bounds, plot_budgets, plot_losses
from ssgan.paper.claims import claims_of, finals_of
from ssgan.paper.epochs import choose_epochs, epochs_figure
from ssgan.paper.findings import less, mean_and_spread
from ssgan.paper.grids import blocks_figure, sample_figure, traversal_figure
from ssgan.paper.interpretation.correlation import HEADER, interpret_group, write_row
from ssgan.paper.pages import Figure, Report, Table
from ssgan.paper.plans import Plan, Size
from ssgan.paper.runs import Group, curves_csv, mean_final

_LOSS = "zero_one_loss_ema"


class Facts(Config):
    """What a report rests on and the run directories do not say: written before the first run."""

    size: Size
    command: str
    """What made the runs."""
    data: str
    """Name of the data set."""
    train_images: int
    """Images that G and D saw, of which the label budget is a part."""
    judge_images: int
    """Other images, from which C learned."""
    provenance: dict[str, str]
    """How the images were divided and changed."""
    machine: str
    """Where the runs were made."""
    commit: str | None
    """By which state of the project."""


def make_report(
    plan: Plan,
    groups: Sequence[Group],
    facts: Sequence[Facts],
    judge: JudgeCard | None = None,
    real: Real | None = None,
) -> Report:
    """Decide the claims and draw the figures of finished runs, fewest labels first.

    There are facts of each search that had a part in it. C's own error code by code, of `judge`,
    and `real` images next to synthetic ones are left out where they are None.
    """
    title = f"{plan.title} ({f'section {plan.section}' if plan.section else 'beyond the paper'})"
    beyond = set(map(str, plan.beyond))
    of_paper = [group for group in groups if group.amount not in beyond] or groups
    figures = (
        Figure(name, caption, png(render(image) if isinstance(image, Plot) else image))
        for name, caption, image in _pictures(plan, groups, of_paper, real)
        if image is not None
    )
    return Report(
        title=title,
        about=_about(groups, facts),
        tables=(
            _claims(plan, of_paper),
            _numbers(groups),
            *_by_code(groups, judge),
            _interpretations(groups),
            _basis(plan, groups, facts),
        ),
        figures=tuple(figures),
        curves=curves_csv(groups),
    )


def _about(groups: Sequence[Group], facts: Sequence[Facts]) -> tuple[str, ...]:
    seeds = sorted({len(group.runs) for group in groups})
    training = groups[0].runs[0].experiment.training
    commands = " and ".join(f"`{one.command}`" for one in facts)
    return (
        f"Made by {commands}: n = {' to '.join(map(str, seeds))} of each label budget, "
        f"{training.epochs * training.steps_per_epoch:,} updates of {training.batch_size} images "
        "each.",
        "0-1 losses are those of an independent classifier C on class-conditional samples of G's "
        "moving average. At a budget of 0 (InfoGAN) nothing ties a code's classes to labels, so "
        "they are matched by the Hungarian method first, in InfoGAN's favor.",
    )


def _claims(plan: Plan, groups: Sequence[Group]) -> Table:
    found = [(claim, claim.decide(groups)) for claim in claims_of(plan.name, plan.chance)]
    rows = [
        (claim.section, claim.text, finding.verdict, claim.measure, finding.measured, finding.why)
        for claim, finding in found
    ]
    note = (
        "A claim holds, or does not, where a one-sided test over seeds rejects the opposite at 5 % "
        "and the difference exceeds C's own error; else this budget does not decide it. Values are "
        "mean ± standard deviation over n runs."
    )
    head = ("section", "claim", "verdict", "measured as", "value", "why")
    return Table("Claims", head, tuple(rows), note)


def _numbers(groups: Sequence[Group]) -> Table:
    columns = [_LOSS, "q_ss_accuracy", "mi_x_xtilde", "fd_judge", "diversity"]
    for code in groups[0].supervised(continuous=True):
        columns += [f"{name}/{groups[0].spell(code)}" for name in ("correlation", "rmse")]
    head = ("labels", "runs", *map(catalog.title, columns))
    return Table("At the end of the training", head, tuple(_last_values(groups, columns)))


def _last_values(groups: Sequence[Group], metrics: Collection[str]) -> list[tuple[str, ...]]:
    """Write a row a label budget: its title, its runs, and the last value of each metric."""
    return [
        (group.title, str(len(group.runs)), *map(mean_and_spread, map(group.finals, metrics)))
        for group in groups
    ]


def _by_code(groups: Sequence[Group], judge: JudgeCard | None) -> tuple[Table, ...]:
    """Tell the codes apart, where the 0-1 loss above is the mean of several."""
    codes = groups[0].supervised(continuous=False)
    if len(codes) < 2:
        return ()
    errors = {} if judge is None else {code: 1 - judge.accuracy[code] for code in judge.accuracy}
    metrics = {code: f"{_LOSS}/{groups[0].spell(code)}" for code in codes}
    rows = _last_values(groups, metrics.values())
    if judge is not None:
        own = (f"{errors[code]:.4f}" if code in errors else "not measured" for code in codes)
        rows.append(("C's own error", "", *own))
    head = ("labels", "runs", *codes)
    losses = Table("0-1 loss of each code at the end", head, tuple(rows))
    baseline, *labeled = groups
    if baseline.labels or not labeled or not errors:
        return (losses,)
    rows = [
        (
            group.title,
            f"{len(group.runs)} beside {len(baseline.runs)}",
            *(_control(group, baseline, metrics[code], errors.get(code)) for code in codes),
        )
        for group in labeled
    ]
    note = (
        "How much lower each code's 0-1 loss is than InfoGAN's with classes matched, and whether "
        "that decides that labels gave the code its meaning: as the claims above, by C's own error "
        "in that code."
    )
    return losses, Table("Control of each code", head, tuple(rows), note)


def _control(group: Group, baseline: Group, metric: str, error: float | None) -> str:
    """Write by how much a budget's loss is below the baseline's, and the verdict."""
    one, other = finals_of(group, metric), finals_of(baseline, metric)
    if error is None or not one.values or not other.values:
        return "not measured"
    return f"{mean(other.values) - mean(one.values):+.4f}, {less(one, other, error).verdict}"


def _interpretations(groups: Sequence[Group]) -> Table:
    return Table(
        "How interpretable the unsupervised codes are",
        HEADER,
        tuple(write_row(group.title, interpret_group(group)) for group in groups),
        "Of each continuous code the strongest absolute correlation with a trait of the generated "
        "images, within classes; mean over codes, mean ± standard deviation over runs. Chance is "
        "what a code that G never saw stays below in 95 of 100 cases.",
    )


def _basis(plan: Plan, groups: Sequence[Group], facts: Sequence[Facts]) -> Table:
    data = facts[0]
    classifier = groups[0].runs[0].experiment.evaluation.judge.classifier
    sizes = classifier.model_dump(mode="json", exclude={"kind"})
    error = mean_final(groups, "judge_error")
    where = "on the train split, which it never learned from"
    seen = sorted({run.records[-1].images_seen for g in groups for run in g.runs if run.records})
    own_errors = {
        code: groups[0].finals(f"judge_rmse/{groups[0].spell(code)}")
        for code in groups[0].supervised(continuous=True)
    }
    rows = [
        ("data", data.data),
        ("G, D and Q learned from", f"{data.train_images:,} images (train split)"),
        ("C learned from", f"{data.judge_images:,} others (test split)"),
        *sorted(data.provenance.items()),
        ("C", ", ".join([classifier.kind, *(f"{name} {size}" for name, size in sizes.items())])),
        ("C's own error", "not measured" if error is None else f"{error:.4f} {where}"),
        *(
            (f"C's own error in {code}", f"{mean_and_spread(own[:1])} (RMSE, in its units)")
            for code, own in own_errors.items()
            if own
        ),
        (
            "images seen by a run",
            " to ".join(f"{images:,}" for images in dict.fromkeys(seen[:1] + seen[-1:])),
        ),
        ("chance", f"0-1 loss {plan.chance:g}"),
        ("machine", "; ".join(dict.fromkeys(one.machine for one in facts))),
        ("commit", ", ".join(dict.fromkeys(one.commit or "not known" for one in facts))),
    ]
    return Table("What it rests on", ("", ""), tuple(rows))


def _pictures(
    plan: Plan, groups: Sequence[Group], of_paper: Sequence[Group], real: Real | None
) -> Iterator[tuple[str, str, Image.Image | Plot | None]]:
    """Yield names, captions and pictures: the paper's, with its numbers, and this project's own."""
    labeled = [group for group in groups if group.labels]
    baseline = [group for group in groups if not group.labels]
    yield (
        "zero-one-loss",
        _caption(
            plan.loss_figure,
            "0-1 loss of synthetic images over the training, by label budget; C's own error is "
            "dashed.",
        ),
        plot_losses(groups, f"{plan.title}: 0-1 loss of class-conditional samples"),
    )
    yield (
        "label-budgets",
        "0-1 loss at the end over the number of labels; chance is dashed.",
        plot_budgets(groups, _LOSS, f"{plan.title}: how few labels are enough", plan.chance),
    )
    for group in labeled if plan.blocks_figure else ():
        yield (
            f"blocks-{group.amount.replace('%', '-percent')}",
            f"Figure {plan.blocks_figure}: {group.title}. In each block one attribute changes "
            "downward, another to the right, all else is kept.",
            blocks_figure(group),
        )
    for code in groups[0].supervised(continuous=True):
        metric = f"correlation/{groups[0].spell(code)}"
        yield (
            f"correlation-{code}",
            f"The {code} asked for and the one that C measures: their correlation at the end over "
            "the number of labels.",
            plot_budgets(groups, metric, f"{plan.title}: {code}, asked and measured"),
        )
        yield (
            f"knob-{code}",
            f"The supervised code {code} from one end of its range to the other, and beyond; a "
            "class a row, all else kept.",
            traversal_figure(labeled, code),
        )
    traversed = [group for group in of_paper if group.labels]
    if plan.beside_infogan:
        traversed = traversed[:1] + [group for group in of_paper if not group.labels]
    codes = of_paper[0].runs[0].experiment.codes.unsupervised
    for code in [code.name for code in codes if code.size == 1][: plan.traversals]:
        yield (
            f"traversal-{code}",
            _caption(
                plan.traversal_figure,
                f"the unsupervised code {code} from -2 to 2, a class a row, all else kept.",
            ),
            traversal_figure(traversed, code),
        )
    yield (
        "samples",
        _caption(
            plan.sample_figure,
            "random samples, by label budget; a class a row where there are classes.",
        ),
        sample_figure(groups, real),
    )
    if plan.epochs_figure:
        yield (
            "epochs",
            f"Figure {plan.epochs_figure}: all labels and none, at the same epochs.",
            epochs_figure(labeled[-1:] + baseline, choose_epochs(groups)),
        )
    for code in groups[0].supervised(continuous=False):
        yield (
            f"bounds-{code}",
            f"Section 3.2: the bounds of {code} over the training, in nats, means over seeds.",
            plot_bounds(groups, code),
        )


def _caption(figure: str | None, text: str) -> str:
    """Begin a caption with the paper's figure, where there is one."""
    return f"Figure {figure}: {text}" if figure else text[:1].upper() + text[1:]
