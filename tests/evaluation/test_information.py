import math

import pytest
import torch

from ssgan.evaluation.information import (
    Information,
    dead_codes,
    information,
    label_entropies,
    real_synthetic_bound,
)
from ssgan.method.codes import Code, Joint, LatentSpace

SIZE = Code(name="size", kind="categorical", classes=("small", "large"))
PET = Code(name="pet", kind="categorical", classes=("cat", "dog", "cow", "pig"))
ANGLE = Code(name="angle", kind="continuous", low=-30, high=30)
NAN = math.nan
LOG2 = math.log(2)


def test_a_certain_q_tells_the_whole_entropy_and_an_ignorant_one_nothing() -> None:
    c = torch.tensor([[0.0], [1], [0], [1]])
    certain = 100 * torch.nn.functional.one_hot(c[:, 0].long(), 2).float()
    found = information((SIZE,), "mse", certain, c, {"size": LOG2})
    assert found["size"].bound == pytest.approx(LOG2)
    ignorant = information((SIZE,), "mse", torch.zeros(4, 2), c, {"size": LOG2})
    assert ignorant["size"].bound == pytest.approx(0, abs=1e-6)
    wrong = information((SIZE,), "mse", -certain, c, {"size": LOG2})
    assert wrong["size"].bound == 0
    assert wrong["size"].loss == pytest.approx(100)


def test_a_continuous_code_is_bounded_by_the_gaussian_of_its_error() -> None:
    c = torch.tensor([[-0.5], [0.5], [-0.5], [0.5], [NAN]])
    error = torch.tensor([0.1, 0.1, -0.1, -0.1, 0])[:, None]
    found = information((ANGLE,), "mse", c.nan_to_num() - error, c, {"angle": LOG2})["angle"]
    expected = LOG2 - 0.5 * math.log(2 * math.pi * math.e * 0.01)
    assert found.bound == pytest.approx(expected, rel=1e-4)
    # A constant shift of the reading loses nothing.
    shifted = information((ANGLE,), "mse", c.nan_to_num() - error + 3, c, {"angle": LOG2})
    assert shifted["angle"].bound == pytest.approx(expected, rel=1e-3)


def test_the_bound_stays_below_the_mutual_information_of_a_gaussian_channel() -> None:
    # c ~ N(0, 0.04), x = c + noise of variance 0.01: I = ½ log(1 + 4) by hand.
    generator = torch.Generator().manual_seed(0)
    c = 0.2 * torch.randn(200_000, 1, generator=generator)
    x = c + 0.1 * torch.randn(200_000, 1, generator=generator)
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.04)
    found = information((ANGLE,), "mse", 0.8 * x, c, {"angle": entropy})["angle"]
    assert found.bound == pytest.approx(0.5 * math.log(5), abs=0.01)


def test_ignorance_of_a_uniform_code_is_clipped_at_zero() -> None:
    c = torch.linspace(-1, 1, 1001)[:, None]
    found = information((ANGLE,), "mse", torch.zeros(1001, 1), c, {"angle": LOG2})["angle"]
    assert found.loss == pytest.approx(0.5 * math.log(2 * math.pi * math.e / 3), abs=1e-2)
    assert found.bound == 0


def test_a_gaussian_posterior_is_measured_by_its_mean() -> None:
    c = torch.tensor([[-0.5], [0.5]])
    q = torch.cat([c + torch.tensor([[0.1], [-0.1]]), torch.full((2, 1), 5.0)], dim=1)
    found = information((ANGLE,), "gaussian", q, c, {"angle": LOG2})["angle"]
    assert found.loss == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 0.01), rel=1e-3)


def test_codes_without_two_known_values_are_left_out() -> None:
    c = torch.tensor([[NAN], [1.0]])
    assert information((SIZE,), "mse", torch.zeros(2, 2), c, {"size": LOG2}) == {}


def test_entropies_of_labels() -> None:
    labels = torch.tensor([[0, -0.95, NAN], [0, -0.95, NAN], [1, 0.95, NAN], [NAN, 0.95, NAN]])
    found = label_entropies((SIZE, ANGLE, PET), labels)
    assert set(found) == {"size", "angle"}
    assert found["size"] == pytest.approx(math.log(3) - 2 / 3 * LOG2)
    assert found["angle"] == pytest.approx(LOG2 + math.log(0.1))  # two of 20 bins 0.1 wide


def test_evenly_spread_continuous_labels_have_the_entropy_of_the_prior() -> None:
    labels = torch.linspace(-0.999, 0.999, 2000)[:, None]
    assert label_entropies((ANGLE,), labels)["angle"] == pytest.approx(LOG2, abs=1e-3)


def space(joint: Joint | None = None) -> LatentSpace:
    return LatentSpace(supervised=(SIZE, PET, ANGLE), unsupervised=(), noise=1, joint=joint)


def known(entropy: float, loss: float) -> Information:
    return Information(max(0.0, entropy - loss), entropy, loss)


def test_the_bound_of_real_and_synthetic_images_is_l1_plus_l2_less_h() -> None:
    one, two = math.log(2), math.log(4)
    real = {"size": known(one, 0.1), "pet": known(two, 0.2), "angle": known(one, -3)}
    fake = {"size": known(one, 0.05), "pet": known(two, 0.3), "angle": known(one, -3)}
    l1, l2 = one - 0.1 + two - 0.2, one - 0.05 + two - 0.3
    assert real_synthetic_bound(space(), real, fake) == pytest.approx(l1 + l2 - (one + two))


def test_it_uses_the_joint_entropy_and_is_clipped() -> None:
    one = math.log(2)
    joint = Joint(rows=((0, 0, 0.1), (1, 1, 0.2), (1, 1, 0.9)), weights=(0.5, 0.25, 0.25))
    real = {"size": known(one, 0.1), "pet": known(one, 0.1)}
    assert real_synthetic_bound(space(joint), real, real) == pytest.approx(one - 0.4)
    poor = {"size": known(one, 0.7), "pet": known(one, 0.7)}
    assert real_synthetic_bound(space(joint), poor, poor) == 0
    assert real_synthetic_bound(space(), {}, real) is None


def test_dead_codes_are_named_with_their_numbers() -> None:
    found = {
        "size": known(LOG2, LOG2 - 0.05),
        "pet": known(math.log(4), 0.1),
        "angle": known(LOG2, LOG2 - 0.02),
    }
    dead = dead_codes((SIZE, PET, ANGLE), found, share=0.1, nats=0.05)
    assert [alarm.split()[1] for alarm in dead] == ["'size'", "'angle'"]
    for said in ("0.050 nats", "0.693", "lambda2"):
        assert said in dead[0]
