"""What a classifier learns from samples, labels and readings, on real digits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from ssgan.base.errors import BadInput
from ssgan.base.rng import Streams
from ssgan.data.dataset import DataConfig, Dataset
from ssgan.data.store import Store
from ssgan.evaluation import teaching
from ssgan.evaluation.fit import FitConfig
from ssgan.evaluation.judge import JudgeConfig
from ssgan.evaluation.teaching import Lesson, Teacher, teach, teachers_of
from ssgan.method.augment import AugmentConfig
from ssgan.method.codes import Code, CodesConfig
from ssgan.networks.classifier import CnnConfig
from ssgan.networks.discriminator import Discriminator

CONFIG = JudgeConfig(classifier=CnnConfig(width=4), augment=AugmentConfig(rotation=7))
CODES = CodesConfig(unsupervised=(), noise=1)
KINDS: list[Teacher] = ["samples", "labels", "augmented labels", "readings"]


class Copier(nn.Module):
    """A G that draws training images of the class asked for, or of the next class but some."""

    def __init__(self, dataset: Dataset, shift: int = 0) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))
        digits = dataset.y_known[:, 0]
        self.members = [(digits == (of + shift) % 10).nonzero()[:, 0] for of in range(10)]
        self.images = dataset.train.images

    def forward(self, v: Tensor) -> Tensor:
        picked = []
        for digit, noise in zip(v[:, :10].argmax(dim=1), v[:, 10], strict=True):
            of = self.members[int(digit)]
            picked.append(of[int(noise.sigmoid() * len(of)) % len(of)])
        return self.images[torch.stack(picked)].float() / 255 + self.anchor


class Oracle:
    """A D whose Q_ss knows all training images but those whose first row says otherwise."""

    def __init__(self, dataset: Dataset, change: Callable[[Tensor], Tensor]) -> None:
        images, digits = dataset.train.images, change(dataset.y_known[:, 0].clone()).long()
        keys = map(Tensor.numpy, images)
        self.known = {key.tobytes(): digit for key, digit in zip(keys, digits, strict=True)}
        self.width = 10 + dataset.space.none

    def trunk(self, x: Tensor) -> Tensor:
        images = (x * 255).round().to(torch.uint8)
        return torch.stack([self.known[image.numpy().tobytes()] for image in images])

    def q_ss(self, digits: Tensor) -> Tensor:
        return 50 * nn.functional.one_hot(digits, self.width).float()

    def q_us(self, digits: Tensor) -> Tensor:
        return digits.float()[:, None]


@pytest.fixture(scope="module")
def dataset(digits_store: Store) -> Dataset:
    return Dataset.load(DataConfig(labels=20), CODES, digits_store)


def learn(
    teacher: Teacher,
    dataset: Dataset,
    change: Callable[[Tensor], Tensor] = lambda digits: digits,
    shift: int = 0,
) -> Lesson:
    oracle = cast("Discriminator", Oracle(dataset, change))
    cpu = torch.device("cpu")
    return teach(teacher, CONFIG, dataset, Copier(dataset, shift), oracle, Streams(3), cpu)


class Taught(dict[str, Any]):
    """The arguments that a fit was given."""


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Taught]:
    """Teach nothing; the list holds what would have taught."""
    seen: list[Taught] = []

    def note(
        network: Any, config: FitConfig, codes: Any, take: Any, labels: Tensor, *_: Any
    ) -> None:
        images = torch.cat([take(rows) for rows in torch.arange(len(labels)).split(100)])
        first = {name: value.clone() for name, value in network.state_dict().items()}
        seen.append(Taught(config=config, images=images, labels=labels, weights=first))
        network.eval()

    monkeypatch.setattr(teaching, "fit", note)
    return seen


def test_good_samples_and_good_readings_teach_what_few_labels_do_not(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "UPDATES", 60)
    samples, labels, readings = (
        learn(teacher, dataset) for teacher in ("samples", "labels", "readings")
    )
    assert min(samples.accuracy["digit"], readings.accuracy["digit"]) > 0.85
    assert labels.accuracy["digit"] < samples.accuracy["digit"] - 0.1
    assert [one.images for one in (samples, labels, readings)] == [1_297, 20, 1_297]
    assert {one.updates for one in (samples, labels, readings)} == {60}
    assert [one.right for one in (samples, labels, readings)] == [{}, {}, {"digit": 1.0}]
    assert learn("labels", dataset) == labels
    assert learn("samples", dataset, shift=1).accuracy["digit"] < 0.1


def test_all_teachers_have_the_same_number_of_images_and_the_same_first_weights(
    dataset: Dataset, fits: list[Taught]
) -> None:
    for teacher in KINDS:
        learn(teacher, dataset)
    assert {len(one["labels"]) for one in fits} == {1_297}
    for one in fits[1:]:
        torch.testing.assert_close(one["weights"], fits[0]["weights"], rtol=0, atol=0)
        assert one["config"].model_copy(update={"augment": None}) == fits[0]["config"]
    augments = [one["config"].augment for one in fits]
    assert augments == [None, None, AugmentConfig(rotation=7), None]
    assert fits[0]["labels"][:, 0].long().bincount().tolist() == [130] * 7 + [129] * 3


def test_labels_are_those_of_the_budget_alone_over_and_over(
    dataset: Dataset, fits: list[Taught]
) -> None:
    learn("labels", dataset)
    (seen,) = fits
    pairs = list(zip(map(_key, seen["images"]), seen["labels"][:, 0].tolist(), strict=True))
    rows = dataset.budget.train
    images = map(_key, dataset.train.take(rows))
    assert set(pairs) == set(zip(images, dataset.y_known[rows, 0].tolist(), strict=True))
    assert {pairs.count(pair) for pair in set(pairs)} == {64, 65}


def test_readings_are_of_all_training_images_whatever_their_labels_say(
    dataset: Dataset, fits: list[Taught]
) -> None:
    def err(digits: Tensor) -> Tensor:
        digits[:130] = (digits[:130] + 1) % 10
        return digits

    lesson = learn("readings", dataset, err)
    assert lesson.right["digit"] == pytest.approx(1 - 130 / 1_297)
    (seen,) = fits
    assert sorted(map(_key, seen["images"])) == sorted(map(_key, dataset.train.images))
    assert not seen["labels"].isnan().any()


def test_what_q_ss_reads_as_none_of_the_classes_teaches_no_class(
    dataset: Dataset, fits: list[Taught]
) -> None:
    space = dataset.space.model_copy(update={"none": True})

    def leave_out(digits: Tensor) -> Tensor:
        digits[:97] = 10
        return digits

    lesson = learn("readings", replace(dataset, space=space), leave_out)
    assert fits[0]["labels"].isnan().sum() == 97
    assert lesson.right["digit"] == 1


def test_what_cannot_be_compared_is_refused_with_a_reason(
    dataset: Dataset, digits_store: Store
) -> None:
    without = Dataset.load(DataConfig(labels=0), CODES, digits_store)
    with pytest.raises(BadInput, match="no label of the budget names a value of digit"):
        teachers_of(without)
    with pytest.raises(BadInput, match="digits has no test split"):
        teachers_of(replace(dataset, test=None, y_test=None))
    nothing = dataset.space.model_copy(update={"supervised": ()})
    with pytest.raises(BadInput, match="no code is supervised"):
        teachers_of(replace(dataset, space=nothing))


def test_values_are_taught_too_and_labels_that_have_them_are_not_augmented(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "UPDATES", 40)
    assert teachers_of(dataset) == KINDS
    assert dataset.test is not None
    assert dataset.y_test is not None

    def add_brightness(images: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([labels, images.flatten(1).float().mean(dim=1)[:, None] / 127.5 - 1], 1)

    level = Code(name="level", kind="continuous", low=0, high=255)
    both = (*dataset.space.supervised, level)
    two = replace(
        dataset,
        space=dataset.space.model_copy(update={"supervised": both}),
        y_known=add_brightness(dataset.train.images, dataset.y_known),
        y_test=add_brightness(dataset.test.images, dataset.y_test),
    )
    assert teachers_of(two) == ["samples", "labels", "readings"]
    lesson = learn("labels", two)
    assert (lesson.accuracy.keys(), lesson.rmse.keys()) == ({"digit"}, {"level"})
    assert 0 < lesson.rmse["level"] < 30  # of 255; saying nothing but the middle errs by 50


def _key(image: Tensor) -> bytes:
    return image.numpy().tobytes()
