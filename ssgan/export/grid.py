"""Grids of samples: codes with several values make the rows and columns of a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.drawing.grids import generator_name, image_rows
from ssgan.export.code_values import CodeInfo, count, is_sequence

if TYPE_CHECKING:
    from ssgan.export.generator import NamedGenerator

N = 16
"""Images where no code has several values, by default; else there are 8 a row."""
_SWEEP = 9  # values of a range LOW..HIGH
_MAX = 10_000  # images of one picture


class Grid(NamedTuple):
    """Images in rows, row after row."""

    images: NDArray[np.uint8]
    """(n, H, W, C)."""
    rows: list[str]
    """What each row shows."""
    columns: int
    """Images a row; the last row may be short."""
    headers: list[str]
    """What each column shows; empty where the noise changes along a row."""
    title: str
    """Which copy of G draws, what was asked for, and what changes along a row."""

    def draw(self) -> Image.Image:
        """Draw the images on a sheet (`ssgan.drawing.sheet`)."""
        images = torch.from_numpy(self.images).permute(0, 3, 1, 2).split(self.columns)
        groups = [(name, [row[i : i + 1] for row in images]) for i, name in enumerate(self.headers)]
        return image_rows(groups or [("", images)], self.rows, self.title)


def make_grid(
    generator: NamedGenerator, values: Mapping[str, Any], n: int | None = None, seed: int = 0
) -> Grid:
    """Sample a grid.

    Args:
        generator: What draws.
        values: By the name of a code one value, as `NamedGenerator.sample` takes it, or several: a
            sequence, or the text of a list (``"1,2,3"``), of a range (``"-2..2"``), or ``"all"``
            for each class. The first code with several makes the rows, a second one the columns.
        n: Images, a row; 16, or 8 a row, by default. Two codes with several values leave none to
            choose.
        seed: Seed of all that is drawn; a column has the same noise in every row.

    Raises:
        BadInput: A name or a value is wrong, n has no effect, three codes have several values, or
            there are more than 10,000 images.
    """
    read = read_values(generator, values)
    lists = [name for name, value in read.items() if isinstance(value, list)]
    if len(lists) > 2:
        raise BadInput(
            f"{', '.join(lists)} have several values, and a picture has rows and columns only; "
            "give one value for all but two of them"
        )
    if len(lists) == 2 and n is not None:
        raise BadInput(f"n has no effect: {lists[1]} makes the columns; leave one of them out")
    fixed = {name: value for name, value in read.items() if not isinstance(value, list)}
    rows = read[lists[0]] if lists else [None]
    columns = read[lists[1]] if len(lists) == 2 else [None]
    several = 1 if len(lists) == 2 else 8 if lists else N
    each = several if n is None else count(n, {})
    if len(rows) * len(columns) * each > _MAX:
        raise BadInput(f"more than {_MAX:,} images in one picture; lower n")
    asked = [dict(zip(lists, pair, strict=False)) for pair in itertools.product(rows, columns)]
    images = np.concatenate([generator.sample(each, seed, codes=fixed | one) for one in asked])
    named = ", ".join(f"{name} = {_shown(value)}" for name, value in fixed.items())
    title = f"What {generator_name(generator.manifest.copy_of)} draws"
    title += f", asked for {named}" if named else ""
    if lists:
        labels = [f"asked for: {lists[0]} = {_shown(row)}" for row in rows]
        headers = [_shown(column) for column in columns] if len(lists) == 2 else []
        title += f"; along a row: {lists[1] if headers else 'noise and other codes at random'}"
        return Grid(images, labels, len(columns) * each, headers, title)
    side = min(each, max(1, round(each**0.5)) if each > 10 else each)
    title += "" if named else ", codes at random"
    return Grid(images, [""] * -(-each // side), side, [], title)


def read_values(generator: NamedGenerator, values: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `make_grid` takes: one value of each code, or a list of them.

    Raises:
        BadInput: A list or a range cannot be read.
    """
    known = {code.name: code for code in generator.codes}
    return {name: _read(known.get(name), value) for name, value in values.items()}


def _read(code: CodeInfo | None, value: Any) -> Any:
    """Read one value, or a list of them; names and classes are checked by the generator."""
    if hasattr(value, "tolist"):  # of NumPy or torch
        value = value.tolist()
    if is_sequence(value):
        count(None, {"" if code is None else code.name: value})
        return list(value)
    return _read_text(code, value) if isinstance(value, str) and code is not None else value


def _read_text(code: CodeInfo, text: str) -> Any:
    if text in code.classes:
        return text
    if code.classes and text == "all":
        return list(code.classes)
    low, dots, high = text.partition("..")
    if dots and not code.classes:
        try:
            ends = float(low), float(high)
        except ValueError:
            ends = (math.nan, math.nan)
        if not all(map(math.isfinite, ends)):
            raise BadInput(f"{code.name}={text} is not a range; write {code.name}=-1..1")
        return [round(value, 6) for value in np.linspace(*ends, _SWEEP).tolist()]
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
        if not all(parts):
            raise BadInput(f"{code.name}={text} has an empty value; write {code.name}=A,B")
        return parts
    return text


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
