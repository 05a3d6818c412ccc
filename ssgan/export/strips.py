"""The pictures of a model card: a strip a code, drawn by the generator alone, no real image."""

from torch import nn

from ssgan.drawing.sheet import png
from ssgan.evaluation.catalog import safe_names
from ssgan.evaluation.grids import grids_of
from ssgan.method.codes import LatentSpace

FOLDER = "strips"
"""Where they stand in the folder of an export."""


def strip_files(space: LatentSpace) -> dict[str, str]:
    """Name the file of each code's strip, relative to the export, by the code's name."""
    # Numbered, so that no two differ by upper and lower case alone.
    safe = safe_names([code.name for code in space.codes]).items()
    return {code: f"{FOLDER}/{k}-{name}.png" for k, (code, name) in enumerate(safe, start=1)}


def draw_strips(generator: nn.Module, space: LatentSpace, *, labeled: bool) -> dict[str, bytes]:
    """Draw a strip a code as PNG, by file name; without labels classes are numbers.

    G is in eval mode, on any device.
    """
    grids, files = grids_of(generator, space, labeled=labeled), strip_files(space)
    return {files[code.name]: png(grids.strip(code)) for code in space.codes}
