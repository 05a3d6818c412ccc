"""One evaluation: samples of G and of its EMA, every metric, every figure, every alarm.

Metrics and pictures that say nothing of G's copy in their names are those of the EMA.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor, nn

from ssgan.base.rng import Streams
from ssgan.data.dataset import Dataset
from ssgan.data.memmap import Take
from ssgan.data.orders import draw_order
from ssgan.drawing.charts import asked_measured
from ssgan.drawing.confusion import confusion_matrix
from ssgan.drawing.grids import generator_name
from ssgan.drawing.sheet import png, thumbnail
from ssgan.evaluation import metrics as measure
from ssgan.evaluation.catalog import MATCHED, METRICS, REASONS, Conditions, safe_names
from ssgan.evaluation.config import EvaluationConfig
from ssgan.evaluation.extra_metric import Samples
from ssgan.evaluation.grids import EvaluationGrids, Real
from ssgan.evaluation.information import (
    Information,
    dead_codes,
    information,
    label_entropies,
    real_synthetic_bound,
)
from ssgan.evaluation.judge import Judge, Prediction
from ssgan.evaluation.reading import Q_BATCH, run_q
from ssgan.evaluation.samples import balanced_latents, generate
from ssgan.method.objective import read_codes
from ssgan.networks.discriminator import Discriminator

_REAL = Streams(0)  # not the run's: all runs are measured against the same real images


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation found."""

    metrics: dict[str, float | None] = field(default_factory=dict)
    """Values by flat name; None where there is none, and `reasons` says why."""
    images: dict[str, Image.Image] = field(default_factory=dict)
    """Pictures by name."""
    alarms: list[str] = field(default_factory=list)
    """Warnings, in words."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a metric is None, by its name; or how it is to be read."""

    def pngs(self) -> dict[str, bytes]:
        """Encode the pictures."""
        return {name: png(image) for name, image in self.images.items()}

    def thumbnails(self) -> dict[str, bytes]:
        """Encode their small copies, WebP."""
        return {name: thumbnail(image) for name, image in self.images.items()}


