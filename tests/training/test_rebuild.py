from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ssgan.data.dataset import Dataset
from ssgan.data.store import Store
from ssgan.experiment.tree import Experiment
from ssgan.networks.discriminator import Discriminator
from ssgan.training import rebuild
from ssgan.training.distributed import Worker
from ssgan.training.rebuild import rebuild_labels, trunk_features
from ssgan.training.snapshot import Snapshot
from ssgan.training.state import Training
from tests.training.test_loop import Run, assert_same_end, experiment, measured, start

CPU = torch.device("cpu")
ALONE = Worker(0, 1, CPU)


def made(epochs: int = 5, seed: int = 0, **spread: Any) -> Experiment:
    """Describe a run whose labels are spread again after epochs 2 and 4, of 4 updates each."""
    config = {"neighbors": 5, "rebuild": 2, "first": "none", **spread}
    described = experiment(data__labels=40, data__spread=config, training__epochs=epochs)
    return described.model_copy(update={"seed": seed})


def load(store: Store, described: Experiment) -> Dataset:
    return Dataset.load(described.data, described.codes, store)


@pytest.fixture(scope="module")
def dataset(digits_store: Store) -> Dataset:
    return load(digits_store, made())


@pytest.fixture(scope="module")
def undisturbed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(tmp_path_factory.mktemp("run") / "undisturbed", made(), dataset)


def trained(described: Experiment, dataset: Dataset) -> Training:
    """Train up to the first time that labels are spread again."""
    training = Training(described, dataset, ALONE)
    for _ in range(8):
        training.update()
    return training


def spread_anew(described: Experiment, dataset: Dataset) -> Training:
    training = trained(described, dataset)
    rebuild_labels(described, dataset, training, ALONE)
    return training


def test_labels_are_spread_anew_before_every_so_many_epochs(undisturbed: Run) -> None:
    records = [record.metrics for record in undisturbed.folder.records()]
    gained = [metrics["labels_gained"] for metrics in records]
    assert gained[:2] == [0, 0]
    assert gained[2] == gained[3] != gained[4]
    assert all(700 < (count or 0) < 900 for count in gained[2:])  # 60 % of each class
    changed = [metrics.get("labels_changed") for metrics in records]
    assert changed[:4] == [None, None, 0, 0]
    assert 0 < (changed[4] or 0) < 700
    probabilities = [metrics["label_probability"] for metrics in records]
    assert probabilities == pytest.approx([1.0, 0.9, 0.8, 0.7, (40 + (gained[4] or 0)) / 1297])


@pytest.mark.parametrize("stop_at", [8, 10, 18])
def test_a_stopped_run_goes_on_with_the_labels_that_it_had(
    stop_at: int, undisturbed: Run, dataset: Dataset, tmp_path: Path
) -> None:
    stopped = start(tmp_path / "run", made(), dataset, stop_at=stop_at)
    resumed = start(stopped, made(), dataset)
    assert_same_end(resumed, undisturbed)
    for ours, theirs in zip(resumed.folder.records(), undisturbed.folder.records(), strict=True):
        assert measured(ours) == measured(theirs)


def test_a_run_that_is_extended_spreads_them_where_it_had_ended(
    undisturbed: Run, dataset: Dataset, tmp_path: Path
) -> None:
    short = start(tmp_path / "run", made(epochs=2), dataset)
    assert_same_end(start(short, made(), dataset), undisturbed)


def test_a_state_without_new_labels_puts_the_first_ones_back(digits_store: Store) -> None:
    described = made(first="pixels")
    dataset = load(digits_store, described)
    training = trained(described, dataset)
    state, first = training.state(), training.gained
    rebuild_labels(described, dataset, training, ALONE)
    assert not torch.equal(training.gained.nan_to_num(-1), first.nan_to_num(-1))
    assert training.gained_metrics()["labels_changed"] > 0
    training.load(state)
    assert torch.equal(training.gained.nan_to_num(-1), first.nan_to_num(-1))
    assert "labels_changed" not in training.gained_metrics()


def test_given_labels_stay_and_held_out_images_gain_none(dataset: Dataset) -> None:
    described = made()
    gained = spread_anew(described, dataset).gained
    apart = (~gained[:, 0].isnan()).nonzero()[::7, 0]
    held_out = replace(dataset, budget=replace(dataset.budget, held_out=apart))
    training = spread_anew(described, held_out)
    given = dataset.budget.train
    assert torch.equal(training.batches.y[given], dataset.y_known[given])
    assert training.gained[given].isnan().all()
    assert training.gained[apart].isnan().all()
    others = torch.ones(len(gained), dtype=torch.bool)
    others[apart] = False
    torch.testing.assert_close(training.gained[others], gained[others], equal_nan=True)


def test_labels_outside_of_the_budget_decide_nothing(dataset: Dataset) -> None:
    wrong = (dataset.y_known + 1) % 10
    wrong[dataset.budget.train] = dataset.y_known[dataset.budget.train]
    labels = [spread_anew(made(), of).gained for of in (dataset, replace(dataset, y_known=wrong))]
    torch.testing.assert_close(*labels, equal_nan=True)


