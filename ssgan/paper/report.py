"""One experiment's report: its claims with their verdicts, its figures, and what it rests on."""

from collections.abc import Iterable, Sequence
from statistics import mean

from ssgan.base.config import Config
from ssgan.evaluation import catalog
from ssgan.evaluation.grids import Real
from ssgan.evaluation.judge import JudgeCard
from ssgan.paper.claims import claims_of, finals_of
from ssgan.paper.findings import less, mean_and_spread
from ssgan.paper.gallery import draw_figures
from ssgan.paper.interpretation.correlation import HEADER, interpret_group
from ssgan.paper.pages import Report, Table
from ssgan.paper.plans import Plan, Size
from ssgan.paper.runs import Group, curves_csv, mean_final

_LOSS = "zero_one_loss_ema"


class Facts(Config):
    """What a report rests on and the run directories do not say: written when the runs end."""

    size: Size
    """The budget of computing."""
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
    """Decide the claims and draw the figures of finished runs.

    Args:
        plan: The experiment.
        groups: Its finished runs by label budget.
        facts: What it rests on, of each search that had a part in it.
        judge: C, whose own error is told code by code; None leaves that out.
        real: Real images to stand beside synthetic ones; None leaves them out.
    """
    title = f"{plan.title} ({f'section {plan.section}' if plan.section else 'beyond the paper'})"
    beyond = set(map(str, plan.beyond))
    of_paper = [group for group in groups if group.amount not in beyond] or groups
    return Report(
        title=title,
        about=_about(groups, facts),
        findings=tuple(
            (claim, claim.decide(of_paper)) for claim in claims_of(plan.name, plan.chance)
        ),
        tables=(
            _numbers(groups),
            *_by_code(groups, judge),
            _interpretations(groups),
            _basis(plan, groups, facts),
        ),
        figures=tuple(draw_figures(plan, groups, of_paper, real)),
        curves=curves_csv(groups),
    )


def _about(groups: Sequence[Group], facts: Sequence[Facts]) -> tuple[str, ...]:
    seeds = sorted({len(group.runs) for group in groups})
    runs = " to ".join(map(str, seeds))
    first = groups[0].runs[0].experiment
    commands = " and ".join(f"`{one.command}`" for one in facts)
    return (
        f"Made by {commands}: n = {runs} of each label budget, "
        f"{first.training.epochs * first.training.steps_per_epoch:,} updates of "
        f"{first.training.batch_size} images each.",
        "0-1 losses are those of an independent classifier C on class-conditional samples of G's "
        "moving average. At a budget of 0 (InfoGAN) nothing ties a code's classes to labels, so "
        "they are matched by the Hungarian method first, in InfoGAN's favor.",
    )


def _numbers(groups: Sequence[Group]) -> Table:
    columns = [_LOSS, "q_ss_accuracy", "mi_x_xtilde", "fd_judge", "diversity"]
    for code in groups[0].supervised(continuous=True):
        columns += [f"{name}/{groups[0].spell(code)}" for name in ("correlation", "rmse")]
    head = ("labels", "runs", *map(catalog.title, columns))
    return Table("At the end of the training", head, tuple(_last_values(groups, columns)))


def _last_values(groups: Sequence[Group], metrics: Iterable[str]) -> list[tuple[str, ...]]:
    """Write a row a label budget: its title, its runs, and the last value of each metric."""
    names = tuple(metrics)
    return [
        (
            group.title,
            str(len(group.runs)),
            *(mean_and_spread(group.finals(name)) for name in names),
        )
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
        tuple(interpret_group(group).row() for group in groups),
        "Of each continuous code the strongest absolute correlation with a trait of the generated "
        "images, within classes; mean over codes, mean ± standard deviation over runs. Chance is "
        "what a code that G never saw stays below in 95 of 100 cases.",
    )


def _basis(plan: Plan, groups: Sequence[Group], facts: Sequence[Facts]) -> Table:
    data = facts[0]
    machines = dict.fromkeys(one.machine for one in facts)
    commits = dict.fromkeys(one.commit or "not known" for one in facts)
    classifier = groups[0].runs[0].experiment.evaluation.judge.classifier
    sizes = classifier.model_dump(mode="json", exclude={"kind"})
    error = mean_final(groups, "judge_error")
    seen = sorted(
        {record.images_seen for g in groups for run in g.runs for record in run.records[-1:]}
    )
    rows = [
        ("data", data.data),
        ("G, D and Q learned from", f"{data.train_images:,} images (train split)"),
        ("C learned from", f"{data.judge_images:,} others (test split)"),
        *((key, value) for key, value in sorted(data.provenance.items())),
        ("C", ", ".join([classifier.kind, *(f"{name} {size}" for name, size in sizes.items())])),
        (
            "C's own error",
            "not measured"
            if error is None
            else f"{error:.4f} on the train split, which it never learned from",
        ),
        *(
            (
                f"C's own error in {code}",
                f"{mean_and_spread(own[:1])} (RMSE, in its units)",
            )
            for code in groups[0].supervised(continuous=True)
            if (own := groups[0].finals(f"judge_rmse/{groups[0].spell(code)}"))
        ),
        (
            "images seen by a run",
            " to ".join(f"{images:,}" for images in (seen[:1] + seen[1:][-1:])),
        ),
        ("chance", f"0-1 loss {plan.chance:g}"),
        ("machine", "; ".join(machines)),
        ("commit", ", ".join(commits)),
    ]
    return Table("What it rests on", ("", ""), tuple(rows))
