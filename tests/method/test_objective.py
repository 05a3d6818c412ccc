import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from ssgan.method.codes import Code, LatentSpace, Posterior
from ssgan.method.objective import (
    ObjectiveConfig,
    loss_fake,
    loss_L1_IS,
    loss_L2_IS,
    loss_L_I,
    loss_real,
    q_losses,
    read_codes,
)

unhurried = settings(deadline=None, max_examples=50)  # no timed assertions

SHAPE = Code(name="shape", kind="categorical", classes=("a", "b", "c"))
ANGLE = Code(name="angle", kind="continuous")
CODES = (SHAPE, ANGLE)
POSTERIORS: tuple[Posterior, ...] = ("mse", "gaussian")


def q_of(posterior: Posterior, batch: int, seed: int = 0) -> Tensor:
    space = LatentSpace(supervised=CODES, unsupervised=(), noise=1, posterior=posterior)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, space.q_width(CODES), generator=generator, requires_grad=True)


C = torch.tensor([[0.0, -0.5], [2.0, 1.0], [1.0, 0.25]])


def test_adversarial_losses_by_hand() -> None:
    d = torch.tensor([0.0, math.log(3.0)])  # D says 1/2 and 3/4
    assert loss_real(d).item() == pytest.approx((math.log(2) - math.log(0.75)) / 2)
    assert loss_fake(d).item() == pytest.approx((math.log(2) - math.log(0.25)) / 2)


@unhurried
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9))
def test_adversarial_losses_are_binary_cross_entropies(logits: list[float]) -> None:
    d = torch.tensor(logits, dtype=torch.float64)
    bce = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(loss_real(d), bce(d, torch.ones_like(d)))
    torch.testing.assert_close(loss_fake(d), bce(d, torch.zeros_like(d)))


def test_losses_of_codes_by_hand() -> None:
    # One image: logits 0, ln 2, 0 give the classes 1/4, 1/2, 1/4; the mean is 0.5.
    q = torch.tensor([[0.0, math.log(2), 0.0, 0.5]])
    losses = q_losses(CODES, "mse", q, torch.tensor([[1.0, -0.5]]))
    assert losses[0].tolist() == pytest.approx([math.log(2), 1.0])
    q = torch.tensor([[0.0, math.log(2), 0.0, 0.5, math.log(4)]])  # standard deviation 2
    losses = q_losses(CODES, "gaussian", q, torch.tensor([[0.0, -0.5]]))
    density = math.exp(-0.5 * (1 / 2) ** 2) / (2 * math.sqrt(2 * math.pi))
    assert losses[0].tolist() == pytest.approx([math.log(4), -math.log(density)])


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_losses_of_codes_are_torchs_own(posterior: Posterior) -> None:
    q = q_of(posterior, 3)
    losses = q_losses(CODES, posterior, q, C)
    assert losses.shape == (3, 2)
    expected = F.cross_entropy(q[:, :3], C[:, 0].long(), reduction="none")
    torch.testing.assert_close(losses[:, 0], expected)
    if posterior == "mse":
        expected = F.mse_loss(q[:, 3], C[:, 1], reduction="none")
    else:
        nll = torch.nn.GaussianNLLLoss(full=True, reduction="none")
        expected = nll(q[:, 3], C[:, 1], q[:, 4].exp())
    torch.testing.assert_close(losses[:, 1], expected)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_bounds_on_synthetic_images_sum_over_codes(posterior: Posterior) -> None:
    q = q_of(posterior, 3)
    expected = q_losses(CODES, posterior, q, C).sum() / 3
    torch.testing.assert_close(loss_L_I(CODES, posterior, q, C), expected)
    torch.testing.assert_close(loss_L2_IS(CODES, posterior, q, C), expected)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_l1_divides_by_all_images_of_the_batch(posterior: Posterior) -> None:
    q = q_of(posterior, 3)
    y = C.clone()
    torch.testing.assert_close(
        loss_L1_IS(CODES, posterior, q, y), loss_L2_IS(CODES, posterior, q, C)
    )
    y[1:] = math.nan
    losses = q_losses(CODES, posterior, q, C)
    torch.testing.assert_close(loss_L1_IS(CODES, posterior, q, y), losses[0].sum() / 3)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_l1_uses_every_known_cell_of_a_partial_label(posterior: Posterior) -> None:
    q, y = q_of(posterior, 3), C.clone()
    y[0, 0] = y[2, 1] = math.nan
    losses = q_losses(CODES, posterior, q, C)
    expected = (losses[0, 1] + losses[1].sum() + losses[2, 0]) / 3
    loss = loss_L1_IS(CODES, posterior, q, y)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert q.grad is not None
    assert q.grad[0, :3].eq(0).all()
    assert q.grad[0, 3:].ne(0).all()
    assert q.grad[2, :3].ne(0).all()
    assert q.grad[2, 3:].eq(0).all()


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_l1_counts_each_label_by_its_weight(posterior: Posterior) -> None:
    q, y = q_of(posterior, 3), C.clone()
    y[1, 0] = math.nan
    losses = q_losses(CODES, posterior, q, C)
    weights = torch.tensor([[1.0, 0.5], [0.25, 2.0], [0.0, 0.0]])
    expected = (losses[0, 0] + 0.5 * losses[0, 1] + 2 * losses[1, 1]) / 3
    torch.testing.assert_close(loss_L1_IS(CODES, posterior, q, y, weights), expected)
    plain = loss_L1_IS(CODES, posterior, q, y)
    assert torch.equal(loss_L1_IS(CODES, posterior, q, y, torch.ones(3, 2)), plain)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_without_labels_l1_is_zero_and_keeps_its_graph(posterior: Posterior) -> None:
    q = q_of(posterior, 3)
    loss = loss_L1_IS(CODES, posterior, q, torch.full((3, 2), math.nan))
    assert loss.item() == 0
    loss.backward()
    assert q.grad is not None
    assert q.grad.eq(0).all()


