"""Grids of label budgets side by side: the paper's figures 2, 4 to 7, 9 and 10.

The latents are the same for every budget, so that what differs is what the labels made of G. The
export of a budget's first seed is shown; a budget without an export is left out.
"""

from collections.abc import Sequence

import torch
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.drawing.grids import Row, generator_name, image_rows, numbered, side_by_side
from ssgan.evaluation.grids import MAX_ROWS, Grids, Real
from ssgan.paper.runs import Group

_COLUMNS = 8  # samples in a row
_FACES = 8  # rows of samples that no class orders


class _Budget:
    """The first seed's export of a label budget."""

    def __init__(self, group: Group) -> None:
        self.group = group
        run = next(one for one in group.runs if one.has_export)
        generator = run.generator()
        codes = generator.manifest.space.codes
        self.title = f"{group.title}, seed {run.seed}"
        self.draws = f"What {generator_name(generator.manifest.copy_of)} draws"
        unnamed = [numbered(code, f"c{k + 1}") for k, code in enumerate(codes)]
        self.grids = Grids(
            generator.manifest.space,
            codes if group.labels else unnamed,
            lambda _, n: generator.draw(n, seed=0),
            lambda latents: torch.from_numpy(generator.render(latents)).permute(0, 3, 1, 2),
        )

    def label(self, row: Row | None) -> str:
        """Name a row by its class; InfoGAN's by number, since no label has tied the two."""
        if row is None:
            return ""
        return row.name if self.group.labels else row.label

    @property
    def rows(self) -> Sequence[Row | None]:
        """Rows of samples: a class each; without an order where several codes are binary."""
        rows = [row for row in self.grids.rows if row.code.is_categorical]
        if not rows or not self.grids.space.supervised or len(self.grids.binary) > 1:
            return [None] * _FACES
        return [row for row in rows if row.column == rows[0].column][:MAX_ROWS]


def traversal_figure(groups: Sequence[Group], code: str) -> Image.Image | None:
    """Draw a continuous code from -2 to 2, one sheet a budget (the paper's figures 2, 4 and 9).

    A row is a class of the first categorical code; one noise serves all. InfoGAN's rows go by its
    own categorical code, which no label has put in order.

    Returns:
        Sheets of nine images a row, up to 2,100 pixels in width together, then below each other;
        None where no run has an export.

    Raises:
        BadInput: No code has that name, or it is categorical.
    """
    budgets = _load(groups)
    if not budgets:
        return None
    panels = []
    for budget in budgets:
        space = budget.grids.space
        one = space.codes[space.index(code)]
        if one.is_categorical:
            raise BadInput(f"code {code!r} is categorical; a traversal needs a continuous one")
        panels.append(budget.grids.traversal(one, budget.title, budget.label))
    title = f"{budgets[0].draws} as {code} goes from -2 to 2 and all else in a row stays"
    return side_by_side(panels, title)


def sample_figure(groups: Sequence[Group], real: Real | None = None) -> Image.Image | None:
    """Draw random samples, one sheet a budget (the paper's figures 5, 7 and 10).

    A row is a class of the first supervised categorical code, noise and other codes at random.
    Where several codes are binary, no row has a meaning. Real images, the first ones of each class,
    make a sheet before the others.

    Returns:
        Sheets of eight images a row, up to 2,100 pixels in width together, then below each other;
        None where no run has an export.
    """
    budgets = _load(groups)
    if not budgets:
        return None
    panels = []
    if real is not None:
        rows = budgets[-1].rows
        images = [
            real.like(row, _COLUMNS) if row else real.images[i * _COLUMNS :][:_COLUMNS]
            for i, row in enumerate(rows)
        ]
        labels = [row.name if row else "" for row in rows]
        panels.append(image_rows([("", images)], labels, "real images"))
    for budget in budgets:
        images = budget.grids.samples(budget.rows, _COLUMNS)
        labels = list(map(budget.label, budget.rows))
        panels.append(image_rows([("", images)], labels, budget.title))
    first = budgets[-1].rows[0]
    asked = f"asked for the {first.code.name} of each row" if first else "asked for codes at random"
    return side_by_side(panels, f"{budgets[0].draws}, {asked}, by number of labels")


def blocks_figure(group: Group) -> Image.Image | None:
    """Draw 2x2 blocks in which two attributes change and all else stays (the paper's figure 6).

    The first binary code changes from top to bottom, each other one from left to right. Five
    blocks a pair of codes are below each other. None where G has fewer than two binary codes, or
    no run has an export.
    """
    for budget in _load([group]):
        if len(budget.grids.binary) > 1:
            title = f"{budget.draws} as two attributes change: {budget.title}"
            return budget.grids.attributes(title)
    return None


def _load(groups: Sequence[Group]) -> list[_Budget]:
    return [_Budget(group) for group in groups if any(run.has_export for run in group.runs)]
