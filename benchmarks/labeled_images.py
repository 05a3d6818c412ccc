"""How long `ssgan sample --out` takes to write a labeled data set, beside G's forward passes alone.

``python -m benchmarks.labeled_images RUN --write`` writes 60,000 images of a run as a folder, as
Parquet and as WebDataset shards, each beside as many forward passes, in turns. ``--small`` shows in
seconds that it runs, on 300 images.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.results_page import ResultsPage
from ssgan.export import NamedGenerator
from ssgan.export.generator import CHUNK
from ssgan.export.labeled_images import write_labeled_images
from ssgan.launch.machine import describe_commit, describe_machine

_FORMS = {"a folder": "set", "Parquet": "set.parquet", "WebDataset shards": "set.tar"}
_IMAGES, _SMALL = 60_000, 300


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it where that is asked for."""
    page = ResultsPage("labeled-images.md", __doc__, f"{_SMALL} images")
    page.add_argument("run", help="a run directory or an export")
    page.add_argument("--rounds", type=int, default=5)
    arguments = page.read(argv)
    generator = NamedGenerator.load(arguments.run)
    count = _SMALL if arguments.small else _IMAGES
    seconds: dict[str, list[tuple[float, float]]] = {title: [] for title in _FORMS}
    for _ in range(1 if arguments.small else arguments.rounds):
        for title, name in _FORMS.items():
            seconds[title].append((_time_alone(generator, count), _time(generator, count, name)))
    page.publish(_write_page(generator, count, seconds), write=arguments.write)


def _time_alone(generator: NamedGenerator, count: int) -> float:
    """Return the seconds of G's forward passes over so many images."""
    latents = generator.draw(CHUNK)
    start = time.perf_counter()
    for _ in range(0, count, CHUNK):
        generator.render(latents)
    return time.perf_counter() - start


def _time(generator: NamedGenerator, count: int, name: str) -> float:
    """Return the seconds in which a data set is written."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_labeled_images(generator, Path(folder) / name, count)
        return time.perf_counter() - start


def _write_page(
    generator: NamedGenerator, count: int, seconds: dict[str, list[tuple[float, float]]]
) -> str:
    rows = []
    for title, found in seconds.items():
        alone, whole = zip(*found, strict=True)
        ratios = [each / one for one, each in found]
        spread = f" ({min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)})"
        rows.append(
            f"| {title} | {statistics.median(alone):.1f} s | {statistics.median(whole):.1f} s | "
            f"{statistics.median(ratios):.2f}{spread} |"
        )
    channels, height, width = generator.manifest.shape
    data = generator.manifest.provenance.get("data")
    return "\n".join(
        [
            "# A labeled data set",
            "",
            f"{count:,} images of {data}, {width} x {height} pixels in {channels} channels, with "
            "every code of each, as `ssgan sample --out` writes them, beside G's forward passes "
            f"over as many. Medians; the ratio has its range. {torch.get_num_threads()} threads.",
            "",
            "| written as | G alone | all of it | times |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "`python -m benchmarks.labeled_images RUN --write` makes this page.",
            "",
            f"Commit: {describe_commit()}. Machine: {describe_machine()}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
