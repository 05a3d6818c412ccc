"""What the judge C says of synthetic images: 0-1 loss, measured values, feature statistics."""

from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from ssgan.drawing.charts import asked_measured, confusion_matrix
from ssgan.drawing.grids import generator_name
from ssgan.evaluation import metrics as measure
from ssgan.evaluation.catalog import MATCHED, safe_names
from ssgan.evaluation.judge import Judge, Prediction
from ssgan.evaluation.result import Evaluation
from ssgan.method.codes import LatentSpace


class Scores:
    """C's view of the samples of one latent space."""

    def __init__(
        self,
        judge: Judge,
        space: LatentSpace,
        asked: Tensor,
        real: Tensor,
        neighbors: int,
        labeled: bool,
    ) -> None:
        """Prepare to judge samples.

        Args:
            judge: C.
            space: The codes.
            asked: What the samples were asked to be, code table (N, K_ss).
            real: Real images for the feature statistics, uint8 (M, C, H, W).
            neighbors: Neighbors that span a ball.
            labeled: Whether the codes were tied to labels; else classes are matched.
        """
        self._judge, self._asked, self._real, self._neighbors = judge, asked, real, neighbors
        self._codes, self._labeled = space.supervised, labeled
        self._matching: measure.Matching = "identity" if labeled else "hungarian"
        self._safe = safe_names([code.name for code in space.codes])

    def add(self, result: Evaluation, samples: Mapping[str, Tensor], main: str) -> Prediction:
        """Add what C says to an evaluation, and return what it makes of the main copy's samples.

        Args:
            result: Is added to.
            samples: By copy of G (``raw``, ``ema``), uint8 (N, C, H, W).
            main: The copy of which everything is measured; of others the 0-1 loss only.
        """
        metrics = result.metrics
        predictions = {copy: self._judge.predict(images) for copy, images in samples.items()}
        for copy, seen in predictions.items():
            found = measure.zero_one_loss(self._asked, seen.c, self._codes, self._matching)
            name = "zero_one_loss" if copy == "raw" else f"zero_one_loss_{copy}"
            metrics[name] = found.mean
            if found.mean is not None and not self._labeled:
                result.reasons[name] = MATCHED
            if copy == main:
                self._name_classes(metrics, name, found)
                self._measure_values(result, seen, copy)
                self._draw_confusion(result, seen, found, copy)
                self._measure_features(result, seen.features)
        accuracy = self._judge.mean_accuracy
        metrics["judge_error"] = None if accuracy is None else 1 - accuracy
        for code, rmse in self._judge.rmse.items():
            metrics[f"judge_rmse/{self._safe[code]}"] = rmse
        return predictions[main]

    def _name_classes(
        self, metrics: dict[str, float | None], name: str, found: measure.ZeroOneLoss
    ) -> None:
        for code, losses in found.classes.items():
            if len(found.codes) > 1:
                metrics[f"{name}/{self._safe[code]}"] = found.codes[code]
            safe = safe_names(list(losses))
            for label, loss in losses.items():
                metrics[f"{name}/{self._safe[code]}.{safe[label]}"] = loss

    def _measure_values(self, result: Evaluation, seen: Prediction, copy: str) -> None:
        """Compare continuous codes, as asked for and as C measures them."""
        for k, code in enumerate(self._codes):
            if code.is_categorical:
                continue
            safe = self._safe[code.name]
            asked, got = self._asked[:, k], seen.c[:, k]
            found = measure.agreement(asked, got, code)
            if found is not None:
                result.metrics[f"correlation/{safe}"] = found.correlation
                result.metrics[f"rmse/{safe}"] = found.rmse
                title = f"{code.name} measured by C in images\nthat {generator_name(copy)} drew"
                result.images[f"asked_{safe}_{copy}"] = asked_measured(
                    code.from_unit(asked), code.from_unit(got), code.name, title
                )

    def _draw_confusion(
        self, result: Evaluation, seen: Prediction, found: measure.ZeroOneLoss, copy: str
    ) -> None:
        for k, code in enumerate(self._codes):
            if not code.is_categorical:
                continue
            counts = measure.confusion(self._asked[:, k], seen.c[:, k], code.size)
            columns = found.assignment[code.name]
            asked = code.classes if self._labeled else tuple(map(str, range(code.size)))
            result.images[f"confusion_{self._safe[code.name]}_{copy}"] = confusion_matrix(
                counts[:, columns],
                asked,
                [code.classes[column] for column in columns],
                f"{code.name} recognized by C in images\nthat {generator_name(copy)} drew",
            )

    @cached_property
    def seen_real(self) -> Prediction:
        """What C makes of the real images."""
        return self._judge.predict(self._real)

    def _measure_features(self, result: Evaluation, features: Tensor) -> None:
        result.metrics["fd_judge"] = measure.frechet_distance(self.seen_real.features, features)
        k = self._neighbors
        real = self.seen_real.features[: len(features)]
        if min(len(real), len(features)) <= k:
            reason = f"there are not more than evaluation.neighbors = {k} images to compare"
            result.reasons.update(dict.fromkeys(measure.Fidelity._fields, reason))
            return
        fidelity = measure.precision_recall_density_coverage(real, features, k)
        result.metrics.update(fidelity._asdict())
