"""What the paper claims in section 5, each with the measurement that decides it.

Claims of the experiment beyond the paper are this project's own.
"""

from collections.abc import Callable, Sequence
from statistics import pstdev
from typing import NamedTuple

import numpy as np
import pandas as pd

from ssgan.paper.findings import Finding, Sample, above, all_of, below, falls, less
from ssgan.paper.plans import Name
from ssgan.paper.runs import Group, mean_final

_LOSS = "zero_one_loss_ema"
_BEYOND = "beyond"
Groups = Sequence[Group]
Decide = Callable[[Groups], Finding]


class Claim(NamedTuple):
    """A statement of the paper."""

    section: str
    """Where it stands."""
    text: str
    """What it says."""
    measure: str
    """How it is measured here."""
    decide: Decide
    """Decides it from groups of runs, fewest labels first."""


def claims_of(name: Name, chance: float) -> tuple[Claim, ...]:
    """Return the paper's claims about a data set; chance is the 0-1 loss of ignoring the code."""
    digits = (
        Claim(
            "5.1",
            "The 0-1 loss falls faster as more labels are introduced.",
            "mean of the 0-1 loss over the training, falling with the label budget",
            _falling(_averages),
        ),
        Claim(
            "5.1",
            "InfoGAN, without any label, is the slowest.",
            "mean of the 0-1 loss over the training, larger at 0 (classes matched) than at every "
            "label budget",
            _with(["0"], _slowest),
        ),
        _sorted_digits("5.1", chance),
    )
    return {
        "mnist": digits,
        "mnist-authors": digits,
        "svhn": (
            _controls("5.2", "10%"),
            _baseline_fails("5.2", chance),
            Claim(
                "5.2",
                "With more labels the generator converges faster.",
                "mean of the 0-1 loss over the training, falling with the label budget above 0",
                _falling(_averages, least=1),
            ),
            Claim(
                "5.5",
                "Sample quality converges faster with all labels than without any.",
                "mean over the training of the Fréchet distance in C's features",
                _with(["0", "100%"], _better_quality),
            ),
        ),
        "celeba": (
            _controls("5.3", "1%"),
            _controls("5.3", "20%"),
            _baseline_fails("5.3", chance),
            Claim(
                "5.3",
                "At 1 % the training is unstable, at 20 % it is stable.",
                "standard deviation of G's 0-1 loss over the second half of the training",
                _with(
                    ["1%", "20%"],
                    lambda _, few, more: less(_fluctuations(more), _fluctuations(few), 0.0),
                ),
            ),
        ),
        "cifar10": (
            _controls("5.4", "10%"),
            _baseline_fails("5.4", chance),
            Claim(
                "5.4",
                "More labels give better class-conditional samples.",
                "last 0-1 loss, falling with the label budget",
                _falling(finals_of),
            ),
            Claim(
                "5.4",
                "No generator reaches C's accuracy on real images.",
                "last 0-1 loss of every label budget, above C's own error",
                _short_of_real,
            ),
        ),
        "mnist-turned": (
            Claim(
                _BEYOND,
                "132 labels make angle a knob: G draws the angle asked for.",
                "correlation of the angle asked for with the one that C measures, at 132, above "
                "InfoGAN's without its sign",
                _with(["0", "132"], lambda _, none, few: less(_follows(none), _follows(few), 0.0)),
            ),
            Claim(
                _BEYOND,
                "The more labels, the more exactly G draws the angle.",
                "last root mean squared error of the angle that C measures, in the user's units, "
                "falling with the label budget above 0",
                _exact,
            ),
            _sorted_digits(_BEYOND, chance),
        ),
    }[name]


def mean_over_training(curve: pd.Series) -> float:
    """Average two or more values over the images seen, by the trapezoid rule: faster is less."""
    images = curve.index.to_numpy(float)
    return float(np.trapezoid(curve, images) / (images[-1] - images[0]))


