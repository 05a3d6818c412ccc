"""The estimated shares of classes, and their intervals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ssgan.data.asking import coverage_order
from ssgan.data.dataset import DataConfig, Dataset
from ssgan.data.sources.base import FOREIGN, ArraySource
from ssgan.data.spread import SpreadConfig
from ssgan.data.store import write_store
from ssgan.labeling.shares import estimate_shares, shares_of
from ssgan.method.codes import Code, CodesConfig

CONFIG = SpreadConfig(steps=50)
TRUTH = (0.5, 0.25, 0.15, 0.1)


def clouds(spreading: float, seed: int) -> tuple[Tensor, Tensor]:
    """Draw 400 points of four classes of uneven size around as many middles."""
    draw = torch.Generator().manual_seed(seed)
    middles = torch.randn(4, 8, generator=draw) * 2
    classes = torch.arange(4).repeat_interleave((torch.tensor(TRUTH) * 400).round().long())
    return middles[classes] + spreading * torch.randn(400, 8, generator=draw), classes


def answer(features: Tensor, classes: Tensor, count: int) -> Tensor:
    labels = torch.full((len(features),), -1)
    asked = coverage_order(features, count)
    labels[asked] = classes[asked]
    return labels


def test_intervals_hold_the_truth_and_are_wide_where_little_is_known() -> None:
    held, widths = [], []
    for spreading in (0.6, 3.0):
        for seed in range(4):
            features, classes = clouds(spreading, seed)
            found = estimate_shares(features, answer(features, classes, 24), CONFIG)
            held += [of.low <= TRUTH[index] <= of.high for index, of in found.items()]
            widths.append(sum(of.high - of.low for of in found.values()) / len(found))
            assert all(0 <= of.low <= of.share <= of.high <= 1 for of in found.values())
            assert sum(of.share for of in found.values()) == pytest.approx(1)
    assert sum(held) >= 0.93 * len(held)
    assert max(widths[:4]) < 0.5 * min(widths[4:])


def test_more_answers_make_narrower_intervals() -> None:
    features, classes = clouds(1.5, 0)
    few, many = (
        estimate_shares(features, answer(features, classes, count), CONFIG) for count in (20, 80)
    )
    assert all(many[of].high - many[of].low < few[of].high - few[of].low for of in range(4))
    assert str(many[0]).count("%") == 3


def test_there_are_none_before_a_class_has_two_answers_and_another_has_one() -> None:
    features, classes = clouds(0.6, 0)
    for rows in ([], [0], [0, 1], [0, 399]):
        labels = torch.full((400,), -1)
        labels[rows] = classes[rows]
        assert estimate_shares(features, labels, CONFIG) == {}


def test_a_store_is_estimated_from_its_budget_alone(tmp_path: Path) -> None:
    shape = Code(name="shape", kind="categorical", classes=("round", "square", "star"))
    draw = np.random.default_rng(0)
    images = draw.integers(0, 20, (80, 1, 8, 8), dtype=np.uint8)
    for row, rows in enumerate((slice(0, 40), slice(40, 60), slice(60, 80))):
        images[rows, 0, 3 * row : 3 * row + 2] += 200
    y = np.repeat(np.array([0, 1, FOREIGN], np.float32), (40, 20, 20))[:, None]
    y[10:40] = np.nan
    source = ArraySource("three heaps", (shape,), {"train": (images, y)}, {})
    store = write_store(tmp_path / "store", source)
    codes = CodesConfig(supervised=("shape",), prior="estimated")
    spread = SpreadConfig(neighbors=4)
    config = DataConfig(labels=12, balanced=False, spread=spread)
    found = shares_of(Dataset.load(config, codes, store), spread)
    shares = {name: share.share for name, share in found["shape"].items()}
    expected = {"round": 0.5, "square": 0.25, "none of these": 0.25}  # of star nothing is known
    assert shares == pytest.approx(expected)
    alone = config.model_copy(update={"spread": None})
    uniform = codes.model_copy(update={"prior": "uniform"})
    assert shares_of(Dataset.load(alone, uniform, store), spread) == found