class Evaluator:
    """Measures G, its EMA and Q against real images and the judge C."""

    def __init__(
        self,
        config: EvaluationConfig,
        dataset: Dataset,
        judge: Judge | None,
        streams: Streams,
        device: torch.device | str = "cpu",
    ) -> None:
        """Draw the latents, from the run's streams, and the real images of every evaluation.

        There is no judge where the data has no test split. The device is that of the networks.
        """
        self._config, self._judge, self._device = config, judge, torch.device(device)
        space = self._space = dataset.space
        self._codes = space.supervised
        self._labeled = not dataset.is_infogan
        self._matching: measure.Matching = "identity" if self._labeled else "hungarian"
        self._latents = balanced_latents(
            space, config.samples, streams.generator("evaluation samples")
        )
        self._asked = self._latents.c[:, : len(self._codes)]
        rows, take = dataset.wanted, dataset.train.take
        self._real, self._labels = _subset(
            lambda places: take(rows[places]),
            dataset.y_known[rows],
            config.real_images,
            "evaluation real images",
        )
        self._held_out = _subset(
            *dataset.held_out(), config.held_out_images, "evaluation held-out images"
        )
        self._safe = safe_names([code.name for code in space.codes])
        self._conditions = Conditions(
            supervised={code.name: code.classes for code in self._codes},
            unsupervised=[code.name for code in space.unsupervised],
            judge=judge is not None,
            labels=self._labeled,
            held_out=len(self._held_out[0]) > 0,
        )
        real = Real(self._real, self._labels)
        self._grids = EvaluationGrids(space, real, config.columns, self._labeled)

    def evaluate(
        self, generators: Mapping[str, nn.Module], discriminator: Discriminator
    ) -> Evaluation:
        """Measure and draw everything once.

        The copies of G, ``raw`` and ``ema``, are in eval mode, with BatchNorm statistics of their
        own; so is D with its Q heads.
        """
        result = Evaluation()
        main = "ema" if "ema" in generators else next(iter(generators))
        samples = {
            copy: generate(generator, self._space, self._latents)
            for copy, generator in generators.items()
        }
        self._measure_information(result, samples[main], discriminator)
        self._measure_variety(result, samples[main])
        for copy, generator in generators.items():
            result.images.update(
                self._grids.draw(generator, copy)
                if copy == main
                else {f"samples_{copy}": self._grids.samples(generator, copy)}
            )
        seen = self._ask_judge(result, samples, main)
        extra = self._config.extra
        if extra:
            self._measure_extra(result, samples[main], seen, generators[main])
        for metric in [*METRICS.values(), *(metric for one in extra for metric in one.metrics)]:
            why = self._conditions.why_not(metric)
            if why is not None and metric.is_total:
                result.reasons.setdefault(metric.name, why)
        for name in result.reasons:
            result.metrics.setdefault(name, None)
        return result

    def _measure_extra(
        self, result: Evaluation, images: Tensor, seen: Prediction | None, generator: nn.Module
    ) -> None:
        real = (self._real, self._labels, self._seen_real)
        samples = Samples(images, self._latents.c, seen, *real, self._space, generator)
        for one in self._config.extra:
            names = [name for metric in one.metrics for name in self._conditions.names(metric)]
            found = dict.fromkeys(names) | dict(one.measure(samples) if names else {})
            result.metrics.update(found)
            why = f"{type(one).__qualname__} found no value"
            result.reasons.update({name: why for name, value in found.items() if value is None})

    def _measure_variety(self, result: Evaluation, samples: Tensor) -> None:
        """Compare variety within each class; of matched classes nothing is known without C."""
        codes = self._codes if self._labeled else ()
        ratio, classes = measure.diversity(
            samples, self._latents.c, self._real, self._labels, codes
        )
        result.metrics["diversity"] = ratio
        if ratio is None:
            result.reasons["diversity"] = "no class has two real labeled images to compare with"
        least = self._config.least_diversity
        for code, ratios in classes.items():
            low = [f"{name} ({ratio:.2f})" for name, ratio in ratios.items() if ratio < least]
            if low:
                result.alarms.append(
                    f"samples of {code} = {', '.join(low)} vary less than {least:g} times as much "
                    "as real images, so the noise changes little. Train longer, lower "
                    "objective.lambda2 or the learning rate of G, or add instance noise."
                )

    def _measure_information(
        self, result: Evaluation, samples: Tensor, discriminator: Discriminator
    ) -> None:
        """Bound the information on samples and on held-out images, and Q_ss's accuracy there."""
        space, metrics, config = self._space, result.metrics, self._config
        q_ss, q_us = self._read(samples, discriminator)
        prior = {code.name: space.entropy(code) for code in space.codes}
        c_us = self._latents.c[:, len(self._codes) :]
        on_samples = {
            **information(self._codes, space.posterior, q_ss, self._asked, prior),
            **information(space.unsupervised, space.posterior, q_us, c_us, prior),
        }
        on_real = self._measure_real(result, discriminator)
        for code in space.codes:
            safe = self._safe[code.name]
            metrics[f"mi/{safe}"] = on_samples[code.name].bound
            metrics[f"entropy/{safe}"] = prior[code.name]
            if code.name in on_real:
                metrics[f"mi_real/{safe}"] = on_real[code.name].bound
        metrics["mi_x_xtilde"] = real_synthetic_bound(space, on_real, on_samples)
        if metrics["mi_x_xtilde"] is None:
            result.reasons["mi_x_xtilde"] = (
                self._conditions.why_not(METRICS["mi_x_xtilde"])
                or "no categorical code was measured on real and on synthetic images"
            )
        alarms = dead_codes(space.codes, on_samples, config.dead_share, config.dead_nats)
        metrics["dead_codes"] = float(len(alarms))
        result.alarms.extend(alarms)

    def _measure_real(
        self, result: Evaluation, discriminator: Discriminator
    ) -> dict[str, Information]:
        images, labels = self._held_out
        metrics, codes, posterior = result.metrics, self._codes, self._space.posterior
        if not len(images):
            return {}
        q_ss, _ = self._read(images, discriminator)
        read = read_codes(codes, posterior, q_ss).value
        accuracy = measure.accuracy(labels, read, codes, self._matching)
        for name, share in accuracy.items():
            metrics[f"q_ss_accuracy/{self._safe[name]}"] = share
        metrics["q_ss_accuracy"] = sum(accuracy.values()) / len(accuracy) if accuracy else None
        for name, found in measure.agreements(labels, read, codes).items():
            metrics[f"q_ss_correlation/{self._safe[name]}"] = found.correlation
            metrics[f"q_ss_rmse/{self._safe[name]}"] = found.rmse
        if not self._labeled:
            if accuracy:
                result.reasons["q_ss_accuracy"] = MATCHED
            for code in codes:
                result.reasons[f"mi_real/{self._safe[code.name]}"] = REASONS["labels"]
            return {}
        return information(codes, posterior, q_ss, labels, label_entropies(codes, labels))

    def _ask_judge(
        self, result: Evaluation, samples: Mapping[str, Tensor], main: str
    ) -> Prediction | None:
        """Measure what C says of the main copy's samples, which is returned, and others' 0-1 loss.

        None without C.
        """
        if self._judge is None:
            return None
        metrics, judge = result.metrics, self._judge
        predictions = {copy: judge.predict(images) for copy, images in samples.items()}
        for copy, seen in predictions.items():
            found = measure.zero_one_loss(self._asked, seen.c, self._codes, self._matching)
            name = "zero_one_loss" if copy == "raw" else f"zero_one_loss_{copy}"
            metrics[name] = found.mean
            if found.mean is not None and not self._labeled:
                result.reasons[name] = MATCHED
            if copy != main:
                continue
            for code, losses in found.classes.items():
                if len(found.codes) > 1:
                    metrics[f"{name}/{self._safe[code]}"] = found.codes[code]
                safe = safe_names(list(losses))
                for label, loss in losses.items():
                    metrics[f"{name}/{self._safe[code]}.{safe[label]}"] = loss
            for code, agreement in measure.agreements(self._asked, seen.c, self._codes).items():
                metrics[f"correlation/{self._safe[code]}"] = agreement.correlation
                metrics[f"rmse/{self._safe[code]}"] = agreement.rmse
            self._draw_judged(result, seen, found, copy)
            self._measure_features(result, seen.features)
        accuracy = judge.mean_accuracy
        metrics["judge_error"] = None if accuracy is None else 1 - accuracy
        for code, rmse in judge.rmse.items():
            metrics[f"judge_rmse/{self._safe[code]}"] = rmse
        return predictions[main]

    def _draw_judged(
        self, result: Evaluation, seen: Prediction, found: measure.ZeroOneLoss, copy: str
    ) -> None:
        drew = f"that {generator_name(copy)} drew"
        for k, code in enumerate(self._codes):
            asked, got, safe = self._asked[:, k], seen.c[:, k], self._safe[code.name]
            if code.is_categorical:
                columns = found.assignment[code.name]
                result.images[f"confusion_{safe}_{copy}"] = confusion_matrix(
                    measure.confusion(asked, got, code.size)[:, columns],
                    code.classes if self._labeled else tuple(map(str, range(code.size))),
                    [code.classes[column] for column in columns],
                    f"{code.name} asked for (rows) and recognized by C (columns) in images {drew}",
                )
            elif f"rmse/{safe}" in result.metrics:
                result.images[f"asked_{safe}_{copy}"] = asked_measured(
                    code.from_unit(asked),
                    code.from_unit(got),
                    code.name,
                    f"{code.name} measured by C in images\n{drew}",
                )

    @cached_property
    def _seen_real(self) -> Prediction | None:
        return None if self._judge is None else self._judge.predict(self._real)

    def _measure_features(self, result: Evaluation, features: Tensor) -> None:
        assert self._seen_real is not None
        real = self._seen_real.features
        result.metrics["fd_judge"] = measure.frechet_distance(real, features)
        k, real = self._config.neighbors, real[: len(features)]
        if min(len(real), len(features)) <= k:
            reason = f"there are not more than evaluation.neighbors = {k} images to compare"
            result.reasons.update(dict.fromkeys(measure.Fidelity._fields, reason))
            return
        fidelity = measure.precision_recall_density_coverage(real, features, k)
        result.metrics.update(fidelity._asdict())

    def _read(self, images: Tensor, discriminator: Discriminator) -> tuple[Tensor, Tensor]:
        return run_q(images.split(Q_BATCH), discriminator, self._device)


def _subset(take: Take, labels: Tensor, most: int, stream: str) -> tuple[Tensor, Tensor]:
    """Copy at most so many random rows to the CPU."""
    order = draw_order(_REAL, stream, len(labels))
    rows = order.at(torch.arange(min(most, len(labels))))
    return take(rows).cpu(), labels[rows].cpu()
