"""Verdicts from numbers over seeds, against cases that can be checked by hand."""

import pytest
from scipy import stats

from ssgan.paper.findings import Finding, Sample, above, all_of, below, falls, less

LOW = Sample("ten", (0.10, 0.12, 0.11))
HIGH = Sample("none", (0.50, 0.55, 0.45))


def test_a_sample_says_how_many_runs_it_is() -> None:
    assert str(LOW) == "ten: 0.1100 ± 0.0100 (n = 3)"
    assert str(Sample("ten", (0.1,))) == "ten: 0.1000 (n = 1)"
    assert str(Sample("ten", ())) == "ten: no value (n = 0)"


def test_a_clear_difference_holds_one_way_and_not_the_other() -> None:
    found = less(LOW, HIGH, error=0.01)
    assert found.verdict == "holds"
    p = stats.ttest_ind(LOW.values, HIGH.values, equal_var=False, alternative="less").pvalue
    assert found.why == f"difference +0.3900, one-sided p = {p:.3f}"
    assert found.measured == f"{LOW}; {HIGH}"
    assert less(HIGH, LOW, error=0.01).verdict == "does not hold"
    tight = Sample("ten", (0.1100, 0.1101, 0.1102))
    assert below(tight, 0.5, "limit").why == "one-sided p < 0.001"  # never "p = 0.000"


@pytest.mark.parametrize(
    ("one", "other", "error", "why"),
    [
        (Sample("a", (0.1,)), HIGH, 0.0, "a spread needs two runs"),
        (LOW, Sample("b", ()), 0.0, "a spread needs two runs"),
        (LOW, HIGH, 0.4, "the difference, +0.3900, is within C's own error, 0.4000"),
        # t = 0.1 / 0.2828 with two degrees of freedom: p = (1 - t / sqrt(t² + 2)) / 2.
        (Sample("a", (0.1, 0.5)), Sample("b", (0.2, 0.6)), 0.0, "one-sided p = 0.379"),
    ],
)
def test_what_decides_nothing(one: Sample, other: Sample, error: float, why: str) -> None:
    found = less(one, other, error)
    assert found.verdict == "not decided"
    assert why in found.why


def test_runs_without_spread_are_compared_by_their_value() -> None:
    zeros, ones = Sample("a", (0.0, 0.0)), Sample("b", (1.0, 1.0))
    assert less(zeros, ones, 0.0).verdict == "holds"
    assert less(ones, zeros, 0.0).verdict == "does not hold"
    assert below(zeros, 0.5, "half").verdict == "holds"
    assert below(zeros, 0.0, "nothing").verdict == "does not hold"


def test_limits_from_below_and_above() -> None:
    assert below(LOW, 0.45, "half of chance").verdict == "holds"
    found = above(LOW, 0.45, "half of chance")
    assert found == Finding("does not hold", f"{LOW}; half of chance: 0.4500", found.why)
    assert above(HIGH, 0.2, "x").verdict == "holds"
    assert below(Sample("a", (0.1,)), 0.9, "x").verdict == "not decided"


def test_an_order_over_groups() -> None:
    groups = [
        Sample("0", (0.9, 0.8, 0.85)),
        Sample("132", (0.5, 0.55, 0.45)),
        Sample("all", (0.1, 0.2, 0.15)),
    ]
    found = falls(groups, 0.01)
    assert found.verdict == "holds"
    # Nine ranks in three blocks: Spearman's correlation with ties in the order is -0.9487.
    assert found.why.startswith("rank correlation -0.95 over 9 runs")
    assert falls(groups[::-1], 0.01).verdict == "does not hold"
    assert falls(groups, 0.8).verdict == "not decided"
    assert falls([Sample("0", (0.9,)), Sample("all", (0.1,))], 0.0).verdict == "not decided"
    flat = [Sample(name, (0.5, 0.5)) for name in ("0", "ten", "all")]
    assert falls(flat, -1.0).verdict == "not decided"
    assert falls(groups, 0.01) == found


def test_two_groups_are_compared_by_their_means() -> None:
    # Four runs have six orders, so ranks alone never get below 5 %.
    groups = [Sample("ten", (0.50, 0.52)), Sample("all", (0.20, 0.21))]
    found = falls(groups, 0.01)
    assert found == less(groups[1], groups[0], 0.01)._replace(measured=found.measured)
    assert found.measured.startswith("ten: ")
    assert found.verdict == "holds"
    assert falls(groups[::-1], 0.01).verdict == "does not hold"


def test_a_claim_of_several_parts() -> None:
    holds, fails = Finding("holds", "a; b", "x"), Finding("does not hold", "b; c", "y")
    open_ = Finding("not decided", "d", "z")
    assert all_of([holds, holds]).verdict == "holds"
    assert all_of([holds, open_]).verdict == "not decided"
    assert all_of([holds, open_, fails]) == Finding("does not hold", "a; b; d; c", "x; z; y")
    assert all_of([]).verdict == "not decided"
