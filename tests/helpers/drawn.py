"""What is drawn on charts: lines by their data, and whether all of it is on the picture."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image


def lines(axes: Axes) -> list[tuple[str, list[float], list[float]]]:
    """Return color, x and y of each line, dashed ones left out."""
    return [
        (to_hex(line.get_color()), list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.get_lines()
        if line.get_linestyle() == "-"
    ]


def dashed(axes: Axes) -> list[float]:
    """Return the heights of all dashed lines."""
    return [line.get_ydata()[0] for line in axes.get_lines() if line.get_linestyle() == "--"]


def legend(figure: Figure) -> list[str]:
    """Return the texts of a figure's one legend."""
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def is_framed(image: Image.Image) -> bool:
    """Tell whether a white margin shows that nothing is cut off."""
    pixels = np.asarray(image)
    return all((edge == 255).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
