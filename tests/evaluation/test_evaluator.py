import math
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from ssgan.base.rng import Streams
from ssgan.data.dataset import DataConfig, Dataset
from ssgan.data.store import Store
from ssgan.evaluation.config import EvaluationConfig
from ssgan.evaluation.evaluator import Evaluation, Evaluator
from ssgan.evaluation.judge import Judge, Prediction
from ssgan.method.codes import Code, CodesConfig, LatentSpace, UnsupervisedCode
from ssgan.networks.discriminator import Discriminator

CONFIG = EvaluationConfig(samples=60, real_images=200, held_out_images=100, neighbors=3, columns=2)
CODES = CodesConfig(unsupervised=(UnsupervisedCode(name="style"),), noise=4)


class Painter(nn.Module):
    """A perfect or a mistaken G: pixels say the class, a stripe says the style and the noise."""

    def __init__(self, shift: int = 0, varied: bool = True) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))
        self.shift, self.varied = shift, varied

    def forward(self, v: Tensor) -> Tensor:
        images = torch.zeros(len(v), 1, 16, 16) + self.anchor
        digit = (v[:, :10].argmax(dim=1) + self.shift) % 10
        images[:, 0, :8] = digit[:, None, None] / 10
        if self.varied:
            images[:, 0, 8:] = v[:, 10:11, None] / 4 + 0.5
            images[:, 0, 12:, :4] = v[:, 11:, None].sigmoid()
        return images


class Reader(nn.Module):
    """A D whose Qs read a Painter's pictures; on real images it always says "0"."""

    def trunk(self, x: Tensor) -> Tensor:
        return x

    def q_ss(self, x: Tensor) -> Tensor:
        digit = (x[:, 0, 0, 0] * 10).round().long().clamp(0, 9)
        return 50 * torch.nn.functional.one_hot(digit, 10).float()

    def q_us(self, x: Tensor) -> Tensor:
        return (x[:, 0, 8, 15:] - 0.5) * 4


class Eye:
    """A C that reads a Painter's pictures."""

    mean_accuracy: float | None = 0.99
    rmse: Mapping[str, float] = {}

    def predict(self, images: Tensor) -> Prediction:
        digit = (images[:, 0, 0, :1].float() / 25.5).round()
        return Prediction(digit, images[:, 0, ::5, ::5].flatten(1).float())


@pytest.fixture(scope="module")
def dataset(digits_store: Store) -> Dataset:
    return Dataset.load(DataConfig(labels="10%"), CODES, digits_store)


def evaluate(
    dataset: Dataset,
    raw: nn.Module,
    ema: nn.Module,
    judge: Eye | None = None,
    config: EvaluationConfig = CONFIG,
) -> Evaluation:
    evaluator = Evaluator(config, dataset, cast("Judge | None", judge), Streams(0))
    return evaluator.evaluate({"raw": raw, "ema": ema}, cast("Discriminator", Reader()))


def test_a_perfect_generator(dataset: Dataset) -> None:
    found = evaluate(dataset, Painter(shift=1), Painter(), Eye())
    metrics = found.metrics
    assert metrics["zero_one_loss"] == 1
    assert metrics["zero_one_loss_ema"] == 0
    assert metrics["zero_one_loss_ema/digit.3"] == 0
    assert metrics["mi/digit"] == pytest.approx(math.log(10))
    assert metrics["entropy/digit"] == pytest.approx(math.log(10))
    assert metrics["mi/style"] > 3  # bytes are all that blurs it  # type: ignore[operator]
    assert metrics["dead_codes"] == 0
    assert metrics["judge_error"] == pytest.approx(0.01)
    assert metrics["mi_x_xtilde"] == 0  # Q_ss knows nothing of real images
    assert metrics["mi_real/digit"] == 0
    assert 0.05 < metrics["q_ss_accuracy"] < 0.2  # type: ignore[operator]
    for name in ("fd_judge", "precision", "recall", "density", "coverage", "diversity"):
        assert metrics[name] is not None
        assert math.isfinite(metrics[name])  # type: ignore[arg-type]
    assert found.alarms == []
    assert set(found.images) == {
        "samples_raw",
        "samples_ema",
        "traversal_style_ema",
        "confusion_digit_ema",
    }
    assert all(data.startswith(b"\x89PNG") for data in found.pngs().values())


def test_a_generator_that_ignores_codes_and_noise_raises_alarms(dataset: Dataset) -> None:
    class Blank(Painter):
        def forward(self, v: Tensor) -> Tensor:
            return super().forward(torch.zeros_like(v))

    found = evaluate(dataset, Blank(), Blank(varied=False), Eye())
    assert found.metrics["dead_codes"] == 2
    assert found.metrics["diversity"] == 0
    alarms = "\n".join(found.alarms)
    for said in ("'digit'", "'style'", "2.303", "digit = 0 (0.00), 1 (0.00)", "lambda1"):
        assert said in alarms


def test_without_a_judge_the_loss_is_null_with_the_reason(dataset: Dataset) -> None:
    found = evaluate(dataset, Painter(), Painter())
    for name in ("zero_one_loss", "zero_one_loss_ema", "fd_judge", "precision", "judge_error"):
        assert found.metrics[name] is None
        assert "test split" in found.reasons[name]
    assert found.metrics["q_ss_accuracy"] is not None
    assert found.metrics["mi/digit"] == pytest.approx(math.log(10))


