"""One experiment's report: its claims with their verdicts, its figures, and what it rests on."""

from collections.abc import Iterator, Sequence

from PIL import Image

from ssgan.config import Config
from ssgan.evaluation.figures import png
from ssgan.paper.budgets import budget_figure
from ssgan.paper.claims import claims_of, judge_error
from ssgan.paper.curves import bounds_figure, loss_figure
from ssgan.paper.findings import mean_and_spread
from ssgan.paper.interpretation import HEADER, interpret_group
from ssgan.paper.numbers import curves_csv
from ssgan.paper.pages import Figure, Report, Table
from ssgan.paper.pictures import Real, blocks_figure, sample_figure, traversal_figure
from ssgan.paper.plans import Plan, Size
from ssgan.paper.recorded import choose_epochs, epochs_figure
from ssgan.paper.runs import Group

_LOSS = "zero_one_loss_ema"
Drawn = Iterator[tuple[str, str, Image.Image | None]]


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
    plan: Plan, groups: Sequence[Group], facts: Facts, real: Real | None = None
) -> Report:
    """Decide the claims and draw the figures of finished runs.

    Args:
        plan: The experiment.
        groups: Its finished runs by label budget.
        facts: What it rests on.
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
        tables=(_numbers(groups), _interpretations(groups), _basis(plan, groups, facts)),
        figures=tuple(
            Figure(name, caption, png(image))
            for name, caption, image in _figures(plan, groups, of_paper, real)
            if image is not None
        ),
        curves=curves_csv(groups),
    )


def _about(groups: Sequence[Group], facts: Facts) -> tuple[str, ...]:
    seeds = sorted({len(group.runs) for group in groups})
    runs = " to ".join(map(str, seeds))
    first = groups[0].runs[0].experiment
    return (
        f"Made by `{facts.command}`: n = {runs} of each label budget, "
        f"{first.training.epochs * first.training.steps_per_epoch:,} updates of "
        f"{first.training.batch_size} images each.",
        "0-1 losses are those of an independent classifier C on class-conditional samples of G's "
        "moving average. At a budget of 0 (InfoGAN) nothing ties a code's classes to labels, so "
        "they are matched by the Hungarian method first, in InfoGAN's favor.",
    )


def _numbers(groups: Sequence[Group]) -> Table:
    columns = {
        _LOSS: "0-1 loss",
        "q_ss_accuracy": "Q_ss accuracy",
        "mi_x_xtilde": "bound on I(X; X̃), nats",
        "fd_judge": "FD in C's features",
        "diversity": "diversity",
    }
    for code in _supervised(groups, continuous=True):
        columns[f"correlation/{groups[0].spell(code)}"] = f"correlation of {code}"
        columns[f"rmse/{groups[0].spell(code)}"] = f"RMSE of {code}"
    rows = tuple(
        (
            group.title,
            str(len(group.runs)),
            *(mean_and_spread(group.finals(key)) for key in columns),
        )
        for group in groups
    )
    return Table("At the end of the training", ("labels", "runs", *columns.values()), rows)


def _interpretations(groups: Sequence[Group]) -> Table:
    return Table(
        "How interpretable the unsupervised codes are",
        HEADER,
        tuple(interpret_group(group).row() for group in groups),
        "Of each continuous code the strongest absolute correlation with a trait of the generated "
        "images, within classes; mean over codes, mean ± standard deviation over runs. Chance is "
        "what a code that G never saw stays below in 95 of 100 cases.",
    )


def _basis(plan: Plan, groups: Sequence[Group], facts: Facts) -> Table:
    classifier = groups[0].runs[0].experiment.evaluation.judge.classifier
    errors = [error for group in groups for error in group.finals("judge_error")]
    seen = sorted(
        {record.images_seen for g in groups for run in g.runs for record in run.records[-1:]}
    )
    rows = [
        ("data", facts.data),
        ("G, D and Q learned from", f"{facts.train_images:,} images (train split)"),
        ("C learned from", f"{facts.judge_images:,} others (judge split)"),
        *((key, value) for key, value in sorted(facts.provenance.items())),
        ("C", f"{classifier.architecture}, width {classifier.width}, depth {classifier.depth}"),
        (
            "C's own error",
            f"{judge_error(groups):.4f} on the train split, which it never learned from"
            if errors
            else "not measured",
        ),
        *(
            (
                f"C's own error in {code}",
                f"{mean_and_spread(own[:1])} (RMSE, in its units)",
            )
            for code in _supervised(groups, continuous=True)
            if (own := groups[0].finals(f"judge_rmse/{groups[0].spell(code)}"))
        ),
        (
            "images seen by a run",
            " to ".join(f"{images:,}" for images in (seen[:1] + seen[1:][-1:])),
        ),
        ("chance", f"0-1 loss {plan.chance:g}"),
        ("machine", facts.machine),
        ("commit", facts.commit or "not known"),
    ]
    return Table("What it rests on", ("", ""), tuple(rows))


def _figures(
    plan: Plan, groups: Sequence[Group], of_paper: Sequence[Group], real: Real | None
) -> Drawn:
    first = groups[0].runs[0].experiment
    continuous = [code.name for code in first.codes.unsupervised if code.size == 1]
    labelled = [group for group in groups if group.labels > 0]
    baseline = [group for group in groups if group.labels == 0]
    yield (
        "zero-one-loss",
        _caption(
            plan.loss_figure,
            "0-1 loss of synthetic images over the training, by label budget; C's own error is "
            "dashed.",
        ),
        loss_figure(groups, f"{plan.title}: 0-1 loss of class-conditional samples"),
    )
    yield (
        "label-budgets",
        "0-1 loss at the end over the number of labels; chance is dashed.",
        budget_figure(groups, _LOSS, f"{plan.title}: how few labels are enough", plan.chance),
    )
    if plan.name == "celeba":
        for group in labelled:
            yield (
                f"blocks-{_file_name(group)}",
                f"Figure 6: {group.title}. In each block one attribute changes downwards, another "
                "to the right, all else is kept.",
                blocks_figure(group),
            )
    else:
        for code in _supervised(groups, continuous=True):
            correlation = f"correlation/{groups[0].spell(code)}"
            yield (
                f"correlation-{code}",
                f"The {code} asked for and the one that C measures: their correlation at the end "
                "over the number of labels.",
                budget_figure(groups, correlation, f"{plan.title}: {code}, asked and measured"),
            )
            yield (
                f"knob-{code}",
                f"The supervised code {code} from one end of its range to the other, and beyond; a "
                "class a row, all else kept.",
                traversal_figure(labelled, code),
            )
        for code in continuous if plan.name != "cifar10" else continuous[:1]:
            few = [group for group in of_paper if group.labels > 0][:1]
            # Figure 2 sets InfoGAN beside the fewest labels.
            shown = [*few, *baseline] if plan.traversal_figure == "2" else labelled
            yield (
                f"traversal-{code}",
                _caption(
                    plan.traversal_figure,
                    f"the unsupervised code {code} from -2 to 2, a class a row, all else kept.",
                ),
                traversal_figure(shown, code),
            )
    yield (
        "samples",
        _caption(
            plan.sample_figure,
            "random samples, by label budget; a class a row where there are classes.",
        ),
        sample_figure(groups, real),
    )
    if plan.name == "svhn":
        yield (
            "epochs",
            "Figure 11: all labels and none, at the same epochs.",
            epochs_figure([*labelled[-1:], *baseline], choose_epochs(groups)),
        )
    for code in _supervised(groups, continuous=False):
        yield (
            f"bounds-{code}",
            f"Section 3.2: the bounds of {code} over the training, in nats, means over seeds.",
            bounds_figure(groups, code),
        )


def _caption(figure: str | None, text: str) -> str:
    """Begin a caption with the paper's figure, where there is one."""
    return f"Figure {figure}: {text}" if figure else text[:1].upper() + text[1:]


def _supervised(groups: Sequence[Group], *, continuous: bool) -> list[str]:
    """Return the supervised codes of one kind: C measures values of continuous ones."""
    group = groups[0]
    names = {name for run in group.runs for record in run.records for name in record.metrics}
    return [
        code
        for code in group.runs[0].experiment.codes.supervised
        if (f"rmse/{group.spell(code)}" in names) is continuous
    ]


def _file_name(group: Group) -> str:
    return group.amount.replace("%", "-percent")
