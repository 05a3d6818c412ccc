"""Make a folder of pictures with a partial CSV: ``python -m benchmarks.turned_digits FOLDER``.

Scikit-learn's digits, each turned by a random angle, as PNG files. `labels.csv` names the digit of
some of them (text) and the angle of some (degrees); empty cells are not known. It is what a user
of `ssgan init FOLDER` has, with the truth at hand.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SIDE, _MOST_DEGREES = 28, 60


def make(folder: Path, share: float, seed: int) -> int:
    """Write the pictures and the CSV; return the number of pictures.

    Args:
        folder: Is made; must not exist.
        share: Share of the pictures whose digit is named, and likewise of the angles.
        seed: Of angles and of what is known.
    """
    folder.mkdir(parents=True)
    digits = load_digits()
    random = np.random.default_rng(seed)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "shape", "angle"])
        for index, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
            angle = float(random.uniform(-_MOST_DEGREES, _MOST_DEGREES))
            name = f"picture-{index:04d}.png"
            _turned(pixels, angle).save(folder / name)
            is_named, is_measured = random.random(2) < share
            rows.writerow(
                [name, _NAMES[digit] if is_named else "", f"{angle:.1f}" if is_measured else ""]
            )
    return len(digits.images)


def _turned(pixels: np.ndarray, angle: float) -> Image.Image:
    """Enlarge 8x8 pixels of 0 to 16 to 20x20, put them into the middle of 28x28 and turn them."""
    small = Image.fromarray((pixels * 255 / 16).astype(np.uint8))
    canvas = Image.new("L", (_SIDE, _SIDE))
    canvas.paste(small.resize((20, 20), Image.Resampling.BICUBIC), (4, 4))
    return canvas.rotate(angle, Image.Resampling.BICUBIC)


def main() -> None:
    """Make the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(make(arguments.folder, arguments.share, arguments.seed), "pictures in", arguments.folder)


if __name__ == "__main__":
    main()
