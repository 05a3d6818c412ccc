"""What twenty and forty answers tell of a heap, and how honest the estimates of it are.

Real heaps whose labels are known are asked about in the order of `ssgan label`. For each draw of a
heap: how many images the answers read right, what the page estimates of that
(`ssgan.labeling.estimate`), and how large `ssgan data show` takes each class for
(`ssgan.labeling.shares`). ``python -m benchmarks.answers --data ROOT --write`` writes the page;
heaps whose files are not there are left out.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.heaps import mix, open_split, pick_uneven
from benchmarks.results_page import ResultsPage
from ssgan.base.errors import BadInput
from ssgan.data.asking import draw_together, order_by_answers
from ssgan.data.features import pixel_features
from ssgan.data.memmap import Split
from ssgan.data.neighbors import Graph, build_graph
from ssgan.data.spread import SpreadConfig
from ssgan.data.spread_labels import spread_labels
from ssgan.labeling.estimate import estimate_share
from ssgan.labeling.shares import estimate_shares
from ssgan.launch.machine import describe_commit, describe_machine
from ssgan.method.codes import Code

_ANSWERS = (20, 40)
_CLOTHING = 0.3
_CONFIG = SpreadConfig(rounds=0)  # estimates leave the rounds out, which take ten times as long


class Heap(NamedTuple):
    """Which images of which data sets a draw is made of."""

    title: str
    source: str
    count: int
    """Images of a draw."""
    uneven: bool = False
    """Whether the smallest class has a tenth of the largest one's images."""
    clothing: bool = False
    """Whether 30 % are pieces of Fashion-MNIST."""


HEAPS = (
    Heap("digits", "digits", 1000),
    Heap("MNIST", "mnist", 2000),
    Heap("MNIST, uneven", "mnist", 2000, uneven=True),
    Heap("MNIST, uneven, and Fashion-MNIST", "mnist", 2000, uneven=True, clothing=True),
    Heap("SVHN", "svhn", 2000),
    Heap("SVHN, uneven", "svhn", 2000, uneven=True),
    Heap("CIFAR-10", "cifar10", 2000),
)


