"""Measure what one rank draws for an update, as it is and as it was: orders, noise, the rest.

Every measurement is a process of its own with one thread: its CPU time a call, and the largest
memory that it took beyond what it began with. ``python -m benchmarks.draws --small`` shows in
seconds that it runs.
"""

import ctypes
import math
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from torch import Tensor

from benchmarks.results_page import ResultsPage
from benchmarks.synthetic import SPACE
from ssgan.base.rng import Streams
from ssgan.data.batches import Batches, LabelSamplingConfig
from ssgan.data.orders import Feistel, Order, Table, draw_order
from ssgan.launch.machine import describe_machine
from ssgan.method.augment import AugmentConfig, affine_maps_each, draw_affine
from ssgan.training.instance_noise import draw_instance_noise

_STREAMS = Streams(0)
_CALLS_FOR = 0.2  # seconds over which short calls are repeated
_MIB = 2**20


class Size(NamedTuple):
    """How large a measurement is."""

    images: tuple[int, ...]
    """Images of the data sets that are walked."""
    update: int
    """Images of an update that walks them."""
    batch: int
    """Images of an update that is drawn for."""
    shape: tuple[int, int, int]
    """Of an image."""
    worlds: tuple[int, ...]
    """Numbers of ranks."""


_FULL = Size((10**6, 10**7, 10**8), 128, 8192, (3, 64, 64), (1, 16, 64))
_SMALL = Size((10**4,), 128, 1024, (1, 8, 8), (1, 2))


class Cost(NamedTuple):
    """What repeated measurements of a call took."""

    seconds: list[float]
    """CPU time of a call, one value a process."""
    bytes: list[int]
    """Peak of resident memory above that before the calls."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it where that is asked for."""
    page = ResultsPage("draws.md", __doc__, "few images, two processes each")
    page.add_argument("--repeats", type=int, default=5, help="processes a measurement")
    arguments = page.read(argv)
    torch.set_num_threads(1)
    text = measure(_SMALL, 2) if arguments.small else measure(_FULL, arguments.repeats)
    page.publish(text, write=arguments.write)


def measure(size: Size, repeats: int) -> str:
    """Return the page of results."""
    rows = [*_orders(size, repeats), *_noise(size, repeats)]
    steps, others = _steps(size, repeats), _others(size, repeats)
    lines = [
        "# What a rank draws",
        "",
        "Command: `python -m benchmarks.draws --write`. Each value is the median of",
        f"{repeats} processes with one thread: CPU time of a call with its quartiles, and the peak",
        "of memory that the call takes. *Before* is version 0.1.0: a shuffled table of all images,",
        "joined again for each update, and noise drawn for the global batch by every rank.",
        "",
        "<!-- figures -->",
        "| a rank draws | CPU before | now | MiB before | now |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {what} | {_times(a, b)} | {_sizes(a, b)} |" for what, a, b in rows),
        "",
        f"Every rank still draws for the whole batch of {size.batch:,} images, to take its slice:",
        "",
        *_table("every rank draws", others),
        "",
        "Simulated, by the shipped `Batches` over images that are made up from their numbers:",
        "",
        *_table("real images of an update", steps),
        "",
        f"Machine: {describe_machine()}.",
        "",
    ]
    return "\n".join(lines)


def _table(what: str, rows: list[tuple[str, Cost]]) -> list[str]:
    listed = (f"| {name} | {_time(cost)} | {_size(cost)} |" for name, cost in rows)
    return [f"| {what} | CPU | MiB |", "| --- | --- | --- |", *listed]


def _orders(size: Size, repeats: int) -> list[tuple[str, Cost, Cost]]:
    rows = []
    for images in size.images:
        start = images // 2
        table = Table(torch.randperm(images, generator=_STREAMS.generator("order")))
        is_table = isinstance(draw_order(_STREAMS, "order", images), Table)
        now: Order = table if is_table else Feistel(_STREAMS.key("order"), images)

        def shuffle(images: int = images) -> Tensor:
            return torch.randperm(images, generator=_STREAMS.generator("order"))

        def draw(images: int = images) -> Order:
            return draw_order(_STREAMS, "order", images)

        def join(kept: Tensor = table.rows, start: int = start) -> Tensor:
            return torch.cat([kept])[start:][: size.update]

        def walk(order: Order = now, start: int = start) -> Tensor:
            return order.at(torch.arange(start, start + size.update))

        named = f"of {images:,} images"
        rows += [
            (f"the order of a cycle {named}", _cost(shuffle, repeats), _cost(draw, repeats)),
            (f"{size.update} positions {named}", _cost(join, repeats), _cost(walk, repeats)),
        ]
    return rows


