"""How many of the pictures the answers read right, by estimate, and whether they are enough.

The answers are spread over the images' neighbors (`ssgan.data.spread`). Then each answer is left
out and read from the others. That alone says too little: answers lie far apart, so that an image
without its own answer is harder to read than others are. What carries over is how the margin, the
logarithm of how much more probable the first class is than the second, goes with being right: a
logistic curve, found from the answers left out, and applied to all images' margins. How much
easier images are at the same margin that are not in such a hole was measured on several data sets:
-0.5 to 1.2 on the curve's scale. The interval spans both, each with Wilson's interval for as many
trials as answers were left out. `docs/labeling.md` says how often it held.

Classes that no answer has named are not in it.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ssgan.base.errors import BadInput
from ssgan.base.rng import Streams
from ssgan.data.neighbors import Graph, build_graph
from ssgan.data.spread import SpreadConfig, spread
from ssgan.evaluation.metrics import wilson
from ssgan.labeling.column import Column
from ssgan.method.codes import NONE_OF_THESE

_SAMPLE = 5_000  # images that the estimate is made of
_FOLDS = 20  # parts of the answers that are left out, one after the other
_LARGEST_MARGIN, _BINS = 4.0, 80
_EASIER = (-0.5, 1.2)
_FEW, _MANY = 20, 60  # answers
_ENOUGH = 0.9


class Estimate(NamedTuple):
    """The share of images whose most probable class is the right one."""

    share: float
    low: float
    """Lower end of the interval of 95 %."""
    high: float
    answers: int
    """Answers that it is made of."""

    def as_json(self) -> dict[str, float]:
        """Return it by name."""
        return self._asdict()

    def __str__(self) -> str:
        return f"{self.share:.0%} ({self.low:.0%} to {self.high:.0%})"


def estimate_share(
    features: Tensor, cells: Mapping[int, str], config: SpreadConfig | None = None
) -> Estimate | None:
    """Estimate the share of images that answers read right.

    Args:
        features: Of all images, float32 (N, F).
        cells: The class of each image that was answered.
        config: How answers are spread; None is the default.

    Returns:
        The estimate; None where no class has two answers, or images are fewer than neighbors.
    """
    config = config or SpreadConfig()
    rows = sample_images(len(features), sorted(cells))
    place = {int(row): index for index, row in enumerate(rows)}
    classes = list(dict.fromkeys(cells.values()))
    labels = torch.full((len(rows),), -1)
    for row, name in cells.items():
        labels[place[row]] = classes.index(name)
    counts = Counter(cells.values())
    left_out = [place[row] for row, name in cells.items() if counts[name] > 1]
    if len(classes) < 2 or not left_out:
        return None
    try:
        graph = build_graph(features[rows], min(config.neighbors, len(rows) - 1))
    except BadInput:
        return None
    margins, right = leave_out(graph, labels, left_out, len(classes), config)
    read = spread(graph, labels, len(classes), config.steps, config.alpha)
    known = labels >= 0
    bins = to_bins(find_margins(read[~known]))
    shares = [one[bins].mean().item() if len(bins) else 0.0 for one in fit_curve(margins, right)]
    answered = known.double().mean().item()
    low, high = ((1 - answered) * share + answered for share in shares)
    trials = len(left_out)
    # Where no answer was read wrong nothing speaks against all images being read right.
    upper = 1.0 if bool(right.all()) else wilson(high, trials)[1]
    return Estimate((low + high) / 2, wilson(low, trials)[0], upper, len(cells))


def sample_images(count: int, answered: Sequence[int]) -> Tensor:
    """Return the answered images and others, ascending, so many that it does not take long."""
    order = torch.randperm(count, generator=Streams(0).generator("estimate of answers"))
    both = torch.cat([order[:_SAMPLE], torch.tensor(answered, dtype=torch.int64)])
    rows: Tensor = both.unique()
    return rows


def leave_out(
    graph: Graph, labels: Tensor, rows: Sequence[int], classes: int, config: SpreadConfig
) -> tuple[Tensor, Tensor]:
    """Read answers from the others: their margins, float64 (n,), and whether they are right."""
    folds = min(_FOLDS, len(rows))
    margins, right = [], []
    for fold in range(folds):
        part = torch.tensor(rows[fold::folds])
        others = labels.clone()
        # A copy of an image that is left out would give its answer away.
        others[torch.isin(graph.original, graph.original[part])] = -1
        read = spread(graph, others, classes, config.steps, config.alpha)[part]
        margins.append(find_margins(read))
        right.append(read.argmax(dim=1) == labels[part])
    return torch.cat(margins), torch.cat(right)


def find_margins(probabilities: Tensor) -> Tensor:
    """Return the logarithm of how much more probable the first class is than the second, (n,)."""
    best: Tensor = probabilities.double().clamp(min=1e-9).topk(2, dim=1).values.log()
    return (best[:, 0] - best[:, 1]).clamp(max=_LARGEST_MARGIN)


def to_bins(margins: Tensor) -> Tensor:
    """Return the place of each margin on the curve of `fit_curve`."""
    return (margins / _LARGEST_MARGIN * _BINS).long().clamp(max=_BINS - 1)


def fit_curve(margins: Tensor, right: Tensor) -> Tensor:
    """Find how probable it is that an image is read right, by its margin and for two eases.

    The curve σ(a + b m) is integrated over a grid of a and b, each as probable as the answers that
    were left out make it.

    Args:
        margins: Of the answers that were left out, float64 (n,).
        right: Whether they were read right, bool (n,).

    Returns:
        float64 (2, bins): for the hardest and for the easiest images; `to_bins` gives their places.
    """
    a = torch.linspace(-4, 4, 33, dtype=torch.float64)[:, None]
    b = torch.linspace(0, 6, 25, dtype=torch.float64)[None]
    logits = a[..., None] + b[..., None] * margins
    fits = logsigmoid(torch.where(right, logits, -logits)).sum(dim=2)
    fits = fits - ((a + 0.5) / 1.5).square() / 2 - ((b - 2.5) / 1.5).square() / 2
    weights = fits.flatten().softmax(dim=0).view_as(fits)[..., None]
    middles = (torch.arange(_BINS, dtype=torch.float64) + 0.5) * _LARGEST_MARGIN / _BINS
    curves = a[..., None] + b[..., None] * middles
    return torch.stack([((curves + ease).sigmoid() * weights).sum(dim=(0, 1)) for ease in _EASIER])


class Estimates:
    """The newest estimate of each column, made by a thread of its own."""

    def __init__(self, features: Tensor) -> None:
        self._features = features
        self._found: dict[str, Estimate | None] = {}
        self._wanted: dict[str, Mapping[int, str]] = {}
        self._done: dict[str, Mapping[int, str]] = {}
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> bool:
        """Whether an estimate is older than the answers."""
        with self._change:
            return self._wanted != self._done

    def get(self, column: str) -> Estimate | None:
        """Return the newest estimate of a column; None where there is none."""
        with self._change:
            return self._found.get(column)

    def update(self, column: str, cells: Mapping[int, str]) -> None:
        """Make the estimate of a column again, soon."""
        with self._change:
            self._wanted[column] = dict(cells)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="estimates", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def wait(self) -> None:
        """Wait until all estimates are of the newest answers."""
        with self._change:
            self._change.wait_for(lambda: self._wanted == self._done)

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._wanted != self._done)
                name, cells = next(
                    (name, cells)
                    for name, cells in self._wanted.items()
                    if self._done.get(name) != cells
                )
            found = estimate_share(self._features, cells)
            with self._change:
                self._found[name], self._done[name] = found, cells
                self._change.notify_all()


def advise(
    column: Column, counts: Mapping[str, int], pictures: int, estimate: Estimate | None
) -> str:
    """Say in a sentence or two whether there are answers enough.

    Args:
        column: What is asked.
        counts: Answers by class, or by number.
        pictures: How many there are.
        estimate: The newest estimate, if there is one.
    """
    total = sum(counts.values())
    if column.is_number:
        if len(counts) < 2:
            return "Training needs two different numbers or more."
        return f"{_FEW} answers are a start." if total < _FEW else "Enough for a first training."
    classes = {name: count for name, count in counts.items() if name != NONE_OF_THESE}
    if not classes:
        return "Press n and name what you see."
    if len(classes) < 2:
        (name,) = classes
        if total >= _FEW:
            return (
                f"{total} answers, and all are {name}: if all pictures are, nothing can be learned."
            )
        return f"All answers are {name} so far; training needs two classes or more."
    if single := [name for name, count in classes.items() if count == 1]:
        few = ", ".join(single[:3]) + (" …" if len(single) > 3 else "")
        return f"Go on: one answer only for {few}."
    if total < min(_FEW, pictures):
        return f"Go on: {_FEW} answers are a start."
    if estimate is None:
        return "Enough for a first training."
    if estimate.low >= _ENOUGH:
        return "Enough: more answers would add little. Close this page and train."
    if estimate.share >= _ENOUGH:
        return "Enough for a first training; more answers make it surer."
    if total < _MANY:
        return "Go on: ten more answers, and look again."
    return (
        "Pictures that look alike are often of different classes here. Train a first model, then "
        "let it ask: ssgan label --run RUN."
    )
