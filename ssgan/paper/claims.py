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
_ANGLE = "angle"
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
    """Return the paper's claims about a data set.

    Args:
        name: The data set.
        chance: 0-1 loss of a generator that ignores the code.
    """
    digits = (
        _falling(
            "5.1",
            "The 0-1 loss falls faster as more labels are introduced.",
            "mean of the 0-1 loss over the training, falling with the label budget",
            _averages,
        ),
        _slowest(),
        _sorted_digits("5.1", chance),
    )
    return {
        "mnist": digits,
        "mnist-authors": digits,
        "svhn": (
            _controls("5.2", "10%"),
            _baseline_fails("5.2", chance),
            _falling(
                "5.2",
                "With more labels the generator converges faster.",
                "mean of the 0-1 loss over the training, falling with the label budget above 0",
                _averages,
                least=1,
            ),
            _better_quality(),
        ),
        "celeba": (
            _controls("5.3", "1%"),
            _controls("5.3", "20%"),
            _baseline_fails("5.3", chance),
            _steadier(),
        ),
        "cifar10": (
            _controls("5.4", "10%"),
            _baseline_fails("5.4", chance),
            _falling(
                "5.4",
                "More labels give better class-conditional samples.",
                "last 0-1 loss, falling with the label budget",
                finals_of,
            ),
            _short_of_real(),
        ),
        "mnist-turned": (
            _turns(_ANGLE),
            _exact(_ANGLE),
            _sorted_digits(_BEYOND, chance),
        ),
    }[name]


def _judge_error(groups: Groups) -> float:
    """Return C's own error on real validation images; 0, which refuses nothing, where unknown."""
    return mean_final(groups, "judge_error") or 0.0


def mean_over_training(curve: pd.Series) -> float:
    """Average a metric over the images seen, by the trapezoid rule: what converges faster is less.

    Args:
        curve: Values by images seen, two or more.
    """
    images = curve.index.to_numpy(float)
    return float(np.trapezoid(curve, images) / (images[-1] - images[0]))


def _averages(group: Group, metric: str = _LOSS) -> Sample:
    """Average each run's curve from its first point on; runs of fewer than two are left out."""
    curves = [curve.dropna() for _, curve in group.curves(metric).items()]
    return Sample(group.title, tuple(mean_over_training(one) for one in curves if len(one) > 1))


def finals_of(group: Group, metric: str = _LOSS) -> Sample:
    """Return the last values of a metric, one a run that has one."""
    return Sample(group.title, tuple(group.finals(metric)))


