"""How long a data set of labeled images takes beside G's forward passes alone.

python -m benchmarks.labeled_images runs/quickstart [-n 60000] [FOLDER|NAME.parquet|NAME.tar]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ssgan.export import NamedGenerator
from ssgan.export.generator import CHUNK
from ssgan.export.labeled_images import write_labeled_images

ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the seconds of both, side by side, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("name", nargs="?", default="set")
    parser.add_argument("-n", type=int, default=60_000)
    given = parser.parse_args(arguments)
    generator = NamedGenerator.load(given.run)
    latents = generator.draw(CHUNK)
    ratios = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(0, given.n, CHUNK):
            generator.render(latents)
        alone = time.perf_counter() - start
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            write_labeled_images(generator, Path(folder) / given.name, given.n)
            whole = time.perf_counter() - start
        ratios.append(whole / alone)
        print(f"G alone {alone:.1f} s, {given.name} {whole:.1f} s: {whole / alone:.2f} times")
    print(f"median {statistics.median(ratios):.2f} of {ROUNDS}, {given.n:,} images")


if __name__ == "__main__":
    main()