@unhurried
@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 9))
def test_l1_of_some_labels_is_their_share_of_their_mean(batch: int, known: int, seed: int) -> None:
    known = min(known, batch)
    q = q_of("mse", batch, seed)
    y = torch.zeros(batch, 2)
    y[known:] = math.nan
    mean = q_losses(CODES, "mse", q[:known], y[:known]).sum(1).mean() if known else q.new_zeros(())
    torch.testing.assert_close(loss_L1_IS(CODES, "mse", q, y), mean * known / batch)


def test_no_code_costs_nothing() -> None:
    q, nothing = torch.ones(4, 0, requires_grad=True), torch.empty(4, 0)
    assert q_losses((), "mse", q, nothing).shape == (4, 0)
    for loss in (loss_L_I, loss_L2_IS, loss_L1_IS):
        assert loss((), "mse", q, nothing).item() == 0
    assert read_codes((), "mse", q).value.shape == (4, 0)


def test_codes_are_read_back() -> None:
    q = torch.tensor([[0.0, math.log(2), 0.0, 0.5], [9.0, 0.0, 0.0, -1.5]])
    value, confidence = read_codes(CODES, "mse", q)
    assert value.tolist() == [[1.0, 0.5], [0.0, -1.5]]
    assert value.dtype == torch.float32
    assert confidence[0, 0].item() == pytest.approx(0.5)
    assert confidence[:, 1].isnan().all()


def test_a_gaussian_reading_says_how_sure_it_is() -> None:
    deviations = torch.tensor([0.1, 0.05, 10.0])
    q = torch.cat([torch.zeros(3, 4), 2 * deviations.log()[:, None]], dim=1)
    confidence = read_codes(CODES, "gaussian", q).confidence[:, 1]
    normal = torch.distributions.Normal(0.0, deviations)
    expected = normal.cdf(torch.tensor(0.1)) - normal.cdf(torch.tensor(-0.1))
    torch.testing.assert_close(confidence, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_reading_inverts_the_loss(posterior: Posterior) -> None:
    # The value that is read is the one whose loss is lowest.
    q = q_of(posterior, 5).detach()
    value, _ = read_codes(CODES, posterior, q)
    best = q_losses(CODES, posterior, q, value)
    for other in (torch.tensor([0.0, 0.1]), torch.tensor([1.0, -0.7]), torch.tensor([2.0, 3.0])):
        assert (best <= q_losses(CODES, posterior, q, other.expand(5, 2))).all()


@pytest.mark.parametrize("weight", [-0.1, math.nan])
def test_weights_are_not_negative(weight: float) -> None:
    with pytest.raises(ValidationError, match="lambda2"):
        ObjectiveConfig(lambda2=weight)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_none_of_the_classes_is_read_by_a_logit_of_its_own(posterior: Posterior) -> None:
    space = LatentSpace(supervised=CODES, unsupervised=(), noise=1, posterior=posterior, none=True)
    q = 3 * torch.randn(50, space.q_width(CODES), generator=torch.Generator().manual_seed(0))
    y = C[[0, 1, 2] * 16 + [0, 1]]
    y[:5, 0] = SHAPE.none
    losses = q_losses(CODES, posterior, q, y)
    expected = F.cross_entropy(q[:, :4], y[:, 0].long(), reduction="none")
    torch.testing.assert_close(losses[:, 0], expected)
    without = torch.cat([q[:, :3], q[:, 4:]], dim=1)
    numbers = q_losses(CODES, posterior, without, y.clamp(max=2))[:, 1]
    torch.testing.assert_close(losses[:, 1], numbers)
    torch.testing.assert_close(
        read_codes(CODES, posterior, q), read_codes(CODES, posterior, without), equal_nan=True
    )
    value, confidence = read_codes(CODES, posterior, q, none=True)
    assert torch.equal(value[:, 0], q[:, :4].argmax(1).float())
    assert (value[:, 0] == SHAPE.none).any()
    torch.testing.assert_close(confidence[:, 0], q[:, :4].softmax(1).amax(1))
