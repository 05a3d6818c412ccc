"""From numbers over seeds to a verdict: does a claim hold, at what level, over how many runs.

A difference counts when Welch's t-test, one-sided, rejects its absence at 5 %, *and* when it is
larger than the error of the instrument, the classifier C that measured it. One run decides nothing.
"""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

Verdict = Literal["holds", "does not hold", "not decided"]

_LEVEL = 0.05
_PERMUTATIONS = 9_999


class Sample(NamedTuple):
    """What some runs measured."""

    name: str
    values: tuple[float, ...]

    def __str__(self) -> str:
        """Write mean, standard deviation and number of runs."""
        return f"{self.name}: {mean_and_spread(self.values)} (n = {len(self.values)})"


class Finding(NamedTuple):
    """A verdict, what was measured, and how the one follows from the other."""

    verdict: Verdict
    measured: str
    why: str


def mean_and_spread(values: Sequence[float], digits: int = 4) -> str:
    """Write a mean and, of two values or more, their standard deviation (n - 1)."""
    if not values:
        return "no value"
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


def less(one: Sample, other: Sample, error: float) -> Finding:
    """Decide whether the mean of one is less than that of the other.

    A difference below the error, the instrument's in the same units, decides nothing.
    """
    measured = f"{one}; {other}"
    if min(len(one.values), len(other.values)) < 2:
        return Finding("not decided", measured, "a spread needs two runs of each or more")
    gap = mean(other.values) - mean(one.values)
    if abs(gap) <= error:
        why = f"the difference, {gap:+.4f}, is within C's own error, {error:.4f}"
        return Finding("not decided", measured, why)
    if _is_constant(one.values) and _is_constant(other.values):
        p = float(one.values[0] >= other.values[0])
    else:
        test = stats.ttest_ind(one.values, other.values, equal_var=False, alternative="less")
        p = float(test.pvalue)
    return Finding(_verdict(p), measured, f"difference {gap:+.4f}, one-sided {_p(p)}")


def below(one: Sample, limit: float, what: str) -> Finding:
    """Decide whether a mean is below a limit, which `what` names in words."""
    measured = f"{one}; {what}: {limit:.4f}"
    if len(one.values) < 2:
        return Finding("not decided", measured, "a spread needs two runs or more")
    if _is_constant(one.values):
        p = float(one.values[0] >= limit)
    else:
        p = float(stats.ttest_1samp(one.values, limit, alternative="less").pvalue)
    return Finding(_verdict(p), measured, f"one-sided {_p(p)}")


def above(one: Sample, limit: float, what: str) -> Finding:
    """Decide whether a mean is above a limit; as `below`."""
    mirrored = below(Sample(one.name, tuple(-value for value in one.values)), -limit, what)
    return mirrored._replace(measured=f"{one}; {what}: {limit:.4f}")


def falls(groups: Sequence[Sample], error: float) -> Finding:
    """Decide whether values fall from group to group, by Spearman's rank correlation.

    Two groups are compared by their means: so few ranks have too few orders to reject anything.
    A difference of the first and the last mean below the error, the instrument's, decides nothing.
    """
    measured = "; ".join(map(str, groups))
    known = [group for group in groups if group.values]
    if len(known) < 2 or min(len(group.values) for group in known) < 2:
        return Finding("not decided", measured, "an order needs two groups of two runs or more")
    if len(known) == 2:
        return less(known[1], known[0], error)._replace(measured=measured)
    order = [i for i, group in enumerate(known) for _ in group.values]
    values = [value for group in known for value in group.values]
    rho, p = _trend(order, values)
    gap = mean(known[0].values) - mean(known[-1].values)
    why = f"rank correlation {rho:+.2f} over {len(values)} runs, one-sided {_p(p)}"
    if abs(gap) <= error:
        why += f"; the difference, {gap:+.4f}, is within C's own error, {error:.4f}"
        return Finding("not decided", measured, why)
    return Finding(_verdict(p), measured, why)


def all_of(findings: Sequence[Finding]) -> Finding:
    """Join parts of a claim: it holds if all do, and does not if one does not."""
    verdicts = {finding.verdict for finding in findings}
    verdict: Verdict = "holds" if verdicts == {"holds"} else "not decided"
    if "does not hold" in verdicts:
        verdict = "does not hold"
    measured = dict.fromkeys(part for one in findings for part in one.measured.split("; "))
    why = dict.fromkeys(one.why for one in findings)
    return Finding(verdict, "; ".join(measured), "; ".join(why))


def _verdict(p: float) -> Verdict:
    if p < _LEVEL:
        return "holds"
    return "does not hold" if p > 1 - _LEVEL else "not decided"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _is_constant(values: Sequence[float]) -> bool:
    """Whether values differ by rounding at most, of which no test can make anything."""
    return max(values) - min(values) <= 1e-12


def _trend(order: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's correlation, and p of "it is not negative", by permutation.

    Few values have fewer orders than `_PERMUTATIONS`: then all of them are counted.
    """
    ranks = stats.rankdata(values), stats.rankdata(order)
    if np.ptp(ranks[0]) == 0:
        return 0.0, 0.5
    method = stats.PermutationMethod(n_resamples=_PERMUTATIONS, rng=np.random.default_rng(0))
    found = stats.pearsonr(*ranks, alternative="less", method=method)
    return float(found.statistic), float(found.pvalue)