def test_another_seed_gains_other_labels_until_it_takes_over_the_state(dataset: Dataset) -> None:
    first, again, other = (spread_anew(made(seed=seed), dataset) for seed in (0, 0, 1))
    labels = [training.gained.nan_to_num(-1) for training in (first, again, other)]
    assert torch.equal(labels[0], labels[1])
    assert not torch.equal(labels[0], labels[2])
    other.check(first.state())
    other.load(first.state())
    assert torch.equal(other.gained.nan_to_num(-1), labels[0])
    assert other.gained_metrics() == first.gained_metrics()


def test_none_of_these_is_spread_anew_as_one_more_class(dataset: Dataset) -> None:
    none, y = dataset.space.supervised[0].none, dataset.y.clone()
    y[y >= 7] = none
    foreign = (y == none)[:, 0]
    space = dataset.space.model_copy(update={"none": True})
    with_none = replace(dataset, y=y, space=space, foreign=foreign)
    training = spread_anew(made(), with_none)
    assert (training.gained == none).sum() > 50
    assert not (training.gained >= 7).logical_and(training.gained < none).any()
    assert (training.batches.y[foreign] == none).all()
    state, other = training.state(), Training(made(), with_none, ALONE)
    other.check(state)
    other.load(state)
    assert torch.equal(other.gained.nan_to_num(-1), training.gained.nan_to_num(-1))
    beyond = state["spread"] | {"labels": state["spread"]["labels"] + 1}
    with pytest.raises(ValueError, match="spread does not hold classes"):
        training.check(state | {"spread": beyond})


class Reading(nn.Module):
    """A trunk that tells the classes of the images of a dataset apart, and a little more."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        images = dataset.train.take(torch.arange(len(dataset.train)))
        digits = dataset.y_known[:, 0].long().tolist()
        self._known = {
            image.numpy().tobytes(): digit for image, digit in zip(images, digits, strict=True)
        }

    def forward(self, x: Tensor) -> Tensor:
        pixels = (x * 255).round().to(torch.uint8).cpu()
        digits = [self._known[image.numpy().tobytes()] for image in pixels]
        return torch.cat([one_hot(torch.tensor(digits), 10), x.flatten(1) / 50], dim=1)


class Blind(nn.Module):
    """A trunk that makes the same of all images."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), 3)


def with_trunk(patch: pytest.MonkeyPatch, dataset: Dataset, trunk: nn.Module) -> None:
    seen = Snapshot({}, Discriminator(trunk, 3, dataset.space).eval())
    patch.setattr(rebuild, "take_snapshot", lambda *state: seen)


def test_labels_are_as_good_as_the_trunk_tells_images_apart(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_trunk(monkeypatch, dataset, Reading(dataset))
    gained = spread_anew(made(), dataset).gained
    is_gained = ~gained.isnan()
    assert is_gained.sum() > 700
    assert torch.equal(gained[is_gained], dataset.y_known[is_gained])


def test_labels_stay_where_the_trunk_makes_the_same_of_all_images(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    training = spread_anew(made(), dataset)
    before = training.batches.y.clone()
    with_trunk(monkeypatch, dataset, Blind())
    rebuild_labels(made(), dataset, training, ALONE)
    torch.testing.assert_close(training.batches.y, before, equal_nan=True)
    assert "not spread again after epoch 2: 5 neighbors" in caplog.text


def test_features_are_as_far_apart_as_the_trunk_turns_them(dataset: Dataset) -> None:
    network = Training(made(), dataset, ALONE).step.discriminator.eval()
    rows = torch.arange(60)
    with torch.no_grad():
        h = network.trunk(dataset.train.take(rows).float() / 255).double()
    directions = h / h.norm(dim=1, keepdim=True)
    expected = torch.cdist(directions, directions)
    found = trunk_features(network, dataset.train.take, 60, ALONE).double() / 2**14
    torch.testing.assert_close(torch.cdist(found, found), expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "labels",
    [
        None,
        torch.zeros(3, 1, dtype=torch.int32),
        torch.zeros(1297, 1),
        torch.full((1297, 1), 10, dtype=torch.int32),
        torch.full((1297, 1), -2, dtype=torch.int32),
    ],
)
def test_labels_that_no_run_gained_are_refused_in_a_line(
    labels: Tensor | None, dataset: Dataset
) -> None:
    training = spread_anew(made(), dataset)
    state = training.state()
    training.check(state)
    with pytest.raises(ValueError, match="spread") as refused:
        training.check(state | {"spread": {"labels": labels, "changed": 0}})
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(ValueError, match="spread"):
        training.check(state | {"spread": {"labels": state["spread"]["labels"]}})
    without = {name: value for name, value in state.items() if name != "spread"}
    with pytest.raises(ValueError, match="labels_seen"):  # of as many images as are labeled
        training.check(without)
