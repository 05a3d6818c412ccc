"""The paper's claims against runs whose numbers follow simple rules."""

from pathlib import Path

import pytest

from ssgan.paper.claims import claims_of, mean_over_training
from ssgan.paper.plans import PLANS
from ssgan.paper.runs import Group, mean_final, read_groups
from tests.helpers.papers import make_groups


def verdicts(name: str, groups: tuple[Group, ...]) -> dict[str, str]:
    claims = claims_of(PLANS[name].name, PLANS[name].chance)
    return {claim.text: claim.decide(groups).verdict for claim in claims}


def test_the_mean_over_a_training_is_the_area_under_its_curve(tmp_path: Path) -> None:
    (group,) = read_groups(make_groups(tmp_path, amounts=[20], seeds=[0], epochs=3))
    curve = group.curves("zero_one_loss_ema")[0]
    first, second, third = curve
    # Equal steps: each inner point counts twice as much as the ends.
    expected = (first + 2 * second + third) / 4
    assert mean_over_training(curve) == pytest.approx(expected)
    assert group.curves("no such metric").empty


def test_the_judges_error_is_the_mean_over_runs(tmp_path: Path) -> None:
    groups = read_groups(make_groups(tmp_path, amounts=[0, 20], seeds=[0, 1]))
    assert mean_final(groups, "judge_error") == pytest.approx(0.031)
    assert mean_final((), "judge_error") is None


def test_mnist_where_more_labels_are_faster(tmp_path: Path) -> None:
    search = make_groups(tmp_path, amounts=[0, 132, "50%"], seeds=[0, 1, 2], epochs=8)
    assert set(verdicts("mnist", read_groups(search)).values()) == {"holds"}


def test_a_continuous_code_is_compared_with_infogans_without_its_sign(tmp_path: Path) -> None:
    codes = {"codes.supervised": ["digit", "angle"]}
    search = make_groups(
        tmp_path, amounts=[0, 10, 132, "50%"], seeds=[0, 1], epochs=8, overrides=codes
    )
    groups = read_groups(search)
    turns, exact, _ = (claim.decide(groups) for claim in claims_of("mnist-turned", 0.9))
    # |-0.10| and |-0.11| at 0; log10(133) / 4 and 0.01 more at 132.
    assert (
        turns.measured
        == "0 (InfoGAN): 0.1050 ± 0.0071 (n = 2); 132 labels: 0.5360 ± 0.0071 (n = 2)"
    )
    assert turns.verdict == exact.verdict == "holds"
    assert "InfoGAN" not in exact.measured  # its code was never an angle
    few = [group for group in groups if group.amount in ("132", "50%")]
    # 40 * (1 - 0.531) = 18.76 and 40 * (1 - 0.675) = 13.00: more apart than C's 3 degrees.
    assert "within C's own error" not in claims_of("mnist-turned", 0.9)[1].decide(few).why


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    search = make_groups(tmp_path, amounts=[0, 132, "50%"], seeds=[0], epochs=8)
    for name in ("mnist", "svhn", "celeba", "cifar10"):
        found = verdicts(name, read_groups(search))
        assert set(found.values()) == {"not decided"}


def test_control_is_decided_against_the_matched_baseline(tmp_path: Path) -> None:
    search = make_groups(tmp_path, amounts=[0, "10%", "100%"], seeds=[0, 1], epochs=3)
    found = verdicts("svhn", read_groups(search))
    assert found["10 % of the labels give c_ss the meaning of the labels."] == "holds"
    without = make_groups(tmp_path, amounts=["10%", "100%"], seeds=[0, 1], name="no-baseline")
    found = verdicts("svhn", read_groups(without))
    assert found["10 % of the labels give c_ss the meaning of the labels."] == "not decided"


def test_no_claim_is_written_without_its_number_of_runs(tmp_path: Path) -> None:
    amounts = [0, "1%", 132, "10%", "20%", "100%"]
    codes = {"codes.supervised": ["digit", "angle"]}
    groups = read_groups(make_groups(tmp_path, amounts, seeds=[0, 1], overrides=codes))
    for plan in PLANS.values():
        for claim in claims_of(plan.name, plan.chance):
            finding = claim.decide(groups)
            assert "(n = " in finding.measured
            assert finding.why


def test_a_claim_about_all_labels_is_not_decided_by_fewer(tmp_path: Path) -> None:
    search = make_groups(tmp_path, amounts=[20, 50], seeds=[0, 1])
    claims = claims_of("svhn", 0.9)
    (quality,) = [claim for claim in claims if claim.section == "5.5"]
    finding = quality.decide(read_groups(search))
    assert finding.verdict == "not decided"
    assert finding.why == "no finished run with 0 and 100% labels"
