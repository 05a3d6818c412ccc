"""The catalog of metrics: names, titles, directions, and what each needs to be measured.

A name in a record is that of a metric, or of a part of it: ``rmse/<code>`` of one code,
``zero_one_loss_ema/<code>.<class>`` of one class of a code.
"""

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Direction = Literal["min", "max"]
Need = Literal[
    "judge",
    "labels",
    "held-out images",
    "supervised codes",
    "categorical codes",
    "continuous codes",
]

REASONS: Mapping[Need, str] = {
    "judge": "the data has no test split, so there is no independent classifier C; "
    "q_ss_accuracy is measured on labels held out of the budget instead",
    "labels": "no image is labeled, so nothing ties the codes to the labels (InfoGAN)",
    "held-out images": "no labeled image was held out (data.held_out)",
    "supervised codes": "no code is supervised, so there is nothing to recognize",
    "categorical codes": "no supervised code is categorical",
    "continuous codes": "no supervised code is continuous",
}
"""Why a metric has no value where what it needs is missing."""
MATCHED = f"classes matched by the Hungarian method: {REASONS['labels']}"
"""How metrics of classes are to be read where no label names them."""


@dataclass(frozen=True)
class Metric:
    """A metric that a record may hold."""

    name: str
    """Its name in records, MLflow and `search.metric`."""
    title: str
    """What axes and tables call it; ``{}`` stands for the code."""
    meaning: str
    """What the number says, with its unit."""
    better: Direction | None = None
    """Whether less or more is better; None where neither is in itself."""
    needs: tuple[Need, ...] = ()
    """What must be there to measure it."""
    per: Literal["code", "class"] | None = None
    """Whether it is told code by code, or also class by class."""
    chart: bool = False
    """Whether MLflow's ready view charts it."""

    @property
    def is_total(self) -> bool:
        """Whether it has a value over all codes: of classes a mean, not of codes with units."""
        return self.per is None or "categorical codes" in self.needs


MAIN = "zero_one_loss_ema"
"""What runs and checkpoints are compared by."""
WITHOUT_JUDGE = "q_ss_accuracy"
"""What they are compared by where there is no judge."""
HEADLINES = (MAIN, "zero_one_loss", WITHOUT_JUDGE)
"""What a run's summary says first."""

_C: tuple[Need, ...] = ("judge",)
_CLASSES: tuple[Need, ...] = (*_C, "categorical codes")
_VALUES: tuple[Need, ...] = (*_C, "continuous codes")
_Q_CLASSES: tuple[Need, ...] = ("held-out images", "categorical codes")
_Q_VALUES: tuple[Need, ...] = ("held-out images", "continuous codes")
_TERMS = {
    "d_real": "adversarial loss of D on real images",
    "d_fake": "adversarial loss of D on synthetic images",
    "L_I": "loss of Q_us on synthetic images, in D's update",
    "L1_IS": "loss of Q_ss on labeled real images",
    "g_adv": "adversarial loss of G",
    "L_I_g": "loss of Q_us on synthetic images, in G's update",
    "L2_IS": "loss of Q_ss on synthetic images",
}
_CATALOG = (
    Metric(
        MAIN,
        "0-1 loss of G's EMA",
        "share of samples that C takes for another class",
        "min",
        _CLASSES,
        "class",
        chart=True,
    ),
    Metric("zero_one_loss", "0-1 loss of raw G", "the same of G's raw weights", "min", _CLASSES),
    Metric("judge_error", "C's own error", "on real images it did not learn from", "min", _CLASSES),
    Metric(
        WITHOUT_JUDGE,
        "Q_ss accuracy",
        "share of held-out real images that Q_ss reads right",
        "max",
        _Q_CLASSES,
        "code",
        chart=True,
    ),
    Metric("diversity", "diversity", "variety within classes; real images have 1"),
    Metric("fd_judge", "FD in C's features", "Fréchet distance in C's features", "min", _C),
    Metric("precision", "precision", "share of samples that look real to C", "max", _C),
    Metric("recall", "recall", "share of real images that G covers", "max", _C),
    Metric("density", "density", "how densely samples lie among real images", "max", _C),
    Metric("coverage", "coverage", "share of real images with a sample nearby", "max", _C),
    Metric(
        "mi_x_xtilde",
        "bound on I(X; X̃), nats",
        "L¹_IS + L²_IS - H: what real and synthetic images share, under assumption 8",
        "max",
        ("labels", *_Q_CLASSES),
    ),
    Metric("dead_codes", "dead codes", "number of codes that change nothing", "min"),
    Metric(
        "correlation", "correlation of {}", "asked for and measured by C", "max", _VALUES, "code"
    ),
    Metric("rmse", "RMSE of {}", "asked for and measured by C, your units", "min", _VALUES, "code"),
    Metric("judge_rmse", "C's own RMSE of {}", "on other real images", "min", _VALUES, "code"),
    Metric(
        "q_ss_correlation", "Q_ss correlation of {}", "on held-out images", "max", _Q_VALUES, "code"
    ),
    Metric("q_ss_rmse", "Q_ss RMSE of {}", "on held-out images", "min", _Q_VALUES, "code"),
    Metric("mi", "bound on I({}; x̃), nats", "L²_IS or L_I", "max", per="code", chart=True),
    Metric(
        "mi_real",
        "bound on I({}; x), nats",
        "L¹_IS: what held-out real images tell of the code",
        "max",
        ("labels", "held-out images", "supervised codes"),
        "code",
    ),
    Metric("entropy", "H({}), nats", "entropy of the code's prior", per="code"),
    *(
        Metric(f"loss/{term}", f"loss {term}", f"{said}, unweighted")
        for term, said in _TERMS.items()
    ),
    Metric("lambda1", "λ1", "weight of L_I at the epoch's first update"),
    Metric("lambda2", "λ2", "weight of L_IS at the epoch's first update, with its warm-up"),
    Metric("discriminator_lr", "learning rate of D and Q", "at the epoch's first update"),
    Metric("generator_lr", "learning rate of G", "at the epoch's first update"),
    Metric("label_probability", "probability of labeled draws", "at the epoch's first update"),
    Metric("labels_seen", "labels seen", "labeled images that were drawn at least once"),
    Metric("images_per_second", "images per second", "speed of training, all workers", "max"),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _CATALOG}