def test_without_labels_classes_are_matched_and_it_says_so(digits_store: Store) -> None:
    infogan = Dataset.load(DataConfig(labels=0), CODES, digits_store)
    found = evaluate(infogan, Painter(), Painter(shift=4), Eye())
    assert found.metrics["zero_one_loss_ema"] == 0
    assert "Hungarian" in found.reasons["zero_one_loss_ema"]
    assert "Hungarian" in found.reasons["q_ss_accuracy"]
    assert found.metrics["mi_real/digit"] is None
    assert found.metrics["mi_x_xtilde"] is None


def test_evaluations_repeat_and_seeds_differ(dataset: Dataset) -> None:
    evaluator = Evaluator(CONFIG, dataset, cast(Judge, Eye()), Streams(0))
    runs = [
        evaluator.evaluate({"raw": Painter(), "ema": Painter()}, cast(Discriminator, Reader()))
        for _ in range(2)
    ]
    assert runs[0].metrics == runs[1].metrics
    assert runs[0].pngs() == runs[1].pngs()
    other = Evaluator(CONFIG, dataset, cast(Judge, Eye()), Streams(1)).evaluate(
        {"raw": Painter(), "ema": Painter()}, cast(Discriminator, Reader())
    )
    assert other.metrics["fd_judge"] != runs[0].metrics["fd_judge"]
    # The figures' latents are no run's own, so pictures line up between runs.
    assert other.pngs()["traversal_style_ema"] == runs[0].pngs()["traversal_style_ema"]


def test_too_few_images_for_neighbors_is_a_reason(dataset: Dataset) -> None:
    config = CONFIG.model_copy(update={"neighbors": 60})
    found = evaluate(dataset, Painter(), Painter(), Eye(), config)
    assert found.metrics["precision"] is None
    assert "neighbors" in found.reasons["precision"]
    assert found.metrics["fd_judge"] is not None


def test_without_a_supervised_code_there_is_nothing_to_judge(dataset: Dataset) -> None:
    style = Code(name="style", kind="continuous")
    space = LatentSpace(supervised=(), unsupervised=(style,), noise=2)
    empty = torch.zeros(len(dataset.train.images), 0)
    own = replace(dataset, space=space, y_known=empty, y_test=empty[:500])

    class Stripe(Painter):
        def forward(self, v: Tensor) -> Tensor:
            return (v[:, :1, None, None] / 4 + 0.5).expand(-1, 1, 16, 16) + self.anchor

    class Mute(Reader):
        def q_ss(self, x: Tensor) -> Tensor:
            return x[:, 0, 0, :0]

    evaluator = Evaluator(CONFIG, own, None, Streams(0))
    found = evaluator.evaluate({"ema": Stripe()}, cast(Discriminator, Mute()))
    assert "no code is supervised" in found.reasons["zero_one_loss"]
    assert found.metrics["mi/style"] > 3  # type: ignore[operator]
    assert found.metrics["diversity"] is not None
    assert set(found.images) == {"samples_ema", "traversal_style_ema"}


def test_a_continuous_supervised_code_is_measured_in_its_units(dataset: Dataset) -> None:
    angle = Code(name="angle", kind="continuous", low=-30, high=30)
    space = LatentSpace(supervised=(angle,), unsupervised=(), noise=2)
    n = len(dataset.train.images)
    labels = torch.linspace(-1, 1, n)[:, None]
    budget = replace(dataset.budget, held_out=torch.arange(20))
    own = replace(dataset, space=space, y_known=labels, test=None, y_test=None, budget=budget)

    class Dial(Painter):
        def forward(self, v: Tensor) -> Tensor:
            return (v[:, :1, None, None] / 4 + 0.5).expand(-1, 1, 16, 16) + self.anchor

    class Gauge(Reader):
        def q_ss(self, x: Tensor) -> Tensor:
            return (x[:, 0, 0, :1] - 0.5) * 4

        def q_us(self, x: Tensor) -> Tensor:
            return x[:, 0, 0, :0]

    class Scale(Eye):
        mean_accuracy = None
        rmse = {"angle": 2.5}  # noqa: RUF012

        def predict(self, images: Tensor) -> Prediction:
            value = (images[:, 0, 0, :1].float() / 255 - 0.5) * 4
            return Prediction(value * 0.5, images[:, 0, ::5, ::5].flatten(1).float())

    evaluator = Evaluator(CONFIG, own, cast(Judge, Scale()), Streams(0))
    found = evaluator.evaluate({"ema": Dial()}, cast(Discriminator, Gauge()))
    assert found.metrics["correlation/angle"] == pytest.approx(1, abs=1e-3)
    asked = 30 * evaluator._latents.c[:, 0]
    expected = (asked / 2).square().mean().sqrt().item()
    assert found.metrics["rmse/angle"] == pytest.approx(expected, rel=0.02)
    assert found.metrics["judge_rmse/angle"] == 2.5
    assert found.metrics["zero_one_loss_ema"] is None
    assert "categorical" in found.reasons["zero_one_loss_ema"]
    assert "categorical" in found.reasons["q_ss_accuracy"]
    assert "asked_angle_ema" in found.images
    assert "q_ss_rmse/angle" in found.metrics


def test_foreign_images_are_not_what_samples_are_compared_with(dataset: Dataset) -> None:
    foreign = torch.arange(len(dataset.train)) % 2 > 0
    images = dataset.train.images.clone()
    images[foreign] = 255
    own = replace(dataset, foreign=foreign, train=replace(dataset.train, images=images))
    config = CONFIG.model_copy(update={"real_images": len(dataset.train)})
    evaluator = Evaluator(config, own, None, Streams(0))
    assert len(evaluator._real) == (~foreign).sum()
    assert not evaluator._real.eq(255).all(dim=(1, 2, 3)).any()
