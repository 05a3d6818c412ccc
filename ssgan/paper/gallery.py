"""Which pictures a report has: those of the paper, with its numbers, and this project's own."""

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure as Plot
from PIL import Image

from ssgan.drawing.charts import render
from ssgan.drawing.encoding import png
from ssgan.evaluation.grids import Real
from ssgan.paper.budgets import plot_budgets
from ssgan.paper.curves import plot_bounds, plot_losses
from ssgan.paper.epochs import choose_epochs, epochs_figure
from ssgan.paper.grids import blocks_figure, sample_figure, traversal_figure
from ssgan.paper.pages import Figure
from ssgan.paper.plans import Plan
from ssgan.paper.runs import Group


def draw_figures(
    plan: Plan, groups: Sequence[Group], of_paper: Sequence[Group], real: Real | None = None
) -> Iterator[Figure]:
    """Draw all that the runs can show.

    Args:
        plan: The experiment.
        groups: Its finished runs by label budget, fewest labels first.
        of_paper: Those at the paper's label budgets.
        real: Real images to stand next to synthetic ones; None leaves them out.
    """
    for name, caption, image in _drawn(plan, groups, of_paper, real):
        if image is not None:
            picture = render(image) if isinstance(image, Plot) else image
            yield Figure(name, caption, png(picture))


def _drawn(
    plan: Plan, groups: Sequence[Group], of_paper: Sequence[Group], real: Real | None
) -> Iterator[tuple[str, str, Image.Image | Plot | None]]:
    """Yield names, captions and pictures, in the order of the report."""
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
        plot_budgets(
            groups, "zero_one_loss_ema", f"{plan.title}: how few labels are enough", plan.chance
        ),
    )
    for group in labeled if plan.blocks_figure else ():
        yield (
            f"blocks-{group.amount.replace('%', '-percent')}",
            f"Figure {plan.blocks_figure}: {group.title}. In each block one attribute changes "
            "downward, another to the right, all else is kept.",
            blocks_figure(group),
        )
    for code in groups[0].supervised(continuous=True):
        yield (
            f"correlation-{code}",
            f"The {code} asked for and the one that C measures: their correlation at the end over "
            "the number of labels.",
            plot_budgets(
                groups,
                f"correlation/{groups[0].spell(code)}",
                f"{plan.title}: {code}, asked and measured",
            ),
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