def _noise(size: Size, repeats: int) -> list[tuple[str, Cost, Cost]]:
    def draw_all(images: range) -> tuple[Tensor, Tensor]:
        generator = _STREAMS.generator("instance noise")
        noise = torch.randn((2, size.batch, *size.shape), generator=generator)
        real, fake = noise[:, images.start : images.stop]
        return real * 0.1, fake * 0.1

    def draw_own(images: range) -> Tensor:
        return draw_instance_noise(_STREAMS.generator, 0.1, images, size.batch, size.shape)

    rows = []
    shape = "x".join(map(str, size.shape))
    for world in size.worlds:
        own = range(size.batch // world)
        before = _cost(lambda own=own: draw_all(own), repeats)
        now = _cost(lambda own=own: draw_own(own), repeats)
        ranks = "the only rank" if world == 1 else f"each of {world} ranks"
        rows.append((f"noise, {size.batch:,} images of {shape}, {ranks}", before, now))
    return rows


def _steps(size: Size, repeats: int) -> list[tuple[str, Cost]]:
    def take(rows: Tensor) -> Tensor:
        pixels = (rows % 256).to(torch.uint8)
        return pixels[:, None, None, None].expand(-1, *size.shape)

    rows = []
    for images in size.images:
        y = torch.tensor([[math.nan]]).expand(images, 1)
        batches = Batches(LabelSamplingConfig(), take, y, batch_size=size.update, streams=_STREAMS)
        step = images // size.update // 2
        batches.draw(step, 0.0)  # where the order is a table, it is made once a cycle
        draw = partial(batches.draw, step, 0.0)
        rows.append((f"{size.update} of {images:,} images", _cost(draw, repeats)))
    return rows


def _others(size: Size, repeats: int) -> list[tuple[str, Cost]]:
    def maps() -> list[Tensor]:
        generator, config = _STREAMS.generator("augmentation"), AugmentConfig()
        return affine_maps_each(config, [draw_affine(size.batch, generator) for _ in range(4)])

    def latents() -> object:
        return SPACE.sample(size.batch, _STREAMS.generator("latents"))

    def coins() -> Tensor:
        return torch.rand(size.batch, generator=_STREAMS.generator("coin")) < 0.5

    noise = f"latents, {SPACE.noise} numbers of noise and {len(SPACE.codes)} codes an image"
    return [
        (noise, _cost(latents, repeats)),
        ("affine maps for four looks at an image", _cost(maps, repeats)),
        ("coins", _cost(coins, repeats)),
    ]


def _cost(call: Callable[[], object], repeats: int) -> Cost:
    """Call in so many forked processes, one after the other."""
    fork = multiprocessing.get_context("fork")
    seconds, peaks = [], []
    for _ in range(repeats):
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=_call, args=(call, theirs))
        process.start()
        theirs.close()
        spent, peak = ours.recv()
        process.join()
        seconds.append(spent)
        peaks.append(peak)
    return Cost(seconds, peaks)


def _call(call: Callable[[], object], answer: Connection) -> None:
    """Call once; where that was short, again for the peak of memory, and until there is a time."""
    spent, peak = _once(call)
    if spent < _CALLS_FOR:
        _, peak = _once(call)
        calls = max(1, min(1000, int(_CALLS_FOR / max(spent, 1e-6))))
        started = time.process_time()
        for _ in range(calls):
            call()
        spent = (time.process_time() - started) / calls
    answer.send((spent, peak))


def _once(call: Callable[[], object]) -> tuple[float, int]:
    """Return the CPU time of one call, and by how much resident memory rose in it."""
    ctypes.CDLL(None).malloc_trim(0)  # what an earlier call freed does not count for this one
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    started = time.process_time()
    kept = call()
    spent = time.process_time() - started
    (peak,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    del kept
    return spent, max(0, int(peak) * 1024 - before)


def _times(before: Cost, now: Cost) -> str:
    return f"{_time(before)} | {_time(now)}"


def _time(cost: Cost) -> str:
    low, median, high = statistics.quantiles(cost.seconds, n=4)
    unit, name = (1, "s") if median >= 0.1 else (1e3, "ms")
    return f"{median * unit:.2g} {name} ({low * unit:.2g} to {high * unit:.2g})"


def _sizes(before: Cost, now: Cost) -> str:
    return f"{_size(before)} | {_size(now)}"


def _size(cost: Cost) -> str:
    peak = statistics.median(cost.bytes) / _MIB
    return f"{peak:.0f}" if peak >= 1 else "< 1"


if __name__ == "__main__":
    main()
