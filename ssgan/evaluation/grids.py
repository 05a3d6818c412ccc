"""Which pictures of G are taken: rows of classes, traversals, blocks of attributes.

The latents are the same for every run and every epoch, so that pictures line up side by side.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from ssgan.base.rng import Streams
from ssgan.drawing import grids as figures
from ssgan.evaluation.catalog import safe_names
from ssgan.evaluation.samples import generate
from ssgan.method.codes import Code, Latents, LatentSpace

COPIES = {"raw": "G, raw weights", "ema": "G, moving average (EMA)"}
"""How titles name the copies of G."""

_STREAMS = Streams(0)  # not the run's: the same latents in every run
_MOST_ROWS = 24
_LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # rows of a continuous code
_VALUES = tuple(step / 2 for step in range(-4, 5))  # the paper interpolates from -2 to 2
_BLOCKS = 5  # 2x2 blocks side by side


@dataclass(frozen=True)
class _Row:
    """A row of pictures in which one code has one value."""

    label: str
    column: int
    value: float


@dataclass(frozen=True)
class Album:
    """The pictures of one latent space.

    Attributes:
        space: The codes.
        real: Real images to stand beside the synthetic ones, uint8 (N, C, H, W).
        labels: Their code table, float32 (N, K_ss); NaN unknown.
        columns: Synthetic images a row; half as many real ones.
        labeled: Whether G was shown labels. Without, rows count the code's classes and no real
            images stand beside them, for nothing ties the two.
    """

    space: LatentSpace
    real: Tensor
    labels: Tensor
    columns: int
    labeled: bool = True

    def draw(self, generator: nn.Module, copy: str) -> dict[str, Image.Image]:
        """Take all pictures of one copy of G (``raw`` or ``ema``), by name."""
        pictures = {f"samples_{copy}": self.class_rows(generator, copy)}
        safe = safe_names([code.name for code in self.space.codes])
        for code in self.space.codes:
            if not code.is_categorical:
                pictures[f"traversal_{safe[code.name]}_{copy}"] = self.traversal(
                    generator, copy, code
                )
        if len(self._binary) > 1:
            pictures[f"attributes_{copy}"] = self.attribute_blocks(generator, copy)
        return pictures

    def class_rows(self, generator: nn.Module, copy: str) -> Image.Image:
        """Draw one row a class of every supervised code, noise and other codes at random."""
        rows = self._rows()
        shown = rows[:_MOST_ROWS]
        latents = self._latents("class rows", len(shown) * self.columns)
        for i, row in enumerate(shown):
            latents.c[i * self.columns : (i + 1) * self.columns, row.column] = row.value
        images = generate(generator, self.space, latents)
        title = f"Class rows: {COPIES[copy]}"
        if len(rows) > len(shown):
            title += f" (first {len(shown)} of {len(rows)} rows)"
        return figures.class_rows(
            [self._real(row) for row in shown],
            images.split(self.columns),
            [row.label for row in shown],
            title,
        )

    def traversal(self, generator: nn.Module, copy: str, code: Code) -> Image.Image:
        """Draw one continuous code from -2 to 2, one row a class, all else kept fixed."""
        rows = [row for row in self._rows() if self.space.codes[row.column].is_categorical]
        first = rows[0].column if rows else -1
        rows = [row for row in rows if row.column == first][:_MOST_ROWS]
        count = len(rows) or 5
        # With classes one noise serves all rows; without, each row has a noise of its own.
        base = self._latents("traversal", 1 if rows else count)
        picked = torch.arange(count * len(_VALUES)) // len(_VALUES)
        source = torch.zeros_like(picked) if rows else picked
        latents = Latents(base.c[source], base.z[source])
        latents.c[:, self.space.index(code.name)] = torch.tensor(_VALUES).repeat(count)
        for i, row in enumerate(rows):
            latents.c[picked == i, row.column] = row.value
        images = generate(generator, self.space, latents)
        units = None
        if (code.low, code.high) != (-1.0, 1.0):
            units = [f"{value:g}" for value in code.from_unit(torch.tensor(_VALUES)).tolist()]
        return figures.traversal(
            images.unflatten(0, (count, len(_VALUES))),
            [row.label for row in rows] or [f"noise {i + 1}" for i in range(count)],
            _VALUES,
            f"{code.name}: {COPIES[copy]}",
            units,
        )

    def attribute_blocks(self, generator: nn.Module, copy: str) -> Image.Image:
        """Draw 2x2 blocks: the first binary code downward, each other one to the right."""
        y_code, *x_codes = self._binary
        y_column = self.space.index(y_code.name)
        base = self._latents("attributes", _BLOCKS)
        images = []
        for x_code in x_codes:
            latents = Latents(
                base.c.repeat_interleave(4, dim=0), base.z.repeat_interleave(4, dim=0)
            )
            latents.c[:, y_column] = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(_BLOCKS)
            x_column = self.space.index(x_code.name)
            latents.c[:, x_column] = torch.tensor([0.0, 1.0, 0.0, 1.0]).repeat(_BLOCKS)
            drawn = generate(generator, self.space, latents)
            images.append(drawn.unflatten(0, (_BLOCKS, 2, 2)))
        return figures.attribute_blocks(
            torch.stack(images), y_code, x_codes, f"Attributes: {COPIES[copy]}"
        )

    @property
    def _binary(self) -> list[Code]:
        return [code for code in self.space.supervised if code.size == 2]

    def _latents(self, name: str, n: int) -> Latents:
        return self.space.sample(n, _STREAMS.generator(f"figures, {name}"))

    def _rows(self) -> list[_Row]:
        """Return the rows of the supervised codes; of all codes, where none is supervised."""
        codes = self.space.supervised or self.space.codes
        return [row for code in codes for row in self._rows_of(code, alone=len(codes) == 1)]

    def _rows_of(self, code: Code, alone: bool) -> Iterator[_Row]:
        column = self.space.index(code.name)
        if code.is_categorical:
            for value, name in enumerate(code.classes):
                label = name if self.labeled else str(value)
                plain = alone and self.labeled
                yield _Row(label if plain else f"{code.name} = {label}", column, value)
        else:
            for level in _LEVELS:
                shown = code.from_unit(torch.tensor(level)).item()
                yield _Row(f"{code.name} = {shown:.3g}", column, level)

    def _real(self, row: _Row) -> Tensor:
        """Return real images that show what the row asks for: the class, the nearest values."""
        count = max(1, self.columns // 2)
        if not self.labeled or row.column >= self.labels.shape[1]:
            return self.real[:0]
        known = self.labels[:, row.column]
        if self.space.codes[row.column].is_categorical:
            picked = torch.nonzero(known == row.value)[:count, 0]
        else:
            known = known.nan_to_num(torch.inf)
            picked = (known - row.value).abs().argsort(stable=True)[:count]
            picked = picked[known[picked].isfinite()]
        return self.real[picked]