def finals_of(group: Group, metric: str = _LOSS) -> Sample:
    """Return the last values of a metric, one a run that has one."""
    return Sample(group.title, tuple(group.finals(metric)))


def _averages(group: Group, metric: str = _LOSS) -> Sample:
    """Average each run's curve from its first point on; runs of fewer than two are left out."""
    curves = [curve.dropna() for _, curve in group.curves(metric).items()]
    return Sample(group.title, tuple(mean_over_training(one) for one in curves if len(one) > 1))


def _fluctuations(group: Group) -> Sample:
    """Measure how much the loss still moves in the second half of the training."""
    curves = [curve.dropna() for _, curve in group.curves("zero_one_loss").items()]
    late = [curve[len(curve) // 2 :] for curve in curves]
    return Sample(group.title, tuple(pstdev(one) for one in late if len(one) > 1))


def _follows(group: Group) -> Sample:
    """Measure how the angle follows its code, without sign: no label tells which way to turn."""
    values = group.finals(f"correlation/{group.spell('angle')}")
    return Sample(group.title, tuple(map(abs, values)))


def _judge_error(groups: Groups) -> float:
    """Return C's own error on real validation images; 0, which refuses nothing, where unknown."""
    return mean_final(groups, "judge_error") or 0.0


def _with(amounts: Sequence[str], compare: Callable[..., Finding]) -> Decide:
    """Decide by all groups, and those of some label budgets, once these have runs."""

    def decide(groups: Groups) -> Finding:
        by_amount = {group.amount: group for group in groups}
        if not by_amount.keys() >= set(amounts):
            why = f"no finished run with {' and '.join(amounts)} labels"
            return Finding("not decided", "no value (n = 0)", why)
        return compare(groups, *(by_amount[amount] for amount in amounts))

    return decide


def _falling(sample: Callable[[Group], Sample], least: int = 0) -> Decide:
    """Decide whether something falls with the label budget, from budgets of `least` labels on."""
    return lambda groups: falls(
        [sample(group) for group in groups if group.labels >= least], _judge_error(groups)
    )


def _controls(section: str, amount: str) -> Claim:
    return Claim(
        section,
        f"{amount.replace('%', ' %')} of the labels give c_ss the meaning of the labels.",
        f"last 0-1 loss at {amount}, classes not matched, below InfoGAN's with classes matched",
        _with(
            ["0", amount],
            lambda groups, none, some: less(finals_of(some), finals_of(none), _judge_error(groups)),
        ),
    )


def _baseline_fails(section: str, chance: float) -> Claim:
    return Claim(
        section,
        "InfoGAN, without labels, does not find the labels' meaning by itself.",
        "last 0-1 loss at 0, classes matched, above half of chance",
        _with(["0"], lambda _, none: above(finals_of(none), chance / 2, "half of chance")),
    )


def _sorted_digits(section: str, chance: float) -> Claim:
    return Claim(
        section,
        "132 labels (0.22 %) sort the digits: code k draws digit k.",
        "last 0-1 loss at 132 labels, classes not matched, below half of chance",
        _with(["132"], lambda _, few: below(finals_of(few), chance / 2, "half of chance")),
    )


def _slowest(groups: Groups, none: Group) -> Finding:
    error = _judge_error(groups)
    return all_of([less(_averages(one), _averages(none), error) for one in groups if one.labels])


def _better_quality(_: Groups, none: Group, every: Group) -> Finding:
    return less(_averages(every, "fd_judge"), _averages(none, "fd_judge"), 0.0)


def _short_of_real(groups: Groups) -> Finding:
    error = _judge_error(groups)
    return all_of([above(finals_of(one), error, "C's error on real images") for one in groups])


def _exact(groups: Groups) -> Finding:
    labeled = [group for group in groups if group.labels]
    if not labeled:
        return falls([], 0.0)
    name = labeled[0].spell("angle")
    error = mean_final(groups, f"judge_rmse/{name}") or 0.0
    return falls([finals_of(group, f"rmse/{name}") for group in labeled], error)
