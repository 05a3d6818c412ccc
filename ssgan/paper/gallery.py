"""Which pictures a report has: those of the paper, with its numbers, and this project's own."""

from collections.abc import Iterator, Sequence
from itertools import chain

from matplotlib.figure import Figure as Plot
from PIL import Image

from ssgan.drawing.charts import render
from ssgan.drawing.grids import png
from ssgan.paper.budgets import plot_budgets
from ssgan.paper.curves import plot_bounds, plot_losses
from ssgan.paper.epochs import choose_epochs, epochs_figure
from ssgan.paper.grids import Real, blocks_figure, sample_figure, traversal_figure
from ssgan.paper.pages import Figure
from ssgan.paper.plans import Plan
from ssgan.paper.runs import Group

Groups = Sequence[Group]
_Drawn = Iterator[tuple[str, str, Image.Image | Plot | None]]  # name, caption, picture


def draw_figures(
    plan: Plan, groups: Groups, of_paper: Groups, real: Real | None = None
) -> Iterator[Figure]:
    """Draw all that the runs can show.

    Args:
        plan: The experiment.
        groups: Its finished runs by label budget, fewest labels first.
        of_paper: Those at the paper's label budgets.
        real: Real images to stand beside synthetic ones; None leaves them out.
    """
    drawn = chain(
        _losses(plan, groups),
        _blocks(plan, groups),
        _knobs(plan, groups),
        _traversals(plan, of_paper),
        _samples(plan, groups, real),
        _epochs(plan, groups),
        _bounds(groups),
    )
    for name, caption, image in drawn:
        if image is not None:
            picture = render(image) if isinstance(image, Plot) else image
            yield Figure(name, caption, png(picture))


def _losses(plan: Plan, groups: Groups) -> _Drawn:
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


def _blocks(plan: Plan, groups: Groups) -> _Drawn:
    for group in _labeled(groups) if plan.blocks_figure else ():
        yield (
            f"blocks-{group.amount.replace('%', '-percent')}",
            f"Figure {plan.blocks_figure}: {group.title}. In each block one attribute changes "
            "downward, another to the right, all else is kept.",
            blocks_figure(group),
        )


def _knobs(plan: Plan, groups: Groups) -> _Drawn:
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
            traversal_figure(_labeled(groups), code),
        )


def _traversals(plan: Plan, groups: Groups) -> _Drawn:
    codes = groups[0].runs[0].experiment.codes.unsupervised
    continuous = [code.name for code in codes if code.size == 1]
    shown = _labeled(groups)
    if plan.beside_infogan:
        shown = shown[:1] + _baseline(groups)
    for code in continuous[: plan.traversals]:
        yield (
            f"traversal-{code}",
            _caption(
                plan.traversal_figure,
                f"the unsupervised code {code} from -2 to 2, a class a row, all else kept.",
            ),
            traversal_figure(shown, code),
        )


def _samples(plan: Plan, groups: Groups, real: Real | None) -> _Drawn:
    yield (
        "samples",
        _caption(
            plan.sample_figure,
            "random samples, by label budget; a class a row where there are classes.",
        ),
        sample_figure(groups, real),
    )


def _epochs(plan: Plan, groups: Groups) -> _Drawn:
    if plan.epochs_figure:
        yield (
            "epochs",
            f"Figure {plan.epochs_figure}: all labels and none, at the same epochs.",
            epochs_figure(_labeled(groups)[-1:] + _baseline(groups), choose_epochs(groups)),
        )


def _bounds(groups: Groups) -> _Drawn:
    for code in groups[0].supervised(continuous=False):
        yield (
            f"bounds-{code}",
            f"Section 3.2: the bounds of {code} over the training, in nats, means over seeds.",
            plot_bounds(groups, code),
        )


def _labeled(groups: Groups) -> list[Group]:
    return [group for group in groups if group.labels > 0]


def _baseline(groups: Groups) -> list[Group]:
    return [group for group in groups if group.labels == 0]


def _caption(figure: str | None, text: str) -> str:
    """Begin a caption with the paper's figure, where there is one."""
    return f"Figure {figure}: {text}" if figure else text[:1].upper() + text[1:]
