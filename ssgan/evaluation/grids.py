"""Which grids of images are drawn of G: rows of classes, traversals, blocks of attributes.

The latents are the same for every run and every epoch, so that pictures line up side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from ssgan.base.rng import Streams
from ssgan.drawing.grids import (
    Row,
    attribute_blocks,
    generator_name,
    image_rows,
    numbered,
    rows_of,
    strip,
    traversal,
)
from ssgan.evaluation.catalog import safe_names
from ssgan.evaluation.samples import generate
from ssgan.method.codes import Code, Latents, LatentSpace

MAX_ROWS = 24
"""Rows of a grid; further classes are left out."""
REAL, SYNTHETIC = "real", "synthetic"
"""Headers of the two groups of columns in a grid of samples."""
_STREAMS = Streams(0)  # not the run's: the same latents in every run
_VALUES = tuple(step / 2 for step in range(-4, 5))  # the paper interpolates from -2 to 2
_NOISES = 5  # rows of a traversal that no class orders
_BLOCKS = 5  # 2x2 blocks side by side
_STRIP_ROWS = 3


@dataclass(frozen=True)
class Grids:
    """The grids of one copy of G."""

    space: LatentSpace
    named: Sequence[Code]
    """The codes as they are to be called, in the same order."""
    draw: Callable[[str, int], Latents]
    """Draws so many latents for a grid, which it is given the name of."""
    render: Callable[[Latents], Tensor]
    """Synthesizes the images of latents, uint8 (N, C, H, W)."""

    @property
    def rows(self) -> list[Row]:
        """The rows of the supervised codes; of all codes, where none is supervised."""
        return rows_of(self.named[: len(self.space.supervised) or None])

    @property
    def binary(self) -> list[int]:
        """Columns of the supervised codes that have two classes."""
        return [column for column, code in enumerate(self.space.supervised) if code.size == 2]

    def samples(self, rows: Sequence[Row | None], columns: int) -> list[Tensor]:
        """Synthesize rows of what is asked for, or of anything where a row is None.

        Noise and other codes are random. Returns uint8 (columns, C, H, W) by row.
        """
        latents = self.draw("class rows", len(rows) * columns)
        for row, c in zip(rows, latents.c.split(columns), strict=True):
            if row is not None:
                c[:, row.column] = row.value
        return list(self.render(latents).split(columns))

    def traversal(self, code: Code, title: str, label: Callable[[Row], str]) -> Image.Image:
        """Draw one continuous code from -2 to 2, all else kept fixed in a row.

        A row is a class of the first categorical code among `rows`, with one noise for all of
        them; without classes each row has a noise of its own.
        """
        rows = [row for row in self.rows if row.code.is_categorical]
        rows = [row for row in rows if row.column == rows[0].column][:MAX_ROWS]
        count = len(rows) or _NOISES
        base = self.draw("traversal", 1 if rows else count)
        picked = torch.arange(count).repeat_interleave(len(_VALUES))
        source = torch.zeros_like(picked) if rows else picked
        latents = Latents(base.c[source], base.z[source])
        latents.c[:, self.space.index(code.name)] = torch.tensor(_VALUES).repeat(count)
        for row, c in zip(rows, latents.c.split(len(_VALUES)), strict=False):
            c[:, row.column] = row.value
        images = self.render(latents).unflatten(0, (count, len(_VALUES)))
        labels = list(map(label, rows)) or [f"noise {i + 1}" for i in range(count)]
        return traversal(images, labels, code, _VALUES, title)

    def strip(self, code: Code) -> Image.Image:
        """Draw what one code changes: its classes, or values along the range it was trained on.

        Noise and other codes are the same along a row, and in the strips of all codes.
        """
        column = self.space.index(code.name)
        shown = rows_of([self.named[column]])[:MAX_ROWS]
        base = self.draw("strips", _STRIP_ROWS)
        c, z = (one.repeat_interleave(len(shown), dim=0) for one in base)
        c[:, column] = torch.tensor([row.value for row in shown]).repeat(_STRIP_ROWS)
        images = self.render(Latents(c, z)).unflatten(0, (_STRIP_ROWS, len(shown)))
        title = f"Along a row {code.name} changes and all else stays"
        return strip(images, [row.name for row in shown], title)

    def attributes(self, title: str) -> Image.Image:
        """Draw 2x2 blocks: the first binary code downward, each other one to the right."""
        y_column, *x_columns = self.binary
        base = self.draw("attributes", _BLOCKS)
        images = []
        for x_column in x_columns:
            c, z = (one.repeat_interleave(4, dim=0) for one in base)
            c[:, y_column] = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(_BLOCKS)
            c[:, x_column] = torch.tensor([0.0, 1.0, 0.0, 1.0]).repeat(_BLOCKS)
            images.append(self.render(Latents(c, z)).unflatten(0, (_BLOCKS, 2, 2)))
        y_code, *x_codes = (self.named[column] for column in self.binary)
        return attribute_blocks(torch.stack(images), y_code, x_codes, title)


def row_label(row: Row, space: LatentSpace, *, labeled: bool) -> str:
    """Say what a row asks for: its class alone where labels gave a single code its meaning."""
    is_alone = len(space.supervised or space.codes) == 1 and row.code.is_categorical
    return row.name if is_alone and labeled else row.label


class Real(NamedTuple):
    """Real images to show next to synthetic ones."""

    images: Tensor
    """uint8 (N, C, H, W)."""
    labels: Tensor
    """Their code table, float32 (N, K_ss); NaN unknown."""

    def like(self, row: Row, count: int) -> Tensor:
        """Return at most so many images that show what a row asks for (`Row.pick`)."""
        return self.images[row.pick(self.labels, count).to(self.images.device)]


@dataclass(frozen=True)
class EvaluationGrids:
    """The grids that every evaluation of a run draws."""

    space: LatentSpace
    real: Real
    columns: int
    """Synthetic images a row; half as many real ones."""
    labeled: bool = True
    """Whether G was shown labels. Without, rows count the code's classes and no real images are
    next to them, for nothing ties the two."""

    def draw(self, generator: nn.Module, copy: str) -> dict[str, Image.Image]:
        """Draw all grids of one copy of G (``raw`` or ``ema``), by name."""
        grids, draws = self._grids(generator), f"What {generator_name(copy)} draws"
        pictures = {f"samples_{copy}": self.samples(generator, copy)}
        safe = safe_names([code.name for code in self.space.codes])
        for code in self.space.codes:
            if not code.is_categorical:
                title = f"{draws} as {code.name} changes and all else stays"
                picture = grids.traversal(code, title, self._label)
                pictures[f"traversal_{safe[code.name]}_{copy}"] = picture
        if len(grids.binary) > 1:
            title = f"{draws} as two attributes change and all else stays"
            pictures[f"attributes_{copy}"] = grids.attributes(title)
        return pictures

    def samples(self, generator: nn.Module, copy: str) -> Image.Image:
        """Draw one row a class of every supervised code, noise and other codes at random."""
        grids = self._grids(generator)
        rows = grids.rows
        shown = rows[:MAX_ROWS]
        untold = "" if self.labeled else ", trained without labels,"
        is_one = rows[0].column == rows[-1].column
        asked = f"each {rows[0].code.name}" if is_one else "one value a row"
        title = f"What {generator_name(copy)}{untold} draws, asked for {asked}"
        groups = [(SYNTHETIC, grids.samples(shown, self.columns))]
        if self.labeled and self.space.supervised:
            title += "; real images left"
            real = [self.real.like(row, max(1, self.columns // 2)) for row in shown]
            groups.insert(0, (REAL, real))
        if len(rows) > MAX_ROWS:
            title += f" (first {MAX_ROWS} of {len(rows)} rows)"
        return image_rows(groups, list(map(self._label, shown)), title)

    def _label(self, row: Row) -> str:
        return f"asked for: {row_label(row, self.space, labeled=self.labeled)}"

    def _grids(self, generator: nn.Module) -> Grids:
        return grids_of(generator, self.space, labeled=self.labeled)


def grids_of(generator: nn.Module, space: LatentSpace, *, labeled: bool) -> Grids:
    """Return the grids of a copy of G, with the latents that all runs share.

    Without labels the classes of codes are numbers.
    """
    return Grids(
        space,
        space.codes if labeled else [numbered(code) for code in space.codes],
        lambda name, n: space.sample(n, _STREAMS.generator(f"figures, {name}")),
        lambda latents: generate(generator, space, latents),
    )
