"""Pictures of label budgets side by side: the paper's figures 2, 4 to 7, 9 and 10.

The latents are the same for every budget, so that what differs is what the labels made of G. The
export of a budget's first seed is shown; a budget without an export is left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ssgan.base.errors import BadInput
from ssgan.drawing import grids as figures
from ssgan.evaluation.grids import COPIES
from ssgan.export import NamedGenerator
from ssgan.method.codes import Code, Latents, LatentSpace
from ssgan.paper.panels import arrange
from ssgan.paper.runs import Group, PaperRun

_VALUES = tuple(step / 2 for step in range(-4, 5))  # the paper interpolates from -2 to 2
_COLUMNS = 8  # samples in a row
_FACES = 8  # rows of samples that no class orders
_NOISES = 5  # rows of a traversal that no class orders
_MOST_ROWS = 24
_BLOCKS = 5  # 2x2 blocks side by side
_COPY = {"ema": COPIES["ema"], "online": COPIES["raw"]}


class Real(NamedTuple):
    """Real images to stand beside synthetic ones."""

    images: Tensor
    """uint8 (N, C, H, W)."""
    labels: Tensor
    """Their code table, float32 (N, K_ss); NaN unknown."""


class _Shown(NamedTuple):
    group: Group
    run: PaperRun
    generator: NamedGenerator

    @property
    def title(self) -> str:
        return f"{self.group.title}, seed {self.run.seed}"

    @property
    def space(self) -> LatentSpace:
        return self.generator.manifest.space


def traversal_figure(groups: Sequence[Group], code: str) -> Image.Image | None:
    """Draw a continuous code from -2 to 2, one sheet a budget (the paper's figures 2, 4 and 9).

    A row is a class of the first categorical code; one noise serves all. InfoGAN's rows go by its
    own categorical code, which no label has put in order.

    Args:
        groups: The runs by label budget.
        code: Name of a continuous code.

    Returns:
        Sheets of nine images a row, up to 2,100 pixels in width together, then below each other;
        None where no run has an export.

    Raises:
        BadInput: No code has that name, or it is categorical.
    """
    shown = _load(groups)
    if not shown:
        return None
    panels = [_traversal(one, code) for one in shown]
    return arrange(panels, f"{code} from -2 to 2: {_copy(shown)}")


def sample_figure(groups: Sequence[Group], real: Real | None = None) -> Image.Image | None:
    """Draw random samples, one sheet a budget (the paper's figures 5, 7 and 10).

    A row is a class of the first supervised categorical code, noise and other codes at random.
    Where several codes are binary, no row has a meaning.

    Args:
        groups: The runs by label budget.
        real: Real images for a sheet before the others, the first ones of each class; without,
            there is none.

    Returns:
        Sheets of eight images a row, up to 2,100 pixels in width together, then below each other;
        None where no run has an export.
    """
    shown = _load(groups)
    if not shown:
        return None
    panels = [] if real is None else [_real(real, shown[0].space)]
    panels += [_samples(one) for one in shown]
    return arrange(panels, f"Random samples: {_copy(shown)}")


def blocks_figure(group: Group) -> Image.Image | None:
    """Draw 2x2 blocks in which two attributes change and all else stays (the paper's figure 6).

    The first binary code changes from top to bottom, each other one from left to right.

    Returns:
        Five blocks a pair of codes, below each other; None where G has fewer than two binary
        codes, or no run has an export.
    """
    shown = _load([group])
    if not shown:
        return None
    ((_, _, generator),) = shown
    space = generator.manifest.space
    columns = [k for k, code in enumerate(space.supervised) if code.size == 2]
    if len(columns) < 2:
        return None
    base = generator.draw(_BLOCKS, seed=0)
    images = []
    for column in columns[1:]:
        c, z = (one.repeat_interleave(4, dim=0) for one in base)
        c[:, columns[0]] = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(_BLOCKS)
        c[:, column] = torch.tensor([0.0, 1.0, 0.0, 1.0]).repeat(_BLOCKS)
        images.append(_render(generator, c, z).unflatten(0, (_BLOCKS, 2, 2)))
    y_code, *x_codes = (_named(group, space.supervised[k], k) for k in columns)
    title = f"{shown[0].title}: {_copy(shown)}"
    return figures.attribute_blocks(torch.stack(images), y_code, x_codes, title)


def _load(groups: Sequence[Group]) -> list[_Shown]:
    """Load the first seed's generator of each budget."""
    shown = []
    for group in groups:
        run = next((one for one in group.runs if one.has_export), None)
        if run is not None:
            shown.append(_Shown(group, run, run.generator()))
    return shown


def _copy(shown: Sequence[_Shown]) -> str:
    """Name the copy of G that the exports hold."""
    return _COPY[shown[0].generator.manifest.copy_of]


def _render(generator: NamedGenerator, c: Tensor, z: Tensor) -> Tensor:
    """Synthesize images, uint8 (n, C, H, W)."""
    return torch.from_numpy(generator.render(Latents(c, z))).permute(0, 3, 1, 2)


def _traversal(shown: _Shown, name: str) -> Image.Image:
    generator, space = shown.generator, shown.space
    column = space.index(name)
    code = space.codes[column]
    if code.is_categorical:
        raise BadInput(f"code {name!r} is categorical; a traversal needs a continuous one")
    first = next((k for k, one in enumerate(space.codes) if one.is_categorical), None)
    labels = [f"noise {i + 1}" for i in range(_NOISES)]
    if first is not None:
        labels = _row_labels(shown.group, space.codes[first])
    # With classes one noise serves all rows; without, each row has a noise of its own.
    base = generator.draw(len(labels) if first is None else 1, seed=0)
    rows = torch.arange(len(labels)).repeat_interleave(len(_VALUES))
    source = rows if first is None else torch.zeros_like(rows)
    c, z = base.c[source], base.z[source]
    if first is not None:
        c[:, first] = rows.to(c.dtype)
    c[:, column] = torch.tensor(_VALUES).repeat(len(labels))
    units = None
    if (code.low, code.high) != (-1.0, 1.0):
        units = [f"{value:g}" for value in code.from_unit(torch.tensor(_VALUES)).tolist()]
    images = _render(generator, c, z).unflatten(0, (len(labels), len(_VALUES)))
    return figures.traversal(images, labels, _VALUES, shown.title, units)


def _samples(shown: _Shown) -> Image.Image:
    generator, code = shown.generator, _class_code(shown.space)
    if code is None:
        latents = generator.draw(_FACES * _COLUMNS, seed=0)
        labels = [""] * _FACES
    else:
        labels = _row_labels(shown.group, code)
        asked = [name for name in code.classes[: len(labels)] for _ in range(_COLUMNS)]
        latents = generator.draw(seed=0, codes={code.name: asked})
    return _grid(_render(generator, *latents).split(_COLUMNS), labels, shown.title)


def _real(real: Real, space: LatentSpace) -> Image.Image:
    code = _class_code(space)
    if code is None:
        rows = list(real.images[: _FACES * _COLUMNS].split(_COLUMNS))
        return _grid(rows, [""] * len(rows), "real images")
    column = real.labels[:, space.index(code.name)]
    labels = code.classes[:_MOST_ROWS]
    rows = [
        real.images[torch.nonzero(column == i)[:_COLUMNS, 0].to(real.images.device)]
        for i in range(len(labels))
    ]
    return _grid(rows, labels, "real images")


def _grid(rows: Sequence[Tensor], labels: Sequence[str], title: str) -> Image.Image:
    """Draw rows of images, each uint8 (n, C, H, W) with n of eight at most."""
    sheet = figures.Sheet(rows[0].shape[-2:], [len(rows)], [_COLUMNS], labels, title, header=0)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            sheet.paste(row, column, image)
    return sheet.image


def _class_code(space: LatentSpace) -> Code | None:
    """Return the code whose classes are the rows of samples; None among several binary ones."""
    categorical = [code for code in space.supervised if code.is_categorical]
    binary = [code for code in categorical if code.size == 2]
    return categorical[0] if categorical and len(binary) < 2 else None


def _row_labels(group: Group, code: Code) -> list[str]:
    """Name rows by class; InfoGAN's by number, since no label has tied the two."""
    names = code.classes if group.labels else [f"c = {i}" for i in range(code.size)]
    return list(names[:_MOST_ROWS])


def _named(group: Group, code: Code, column: int) -> Code:
    """Return a binary code as it is to be called, by its number where no label gave it a name."""
    if group.labels:
        return code
    return Code(name=f"c{column + 1}", kind="categorical", classes=("0", "1"))
