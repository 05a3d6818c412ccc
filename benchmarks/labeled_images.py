"""How long `ssgan sample --out` takes to write a labeled data set, beside G's forward passes alone.

``python -m benchmarks.labeled_images RUN... --write`` writes 60,000 images of each run as a folder,
as Parquet and as WebDataset shards, each beside as many forward passes, in turns. ``--small`` shows
in seconds that it runs, on 300 images.

What was written is deleted at the end: for some seconds after many files are deleted, ext4 looks
several times as long for the place of a new one.
"""

import itertools
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

Seconds = dict[tuple[NamedGenerator, str], list[tuple[float, float]]]
"""Of G alone and of all of it, a pair a round, by who draws and what is written."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it where that is asked for."""
    page = ResultsPage("labeled-images.md", __doc__, f"{_SMALL} images")
    page.add_argument("runs", nargs="+", metavar="RUN", help="a run directory or an export")
    page.add_argument("--rounds", type=int, default=5)
    arguments = page.read(argv)
    generators = [NamedGenerator.load(run) for run in arguments.runs]
    count = _SMALL if arguments.small else _IMAGES
    rounds = 1 if arguments.small else arguments.rounds
    seconds: Seconds = {(generator, title): [] for generator in generators for title in _FORMS}
    with tempfile.TemporaryDirectory() as folder:
        for turn, (generator, title) in itertools.product(range(rounds), seconds):
            out = Path(folder) / f"{turn}-{generators.index(generator)}-{_FORMS[title]}"
            pair = _time_alone(generator, count), _time(generator, count, out)
            seconds[generator, title].append(pair)
    page.publish(_write_page(count, seconds), write=arguments.write)


def _time_alone(generator: NamedGenerator, count: int) -> float:
    """Return the seconds of G's forward passes over so many images."""
    latents = generator.draw(CHUNK)
    start = time.perf_counter()
    for _ in range(0, count, CHUNK):
        generator.render(latents)
    return time.perf_counter() - start


def _time(generator: NamedGenerator, count: int, out: Path) -> float:
    """Return the seconds in which a data set is written."""
    start = time.perf_counter()
    write_labeled_images(generator, out, count)
    return time.perf_counter() - start


def _write_page(count: int, seconds: Seconds) -> str:
    rows = []
    for (generator, title), found in seconds.items():
        alone, whole = zip(*found, strict=True)
        ratios = [each / one for one, each in found]
        spread = f" ({min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)})"
        channels, height, width = generator.manifest.shape
        rows.append(
            f"| {generator.manifest.provenance.get('data')}, {channels} x {height} x {width} | "
            f"{title} | {statistics.median(alone):.1f} s | {statistics.median(whole):.1f} s | "
            f"{statistics.median(ratios):.2f}{spread} |"
        )
    return "\n".join(
        [
            "# A labeled data set",
            "",
            f"{count:,} images with every code of each, as `ssgan sample --out` writes them, "
            "beside G's forward passes over as many. Medians; the ratio has its range. "
            f"{torch.get_num_threads()} threads.",
            "",
            "| images | written as | G alone | all of it | times |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "`python -m benchmarks.labeled_images RUN... --write` makes this page. What it wrote",
            "is deleted at the end: for some seconds after many files are deleted, ext4 looks",
            "several times as long for the place of a new one.",
            "",
            f"Commit: {describe_commit()}. Machine: {describe_machine()}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