"""Every metric of ssgan by name, the most telling first."""
EXTRA: dict[str, Metric] = {}
"""Those of other packages, as far as they are imported (`ssgan.evaluation.extra_metric`)."""
KNOWN: Mapping[str, Metric] = ChainMap(EXTRA, METRICS)
"""All of them by name, those of ssgan first."""


def find(name: str) -> Metric | None:
    """Return the metric that a name in a record belongs to; None where there is none."""
    return KNOWN.get(name) or KNOWN.get(name.partition("/")[0])


def title(name: str) -> str:
    """Return what axes and tables call a metric: ``rmse/angle`` is "RMSE of angle"."""
    metric = find(name)
    if metric is None:
        return name
    part = name.removeprefix(metric.name)[1:].replace(".", " = ", 1)
    shown = metric.title.format(part or "<code>")
    return f"{shown}, {part}" if part and shown == metric.title else shown


def direction(name: str) -> Direction | None:
    """Return whether less or more of a metric is better; None where neither is, or no metric."""
    metric = find(name)
    return None if metric is None else metric.better


def main_loss(metrics: Mapping[str, float | None]) -> float | None:
    """Return what runs and checkpoints are compared by, lower is better.

    It is the 0-1 loss of G's EMA by C; without a judge, Q_ss's error on held-out images.
    """
    loss, accuracy = metrics.get(MAIN), metrics.get(WITHOUT_JUDGE)
    return 1 - accuracy if loss is None and accuracy is not None else loss


class Conditions(NamedTuple):
    """What decides which metrics an experiment's evaluations report."""

    supervised: Mapping[str, Sequence[str] | None]
    """The supervised codes, each with its classes: none of a continuous code, None where only the
    data knows."""
    unsupervised: Sequence[str]
    """The other codes."""
    judge: bool = True
    """Whether there is a judge C."""
    labels: bool = True
    """Whether any image is labeled; else the method is InfoGAN."""
    held_out: bool = True
    """Whether there are labeled real images that Q_ss does not learn from."""

    def why_not(self, metric: Metric) -> str | None:
        """Return why a metric has no value; None where it has one."""
        kinds = list(self.supervised.values())
        there: dict[Need, bool] = {
            "supervised codes": bool(kinds),
            "judge": self.judge,
            "held-out images": self.held_out,
            "labels": self.labels,
            "categorical codes": any(map(_may_have_classes, kinds)),
            "continuous codes": any(not classes for classes in kinds),
        }
        needs = {*metric.needs, "supervised codes"} if metric.needs else set()
        return next((REASONS[need] for need in there if need in needs and not there[need]), None)

    def names(self, metric: Metric) -> Iterator[str]:
        """Yield the names under which a metric has a value, ``<class>`` for unknown classes."""
        if self.why_not(metric) is not None:
            return
        if metric.is_total:
            yield metric.name
        if metric.per is None:
            return
        safe = safe_names([*self.supervised, *self.unsupervised])
        codes = list(self.supervised) if metric.needs else list(safe)
        if "categorical codes" in metric.needs:
            codes = [code for code in codes if _may_have_classes(self.supervised[code])]
        if "continuous codes" in metric.needs:
            codes = [code for code in codes if not self.supervised[code]]
        for code in codes:
            if metric.per == "code" or len(codes) > 1:
                yield f"{metric.name}/{safe[code]}"
            if metric.per == "class":
                known = self.supervised[code]
                classes = ["<class>"] if known is None else safe_names(known).values()
                yield from (f"{metric.name}/{safe[code]}.{one}" for one in classes)


def _may_have_classes(classes: Sequence[str] | None) -> bool:
    return classes is None or len(classes) > 0


def safe_names(names: Sequence[str]) -> dict[str, str]:
    """Spell names in the characters that MLflow and file names take, each differently.

    Anything but letters, digits, "_" and "-" becomes "_"; a name that is taken gets a number.
    """
    safe: dict[str, str] = {}
    for name in names:
        spelled = base = re.sub(r"[^A-Za-z0-9_-]", "_", name)
        count = 1
        while spelled in safe.values():
            count += 1
            spelled = f"{base}_{count}"
        safe[name] = spelled
    return safe
