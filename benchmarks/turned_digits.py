"""Make a folder of pictures with a partial CSV: ``python -m benchmarks.turned_digits FOLDER``.

Scikit-learn's digits, each turned by a random angle, as PNG files. `labels.csv` has the digit of
some of them (text) and the angle of some (degrees); empty cells are not known. It is what a user
of `ssgan init FOLDER` has, only that here the truth is known.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SIDE, _MOST_DEGREES = 28, 60


def make(folder: Path, share: float, seed: int, count: int | None = None) -> int:
    """Write the pictures and the CSV; return the number of pictures.

    Args:
        folder: Is created; must not exist.
        share: Share of the pictures whose digit is known, and likewise of the angles.
        seed: Of angles and of what is known.
        count: Number of pictures, the first ones of scikit-learn's; None for all 1,797.
    """
    folder.mkdir(parents=True)
    digits = load_digits()
    random = np.random.default_rng(seed)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "shape", "angle"])
        pairs = list(zip(digits.images, digits.target, strict=True))[:count]
        for index, (pixels, digit) in enumerate(pairs):
            angle = float(random.uniform(-_MOST_DEGREES, _MOST_DEGREES))
            name = f"picture-{index:04d}.png"
            _turned(pixels, angle).save(folder / name)
            is_named, is_measured = random.random(2) < share
            rows.writerow(
                [name, _NAMES[digit] if is_named else "", f"{angle:.1f}" if is_measured else ""]
            )
    return len(pairs)


def _turned(pixels: np.ndarray, angle: float) -> Image.Image:
    """Enlarge 8x8 pixels of 0 to 16 to 20x20, put them into the middle of 28x28 and turn them."""
    small = Image.fromarray((pixels * 255 / 16).astype(np.uint8))
    canvas = Image.new("L", (_SIDE, _SIDE))
    canvas.paste(small.resize((20, 20), Image.Resampling.BICUBIC), (4, 4))
    return canvas.rotate(angle, Image.Resampling.BICUBIC)


def main(argv: Sequence[str] | None = None) -> None:
    """Make the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="pictures; all of scikit-learn's by default")
    arguments = parser.parse_args(argv)
    count = make(arguments.folder, arguments.share, arguments.seed, arguments.count)
    print(count, "pictures in", arguments.folder)


if __name__ == "__main__":
    main()
