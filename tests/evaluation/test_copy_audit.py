"""Copies among samples, found by a C whose features are pixels."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from ssgan.data.dataset import DataConfig, Dataset
from ssgan.data.store import Store
from ssgan.drawing.sheet import Cells
from ssgan.evaluation import copy_audit
from ssgan.evaluation.config import EvaluationConfig
from ssgan.evaluation.copy_audit import CopyAudit, audit_copies
from ssgan.evaluation.judge import Judge, Prediction
from ssgan.method.codes import CodesConfig

CONFIG = EvaluationConfig(held_out_images=200)


class Pixels:
    """A C whose features are the image."""

    def predict(self, images: Tensor) -> Prediction:
        return Prediction(torch.zeros(len(images), 1), images.flatten(1).float())


@pytest.fixture(scope="module")
def dataset(digits_store: Store) -> Dataset:
    return Dataset.load(DataConfig(labels=20), CodesConfig(), digits_store)


def audit(dataset: Dataset, samples: Tensor) -> CopyAudit:
    return audit_copies(CONFIG, cast("Judge", Pixels()), dataset, samples)


def test_copies_are_found_and_others_are_not(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_audit, "_CHUNK", 101)  # the last part is smaller
    copies = dataset.train.images[40:60]
    strange = (255 - copies).contiguous()
    found = audit(dataset, torch.cat([copies, strange, strange]))
    assert (found.samples, found.training_images) == (60, 1_297)
    assert found.below_held_out == found.below_training == pytest.approx(1 / 3)
    assert found.noisy_found == 1
    assert found.moved_found < 0.5  # in pixels half a pixel is far
    assert found.median_samples > 3 * found.median_held_out


def test_distances_are_those_to_the_nearest_image_that_is_not_the_image_itself(
    dataset: Dataset,
) -> None:
    found = audit(dataset, dataset.train.images[:5])
    train = dataset.train.images.flatten(1).double()
    held_out = dataset.test.images.flatten(1).double() if dataset.test is not None else train
    far = torch.cdist(held_out, train).amin(dim=1)
    among = torch.cdist(train, train).fill_diagonal_(torch.inf).amin(dim=1)
    # Of 200 of 500, and of 200 of 1,297.
    assert found.median_held_out == pytest.approx(far.median().item(), rel=0.1)
    assert found.median_training == pytest.approx(among.median().item(), rel=0.1)
    assert found.median_samples == pytest.approx(0, abs=1e-3)
    assert 0 < found.bound_training < found.median_training
    again = audit(dataset, dataset.train.images[:5])
    assert again.bound_held_out == found.bound_held_out


def test_the_closest_pairs_are_drawn_the_closest_first(dataset: Dataset) -> None:
    strange = 255 - dataset.train.images[:30]
    samples = torch.cat([strange, dataset.train.images[7:8]])
    picture = audit(dataset, samples).pairs
    cells = Cells.read(picture)
    assert cells is not None
    assert [*map(tuple, cells.groups)] == [("drawn by G", 10), ("real, held out", 10)]
    pixels = np.asarray(picture.convert("L"))
    shown = [pixels[y : y + cells.height, cells.x[0] : cells.x[0] + cells.width] for y in cells.y]
    assert np.array_equal(*shown)
    scale = cells.width // 16
    assert np.array_equal(shown[0][::scale, ::scale], dataset.train.images[7, 0].numpy())