def _fluctuations(group: Group) -> Sample:
    """Measure how much the loss still moves in the second half of the training."""
    curves = [curve.dropna() for _, curve in group.curves("zero_one_loss").items()]
    late = [curve[len(curve) // 2 :] for curve in curves]
    return Sample(group.title, tuple(pstdev(one) for one in late if len(one) > 1))


def _find(groups: Groups, amount: str) -> Group | None:
    return next((group for group in groups if group.amount == amount), None)


def _needs(*amounts: str) -> Finding:
    return Finding(
        "not decided", "no value (n = 0)", f"no finished run with {' and '.join(amounts)} labels"
    )


def _at(amount: str, compare: Callable[[Group], Finding]) -> Decide:
    """Decide by one label budget, once it has runs."""

    def decide(groups: Groups) -> Finding:
        found = _find(groups, amount)
        return _needs(amount) if found is None else compare(found)

    return decide


def _between(one: str, other: str, compare: Callable[[Group, Group, float], Finding]) -> Decide:
    """Decide by two label budgets and C's own error, once both have runs."""

    def decide(groups: Groups) -> Finding:
        found = _find(groups, one), _find(groups, other)
        if found[0] is None or found[1] is None:
            return _needs(one, other)
        return compare(found[0], found[1], _judge_error(groups))

    return decide


def _falling(
    section: str, text: str, measure: str, sample: Callable[[Group], Sample], least: int = 0
) -> Claim:
    """Claim that something falls with the label budget, from budgets of `least` labels on."""

    def decide(groups: Groups) -> Finding:
        compared = [sample(group) for group in groups if group.labels >= least]
        return falls(compared, _judge_error(groups))

    return Claim(section, text, measure, decide)


def _slowest() -> Claim:
    def decide(groups: Groups) -> Finding:
        baseline = _find(groups, "0")
        if baseline is None:
            return _needs("0")
        labeled = [group for group in groups if group.labels > 0]
        error = _judge_error(groups)
        return all_of([less(_averages(one), _averages(baseline), error) for one in labeled])

    return Claim(
        "5.1",
        "InfoGAN, without any label, is the slowest.",
        "mean of the 0-1 loss over the training, larger at 0 (classes matched) than at every "
        "label budget",
        decide,
    )


def _sorted_digits(section: str, chance: float) -> Claim:
    return Claim(
        section,
        "132 labels (0.22 %) sort the digits: code k draws digit k.",
        "last 0-1 loss at 132 labels, classes not matched, below half of chance",
        _at("132", lambda few: below(finals_of(few), chance / 2, "half of chance")),
    )


def _turns(code: str) -> Claim:
    def follows(group: Group) -> Sample:
        # Nothing tells a code without labels which way to turn: its sign is free.
        return Sample(
            group.title, tuple(map(abs, group.finals(f"correlation/{group.spell(code)}")))
        )

    return Claim(
        _BEYOND,
        f"132 labels make {code} a knob: G draws the {code} asked for.",
        f"correlation of the {code} asked for with the one that C measures, at 132, above "
        "InfoGAN's without its sign",
        _between("0", "132", lambda none, few, _: less(follows(none), follows(few), 0.0)),
    )


def _exact(code: str) -> Claim:
    def decide(groups: Groups) -> Finding:
        labeled = [group for group in groups if group.labels > 0]
        if not labeled:
            return falls([], 0.0)
        name = labeled[0].spell(code)
        error = mean_final(groups, f"judge_rmse/{name}") or 0.0
        return falls([finals_of(group, f"rmse/{name}") for group in labeled], error)

    return Claim(
        _BEYOND,
        f"The more labels, the more exactly G draws the {code}.",
        f"last root mean squared error of the {code} that C measures, in the user's units, falling "
        "with the label budget above 0",
        decide,
    )


def _controls(section: str, amount: str) -> Claim:
    return Claim(
        section,
        f"{amount.replace('%', ' %')} of the labels give c_ss the meaning of the labels.",
        f"last 0-1 loss at {amount}, classes not matched, below InfoGAN's with classes matched",
        _between("0", amount, lambda none, some, e: less(finals_of(some), finals_of(none), e)),
    )


def _baseline_fails(section: str, chance: float) -> Claim:
    return Claim(
        section,
        "InfoGAN, without labels, does not find the labels' meaning by itself.",
        "last 0-1 loss at 0, classes matched, above half of chance",
        _at("0", lambda none: above(finals_of(none), chance / 2, "half of chance")),
    )


def _better_quality() -> Claim:
    return Claim(
        "5.5",
        "Sample quality converges faster with all labels than without any.",
        "mean over the training of the Fréchet distance in C's features",
        _between(
            "0",
            "100%",
            lambda none, every, _: less(
                _averages(every, "fd_judge"), _averages(none, "fd_judge"), 0.0
            ),
        ),
    )


def _steadier() -> Claim:
    return Claim(
        "5.3",
        "At 1 % the training is unstable, at 20 % it is stable.",
        "standard deviation of G's 0-1 loss over the second half of the training",
        _between(
            "1%", "20%", lambda few, more, _: less(_fluctuations(more), _fluctuations(few), 0.0)
        ),
    )


def _short_of_real() -> Claim:
    def decide(groups: Groups) -> Finding:
        error = _judge_error(groups)
        return all_of([above(finals_of(one), error, "C's error on real images") for one in groups])

    return Claim(
        "5.4",
        "No generator reaches C's accuracy on real images.",
        "last 0-1 loss of every label budget, above C's own error",
        decide,
    )
