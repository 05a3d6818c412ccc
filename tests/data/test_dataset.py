import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ssgan.base.errors import BadInput
from ssgan.data import dataset as datasets
from ssgan.data import neighbors
from ssgan.data.asking import coverage_order
from ssgan.data.dataset import DataConfig, Dataset, build_space
from ssgan.data.features import pixel_features
from ssgan.data.labels import LabelBudget
from ssgan.data.sources.base import FOREIGN, ArraySource
from ssgan.data.spread import SpreadConfig
from ssgan.data.store import Store, write_store
from ssgan.method.codes import Code, CodesConfig, UnsupervisedCode

SHAPE = Code(name="shape", kind="categorical", classes=("round", "square"))
ANGLE = Code(name="angle", kind="continuous", low=0.0, high=90.0)
CODES = CodesConfig(
    supervised=("angle", "shape"), unsupervised=(UnsupervisedCode(name="style"),), noise=3
)


def source(judge: bool, seed: int = 0) -> ArraySource:
    random = np.random.default_rng(seed)

    def split(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.stack([random.integers(0, 2, n), random.uniform(0, 90, n)], 1).astype(np.float32)
        y[: n // 4] = np.nan  # a quarter is not labeled at all
        y[n // 4 : n // 3, 1] = np.nan
        return random.integers(0, 256, (n, 1, 8, 8), dtype=np.uint8), y

    arrays = {"train": split(48)} | ({"test": split(24)} if judge else {})
    return ArraySource("figures", (SHAPE, ANGLE), arrays, {})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_store(tmp_path_factory.mktemp("judged"), source(judge=True))


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_store(tmp_path_factory.mktemp("unjudged"), source(judge=False))


def test_columns_become_codes_in_the_order_asked_for(store: Store) -> None:
    dataset = Dataset.load(DataConfig(), CODES, store)
    assert [code.name for code in dataset.space.codes] == ["angle", "shape", "style"]
    assert dataset.space.supervised == (ANGLE, SHAPE)
    assert dataset.space.noise == 3
    raw = store.split("train").labels
    torch.testing.assert_close(dataset.y_known[:, 0], raw[:, 1] / 45 - 1, equal_nan=True)
    torch.testing.assert_close(dataset.y_known[:, 1], raw[:, 0], equal_nan=True)
    assert dataset.y_test is not None
    assert dataset.y_test.shape == (24, 2)
    assert torch.equal(dataset.train.images, store.split("train").images)


def test_training_sees_the_labels_of_the_budget_only(store: Store) -> None:
    dataset = Dataset.load(DataConfig(labels=10, label_seed=3), CODES, store)
    assert len(dataset.budget) == len(dataset.budget.train) == 10
    is_labeled = (~dataset.y.isnan()).any(1)
    assert torch.equal(is_labeled.nonzero()[:, 0], dataset.budget.train)
    torch.testing.assert_close(dataset.y[is_labeled], dataset.y_known[is_labeled], equal_nan=True)
    assert not dataset.is_infogan
    assert dataset.budget.data_hash == store.manifest.hash


def test_all_labels_are_those_that_there_are(store: Store) -> None:
    dataset = Dataset.load(DataConfig(), CODES, store)
    assert len(dataset.budget) == 36
    torch.testing.assert_close(dataset.y, dataset.y_known, equal_nan=True)


def test_a_budget_of_zero_is_infogan(store: Store) -> None:
    dataset = Dataset.load(DataConfig(labels=0), CODES, store)
    assert dataset.is_infogan
    assert dataset.y.isnan().all()


def test_without_supervised_codes_there_is_nothing_to_label(store: Store) -> None:
    codes = CODES.model_copy(update={"supervised": ()})
    dataset = Dataset.load(DataConfig(), codes, store)
    assert dataset.is_infogan
    assert dataset.y.shape == (48, 0)
    assert dataset.held_out()[1].shape == (24, 0)


def test_with_a_judge_split_nothing_is_held_out(store: Store) -> None:
    dataset = Dataset.load(DataConfig(labels=20, held_out=0.5), CODES, store)
    assert len(dataset.budget.held_out) == 0
    take, labels = dataset.held_out()
    assert torch.equal(take(torch.arange(24)), store.split("test").images)
    assert dataset.y_test is not None
    assert labels is dataset.y_test


def test_without_one_a_part_of_the_budget_is(unjudged: Store) -> None:
    dataset = Dataset.load(DataConfig(labels=20, held_out=0.25), CODES, unjudged)
    assert dataset.test is None
    assert dataset.y_test is None
    rows = dataset.budget.held_out
    assert len(rows) == 5
    assert len(dataset.budget) == 20
    assert dataset.y[rows].isnan().all()
    take, labels = dataset.held_out()
    assert torch.equal(take(torch.arange(5)), dataset.train.images[rows])
    torch.testing.assert_close(labels, dataset.y_known[rows], equal_nan=True)
    assert (~labels.isnan()).any(1).all()


def test_the_empirical_prior_is_that_of_the_training_labels(unjudged: Store) -> None:
    codes = CODES.model_copy(update={"prior": "empirical", "supervised": ("shape",)})
    dataset = Dataset.load(DataConfig(labels=20), codes, unjudged)
    joint = dataset.space.joint
    assert joint is not None
    y = dataset.y_known[dataset.budget.train]
    assert joint.rows == ((0.0,), (1.0,))
    shares = [(y == row[0]).float().mean().item() for row in joint.rows]
    assert joint.weights == pytest.approx(shares)
    assert sum(joint.weights) == pytest.approx(1)


def test_the_empirical_prior_holds_complete_rows_only(store: Store) -> None:
    codes = CODES.model_copy(update={"prior": "empirical"})
    dataset = Dataset.load(DataConfig(), codes, store)
    joint = dataset.space.joint
    assert joint is not None
    complete = dataset.y_known[~dataset.y_known.isnan().any(1)]
    assert len(joint.rows) == len(complete.unique(dim=0))
    assert not any(math.isnan(value) for row in joint.rows for value in row)
    c, _ = dataset.space.sample(50, torch.Generator().manual_seed(0))
    assert set(map(tuple, c[:, :2].tolist())) <= set(joint.rows)


def test_without_labels_the_prior_stays_uniform(store: Store) -> None:
    codes = CODES.model_copy(update={"prior": "empirical"})
    assert Dataset.load(DataConfig(labels=0), codes, store).space.joint is None


def test_a_budget_that_was_drawn_before_is_kept(store: Store) -> None:
    first = Dataset.load(DataConfig(labels=10, label_seed=1), CODES, store)
    other = Dataset.load(DataConfig(labels=20, label_seed=2), CODES, store, first.budget)
    assert other.budget.hash == first.budget.hash
    assert torch.equal(other.y.isnan(), first.y.isnan())


def test_a_budget_of_other_data_is_refused(store: Store, unjudged: Store) -> None:
    budget = Dataset.load(DataConfig(labels=10), CODES, unjudged).budget
    with pytest.raises(BadInput, match=r"belongs to other data.*data\.source"):
        Dataset.load(DataConfig(labels=10), CODES, store, budget)


def test_a_seed_of_the_budget_is_not_that_of_the_run(store: Store) -> None:
    one, other = (
        Dataset.load(DataConfig(labels=12, label_seed=seed), CODES, store) for seed in (0, 1)
    )
    assert one.budget.hash != other.budget.hash


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"supervised": ("shapes",)},
            r"'shapes', which is not a label column.*did you mean 'shape'",
        ),
        ({"supervised": ("shape", "shape")}, "'shape' twice"),
        ({"unsupervised": (UnsupervisedCode(name="angle"),)}, "'angle' twice"),
        ({"supervised": (), "unsupervised": ()}, "no code at all"),
    ],
)
def test_codes_that_the_data_does_not_have_are_refused(
    store: Store, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(BadInput, match=problem):
        build_space(CODES.model_copy(update=changes), store.manifest)


def test_budgets_that_the_set_does_not_have_are_refused(store: Store, unjudged: Store) -> None:
    with pytest.raises(BadInput, match=r"data\.labels=40.*36 images"):
        Dataset.load(DataConfig(labels=40), CODES, store)
    with pytest.raises(BadInput, match=r"data\.balanced=false"):
        Dataset.load(DataConfig(labels=1), CODES, store)


def test_the_posterior_is_passed_on(store: Store) -> None:
    codes = CODES.model_copy(update={"posterior": "gaussian"})
    space = build_space(codes, store.manifest)
    assert space.posterior == "gaussian"
    assert space.q_width(space.codes) == 2 + 2 + 2


def test_the_digits_are_a_dataset(digits_store: Store) -> None:
    codes = CodesConfig(noise=4)
    dataset = Dataset.load(DataConfig(labels="10%"), codes, digits_store)
    assert len(dataset.budget) == 130
    assert set(dataset.budget.counts["digit"].values()) == {13}


def test_classes_that_an_empirical_prior_leaves_out_are_named(
    unjudged: Store, caplog: pytest.LogCaptureFixture
) -> None:
    codes = CODES.model_copy(update={"prior": "empirical", "supervised": ("shape",)})
    budget = Dataset.load(DataConfig(labels=20), codes, unjudged).budget
    y = Dataset.load(DataConfig(), codes, unjudged).y_known
    kept = budget.train[y[budget.train, 0] == 0]
    caplog.clear()
    Dataset.load(DataConfig(), codes, unjudged, dataclasses.replace(budget, train=kept))
    assert "never asks for shape = " in caplog.text


SPREAD = SpreadConfig(neighbors=4, share=0.5)


def test_spread_labels_become_y_beside_those_of_the_budget(store: Store) -> None:
    plain = Dataset.load(DataConfig(labels=10, label_seed=3), CODES, store)
    config = DataConfig(labels=10, label_seed=3, spread=SPREAD)
    dataset = Dataset.load(config, CODES, store)
    given = ~plain.y.isnan()
    assert torch.equal(dataset.y[given], plain.y[given])
    assert dataset.y[:, 0].isnan().equal(plain.y[:, 0].isnan())  # numbers are not spread
    gained = ~dataset.y[:, 1].isnan() & ~given[:, 1]
    assert 12 <= gained.sum() <= 26
    assert dataset.weights is None
    assert dataset.budget.hash == plain.budget.hash
    assert dataset.budget.spread is not None
    assert plain.budget.spread is None


def test_no_label_is_spread_before_the_first_rebuild_unless_over_pixels(store: Store) -> None:
    plain = Dataset.load(DataConfig(labels=10), CODES, store)
    later = SPREAD.model_copy(update={"rebuild": 3, "first": "none", "weight": 0.25})
    dataset = Dataset.load(DataConfig(labels=10, spread=later), CODES, store)
    torch.testing.assert_close(dataset.y, plain.y, equal_nan=True)
    assert (dataset.gained, dataset.budget.spread) == (None, None)
    assert dataset.given is dataset.y
    assert dataset.weights is not None
    assert torch.equal(dataset.weights == 1, ~plain.y.isnan())
    of_one = plain.y_known[:, 1].eq(0).nonzero()[:3, 0]
    alike = dataclasses.replace(plain.budget, train=of_one)
    with pytest.raises(BadInput, match=r"'shape', because all 3 name 'round'"):
        Dataset.load(DataConfig(labels=10, spread=later), CODES, store, alike)


def test_a_run_is_not_begun_whose_neighbors_could_not_be_found_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DataConfig(labels=10, spread=SPREAD.model_copy(update={"rebuild": 3, "first": "none"}))
    budget = Dataset.load(config, CODES, store).budget
    monkeypatch.setattr(neighbors, "MOST_EXACT", 47)
    monkeypatch.setattr(neighbors, "find_missing", lambda modules: modules[0])
    with pytest.raises(BadInput, match=r"48 images, .*ssgan\[neighbors\]"):
        Dataset.load(config, CODES, store)
    assert Dataset.load(config, CODES, store, budget).gained is None  # which is only read


def test_labels_outside_of_the_budget_decide_nothing(tmp_path: Path) -> None:
    made = source(judge=False)
    store = write_store(tmp_path / "one", made)
    config = DataConfig(labels=20, held_out=0.25, spread=SPREAD)
    codes = CODES.model_copy(update={"prior": "estimated", "supervised": ("shape",)})
    dataset = Dataset.load(config, codes, store)
    images, y = made.arrays["train"]
    hidden = torch.ones(len(images), dtype=torch.bool)
    hidden[dataset.budget.train] = False
    y = y.copy()
    y[hidden.numpy(), 0] = 1 - y[hidden.numpy(), 0]  # all others are told wrongly
    other = write_store(
        tmp_path / "other", dataclasses.replace(made, arrays={"train": (images, y)})
    )
    budget = dataclasses.replace(dataset.budget, data_hash=other.manifest.hash)
    again = Dataset.load(config, codes, other, budget)
    torch.testing.assert_close(again.y, dataset.y, equal_nan=True)
    assert again.space == dataset.space
    assert dataset.y[dataset.budget.held_out].isnan().all()


def test_given_labels_count_one_and_spread_ones_their_weight(store: Store) -> None:
    config = DataConfig(labels=10, spread=SPREAD.model_copy(update={"weight": 0.25}))
    dataset = Dataset.load(config, CODES, store)
    assert dataset.weights is not None
    known = ~dataset.budget.mask(dataset.y_known).isnan()
    assert dataset.weights[known].eq(1).all()
    assert dataset.weights[~known].eq(0.25).all()


def test_other_spread_labels_than_those_of_the_run_are_refused(store: Store) -> None:
    config = DataConfig(labels=10, spread=SPREAD)
    first = Dataset.load(config, CODES, store)
    budget = LabelBudget.from_parquet(first.budget.to_parquet())
    assert budget.spread == first.budget.spread
    again = Dataset.load(config, CODES, store, budget)
    torch.testing.assert_close(again.y, first.y, equal_nan=True)
    assert budget.spread is not None
    budget = dataclasses.replace(budget, spread=budget.spread | {"labels": "f" * 64})
    with pytest.raises(BadInput, match=r"other labels here.*ffffffffffff.*restore spread\.parquet"):
        Dataset.load(config, CODES, store, budget)


def test_labels_that_were_spread_before_are_taken_as_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DataConfig(labels=10, spread=SPREAD)
    codes = CODES.model_copy(update={"prior": "estimated", "supervised": ("shape",)})
    first = Dataset.load(config, codes, store)
    assert first.gained is not None
    monkeypatch.delattr(datasets, "find_graph")
    monkeypatch.delattr(datasets, "spread_labels")
    again = Dataset.load(config, codes, store, first.budget, first.gained)
    torch.testing.assert_close(again.y, first.y, equal_nan=True)
    assert (again.space, again.budget) == (first.space, first.budget)


def test_the_estimated_prior_is_that_of_all_images_that_labels_reach(store: Store) -> None:
    codes = CODES.model_copy(update={"prior": "estimated", "supervised": ("shape",)})
    config = DataConfig(labels=10, spread=SPREAD.model_copy(update={"share": 1.0}))
    dataset = Dataset.load(config, codes, store)
    joint = dataset.space.joint
    assert joint is not None
    assert joint.rows == ((0.0,), (1.0,))
    shares = dataset.y[:, 0].long().bincount() / len(dataset.y)
    assert joint.weights == pytest.approx(shares.tolist())
    with pytest.raises(BadInput, match=r"codes\.prior=estimated .* 'angle' is a number"):
        Dataset.load(config, codes.model_copy(update={"supervised": ("shape", "angle")}), store)


def test_the_asked_budget_is_the_first_images_of_the_order(store: Store) -> None:
    config = DataConfig(labels=6, choice="asked", balanced=False)
    dataset = Dataset.load(config, CODES, store)
    train = dataset.train
    features = pixel_features(train.take, len(train), train.shape)
    labeled = (~dataset.y_known.isnan()).any(1).nonzero()[:, 0].tolist()
    assert dataset.budget.train.tolist() == sorted(coverage_order(features, 6, among=labeled))
    assert dataset.budget.hash == Dataset.load(config, CODES, store).budget.hash
    more = Dataset.load(config.model_copy(update={"labels": 12}), CODES, store).budget
    assert set(dataset.budget.train.tolist()) < set(more.train.tolist())
    everything = Dataset.load(config.model_copy(update={"labels": 36}), CODES, store).budget
    assert everything.train.tolist() == labeled


def test_another_seed_asks_among_another_half(store: Store) -> None:
    budgets = [
        Dataset.load(
            DataConfig(labels=18, label_seed=seed, choice="asked", balanced=False), CODES, store
        ).budget
        for seed in range(4)
    ]
    assert len({budget.hash for budget in budgets}) == 4
    assert {len(budget) for budget in budgets} == {18}


def test_classes_that_no_answer_names_are_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    Dataset.load(DataConfig(labels=1, choice="asked", balanced=False), CODES, store)
    assert "no label of the budget names shape = " in caplog.text


def test_asking_takes_classes_as_they_come() -> None:
    with pytest.raises(ValidationError, match=r"data\.balanced=false"):
        DataConfig(choice="asked")


def with_foreign(tmp_path: Path, test: bool = False) -> Store:
    """Figures, the first eight of which are none of the shapes."""
    made = source(judge=test)
    arrays = {split: (images, y.copy()) for split, (images, y) in made.arrays.items()}
    for _, y in arrays.values():
        y[:8, 0], y[:8, 1] = FOREIGN, 0.0  # an angle that is -1 as a code
    return write_store(tmp_path / "foreign", dataclasses.replace(made, arrays=arrays))


def test_images_of_no_class_are_known_and_have_no_label(tmp_path: Path) -> None:
    store = with_foreign(tmp_path, test=True)
    dataset = Dataset.load(DataConfig(), CODES, store)
    assert dataset.foreign is not None
    assert dataset.foreign.tolist() == [True] * 8 + [False] * 40
    assert (dataset.y[:8, 1] == SHAPE.none).all()
    assert dataset.space.none
    for y in (dataset.y_known, dataset.y_test):
        assert y is not None
        assert y[:8, 1].isnan().all()
        assert not y[:8, 0].isnan().any()
    told = dataset.held_out(none=True)[1]
    assert (told[:8, 1] == SHAPE.none).all()
    torch.testing.assert_close(told[8:], dataset.held_out()[1][8:], equal_nan=True)
    assert dataset.budget.counts["shape"]["none of these"] == 8
    assert LabelBudget.from_parquet(dataset.budget.to_parquet()).counts == dataset.budget.counts


def test_only_answers_of_the_budget_make_images_foreign(tmp_path: Path) -> None:
    store = with_foreign(tmp_path)
    codes = CODES.model_copy(update={"supervised": ("shape",)})
    dataset = Dataset.load(DataConfig(labels=20, held_out=0.25), codes, store)
    assert dataset.foreign is not None
    told = dataset.foreign.nonzero()[:, 0]
    assert 0 < len(told) < 8
    assert torch.isin(told, dataset.budget.train).all()
    budget = dataclasses.replace(dataset.budget, train=told)
    nothing = Dataset.load(DataConfig(), codes, store, budget)
    assert nothing.is_infogan
    assert nothing.foreign is not None
    assert Dataset.load(DataConfig(labels=0), codes, store).foreign is None


def test_the_asked_budget_asks_about_images_of_no_class_too(tmp_path: Path) -> None:
    codes = CODES.model_copy(update={"supervised": ("shape",)})
    config = DataConfig(labels="100%", choice="asked", balanced=False, held_out=0)
    budget = Dataset.load(config, codes, with_foreign(tmp_path)).budget
    assert set(range(8)) < set(budget.train.tolist())


def test_images_like_those_of_no_class_are_foreign_and_count_for_no_share(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 20, (60, 1, 8, 8), dtype=np.uint8)
    for row, (first, count) in enumerate(((0, 24), (24, 12), (36, 24))):
        images[first : first + count, 0, 3 * row : 3 * row + 2] += 200
    y = np.repeat(np.array([0, 1, FOREIGN], np.float32), (24, 12, 24))[:, None]
    shapes = ArraySource("three heaps", (SHAPE,), {"train": (images, y)}, {})
    store = write_store(tmp_path / "heaps", shapes)
    codes = CodesConfig(supervised=("shape",), prior="estimated")
    config = DataConfig(labels=6, held_out=0, spread=SpreadConfig(neighbors=4))
    dataset = Dataset.load(config, codes, store)
    assert dataset.foreign is not None
    assert dataset.foreign.nonzero()[:, 0].tolist() == list(range(36, 60))
    assert 15 <= (dataset.y[36:] == SHAPE.none).sum() <= 17  # the surest share, and given ones
    assert (dataset.y[36:].isnan() | (dataset.y[36:] == SHAPE.none)).all()
    assert 22 <= (dataset.y[:36] < SHAPE.none).sum() <= 26
    plain = Dataset.load(
        config.model_copy(update={"spread": None}), CodesConfig(supervised=("shape",)), store
    )
    torch.testing.assert_close(dataset.given, plain.y, equal_nan=True)
    assert dataset.space.joint is not None
    assert dataset.space.joint.weights == pytest.approx((2 / 3, 1 / 3))


def test_a_heap_of_nothing_but_foreign_images_is_refused(store: Store, tmp_path: Path) -> None:
    arrays = {"train": (source(judge=False).arrays["train"][0], np.full((48, 1), -1, np.float32))}
    nothing = ArraySource("nothing", (SHAPE,), arrays, {})
    codes = CODES.model_copy(update={"supervised": ("shape",)})
    with pytest.raises(BadInput, match=r"all images of nothing are none of the classes"):
        Dataset.load(DataConfig(held_out=0), codes, write_store(tmp_path / "none", nothing))