class Honesty(NamedTuple):
    """What one draw came to with so many answers."""

    named: float
    """Share of the classes that an answer names."""
    right: float
    """Share of the images that the answers read right, without rounds."""
    rounds: float
    """The same with the rounds of `data.spread`."""
    estimate: float
    """The share that is estimated."""
    low: float
    high: float
    share_error: float
    """Mean over the classes named of the error of their share."""
    share_width: float
    """Mean width of their intervals."""
    share_held: float
    """Share of these intervals that hold the truth."""

    @property
    def held(self) -> bool:
        """Whether the interval of the share read right holds it."""
        return self.low <= self.right <= self.high


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it where that is asked for."""
    page = ResultsPage("answers.md", __doc__, "one draw of 300 digits")
    page.add_argument("--data", type=Path, default=Path(), help="folder of the data sets")
    page.add_argument("--fashion", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    page.add_argument("--draws", type=int, default=10)
    arguments = page.read(argv)
    torch.set_num_threads(1)
    draws = 1 if arguments.small else arguments.draws
    heaps = [HEAPS[0]._replace(count=300)] if arguments.small else HEAPS
    found: dict[Heap, list[list[Honesty]]] = {}
    for heap in heaps:
        try:
            images = open_split(heap.source, arguments.data)
            others = open_split("fashion-mnist", arguments.fashion) if heap.clothing else None
        except BadInput as error:
            print(f"{heap.title} is left out: {error}")
            continue
        found[heap] = [measure(heap, images, others, draw) for draw in range(1, draws + 1)]
    page.publish(write_page(found, draws), write=arguments.write)


def measure(heap: Heap, images: Split, others: Split | None, draw: int) -> list[Honesty]:
    """Ask about a draw of a heap, and compare what is told of it with the truth."""
    random = np.random.default_rng(draw)
    own = round(heap.count * (1 - _CLOTHING)) if others else heap.count
    labels = images.labels[:, 0].numpy().astype(int)
    rows = (
        pick_uneven(labels, own, random) if heap.uneven else random.permutation(len(labels))[:own]
    )
    foreign, classes = heap.count - own, int(labels.max()) + 1
    taken, places = mix(images.take(torch.from_numpy(rows)), others, foreign, random)
    true = torch.cat([torch.from_numpy(labels[rows]), torch.full((foreign,), classes)])[places]
    features = pixel_features(lambda at: taken[at], len(taken), images.shape)

    def find(neighbors: int) -> Graph:
        return build_graph(features, neighbors)

    order = order_by_answers(draw_together(features, find), max(_ANSWERS), true == classes)
    graph = find(_CONFIG.neighbors)
    answers = tuple(f"{index}" for index in range(classes))
    code = Code(name="class", kind="categorical", classes=answers)
    return [_judge(features, graph, true, order[:count], code) for count in _ANSWERS]


def _judge(
    features: Tensor, graph: Graph, true: Tensor, asked: Sequence[int], code: Code
) -> Honesty:
    rows = torch.tensor(asked)
    labels = torch.full((len(true),), -1).index_put((rows,), true[rows])
    given = labels.float().where(labels >= 0, torch.nan)[:, None]
    right = {}
    for rounds in (0, SpreadConfig().rounds):
        config = SpreadConfig(rounds=rounds)
        read = spread_labels(config, [code], given, torch.tensor([]).long(), graph).readings
        right[rounds] = (read[:, 0] == true).double().mean().item()
    estimate = estimate_share(features, {row: f"{int(true[row])}" for row in asked}, _CONFIG)
    assert estimate is not None
    truth = true.bincount().double() / len(true)
    shares = estimate_shares(features, labels, _CONFIG)
    ends = [(share.low, truth[of].item(), share.high) for of, share in shares.items()]
    return Honesty(
        named=len(shares) / int((truth > 0).sum()),
        right=right[0],
        rounds=right[SpreadConfig().rounds],
        estimate=estimate.share,
        low=estimate.low,
        high=estimate.high,
        share_error=fmean(abs(share.share - truth[of].item()) for of, share in shares.items()),
        share_width=fmean(high - low for low, _, high in ends),
        share_held=fmean(low <= value <= high for low, value, high in ends),
    )


def write_page(found: dict[Heap, list[list[Honesty]]], draws: int) -> str:
    """Return the page of results."""
    parts: list[tuple[str, Callable[[list[Honesty]], str]]] = [
        ("read right", lambda of: f"{fmean(one.right for one in of):.2f}"),
        ("with rounds", lambda of: f"{fmean(one.rounds for one in of):.2f}"),
        ("worst", lambda of: f"{min(one.rounds for one in of):.2f}"),
        ("estimated", lambda of: f"{fmean(one.estimate for one in of):.2f}"),
        (
            "interval",
            lambda of: f"{fmean(one.low for one in of):.2f} to {fmean(one.high for one in of):.2f}",
        ),
        ("holds the truth", lambda of: f"{sum(one.held for one in of)} of {len(of)}"),
    ]
    shares: list[tuple[str, Callable[[list[Honesty]], str]]] = [
        ("classes named", lambda of: f"{fmean(one.named for one in of):.2f}"),
        ("error of the share", lambda of: f"{fmean(one.share_error for one in of):.3f}"),
        ("width of the interval", lambda of: f"{fmean(one.share_width for one in of):.2f}"),
        ("holds the truth", lambda of: f"{fmean(one.share_held for one in of):.2f}"),
    ]
    sizes = "; ".join(f"{heap.title}: {heap.count:,}" for heap in found)
    return "\n".join(
        [
            "# Twenty and forty answers",
            "",
            f"Heaps whose labels are known, {draws} draws each, asked about in the order of `ssgan",
            "label`. Uneven classes go from one to a tenth in random order; of Fashion-MNIST there",
            f"is 30 %, which is *none of these*. Images of a draw: {sizes}.",
            "",
            "## How many images the answers read",
            "",
            "*Estimated* is what the page says of *read right*, with its interval of 95 %. *With",
            "rounds* is how training spreads labels ({field}`data.spread.rounds`).",
            "",
            *_table(found, parts),
            "",
            "## How large the classes are",
            "",
            "As `ssgan data show` says. Error and width are means over the classes named.",
            "",
            *_table(found, shares),
            "",
            "```console",
            "$ python -m benchmarks.answers --data ROOT --write",
            "```",
            "",
            f"Commit: {describe_commit()}. Machine: {describe_machine()}.",
            "",
        ]
    )


def _table(
    found: dict[Heap, list[list[Honesty]]],
    columns: Sequence[tuple[str, Callable[[list[Honesty]], str]]],
) -> list[str]:
    head = ["heap", "answers", *(title for title, _ in columns)]
    rows = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for heap, draws in found.items():
        for place, answers in enumerate(_ANSWERS):
            of = [draw[place] for draw in draws]
            cells = [heap.title, str(answers), *(form(of) for _, form in columns)]
            rows.append(f"| {' | '.join(cells)} |")
    return rows


if __name__ == "__main__":
    main()
