"""The terms against plain numpy, and what they teach."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from ssgan.method.codes import Code, Joint, LatentSpace
from ssgan.method.consistency import (
    Consistency,
    ConsistencyConfig,
    ConsistencyTerms,
    StrongConfig,
    change,
    draw_strong,
)
from ssgan.method.schedules import Clock, WarmUp
from tests.helpers.networks import draw

Array = NDArray[np.float64]

COLOR = Code(name="color", kind="categorical", classes=("red", "blue"))
ANGLE = Code(name="angle", kind="continuous")
SHAPE = Code(name="shape", kind="categorical", classes=("a", "b", "c"))
SPACE = LatentSpace(
    supervised=(COLOR, ANGLE, SHAPE),
    unsupervised=(),
    noise=3,
    posterior="gaussian",
    joint=Joint(rows=((0, 0.0, 0), (0, 0.5, 2), (1, 0.0, 2)), weights=(0.5, 0.25, 0.25)),
)
PARTS = ((slice(0, 2), (0.75, 0.25)), (slice(4, 7), (0.5, 0.0, 0.5)))
"""Columns of Q_ss's output that belong to a code with classes, and the prior of these."""
WIDTH = 7
STILL = StrongConfig(rotation=0, scale=0, shift=0, shear=0, flip=True)
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}


def outputs(seed: int = 0, count: int = 6, spread: float = 2.0) -> tuple[Tensor, Tensor]:
    """Return what Q_ss makes of images, and of the changed ones."""
    generator = draw(seed)
    found = torch.randn(2, count, WIDTH, generator=generator) * spread
    return found[0].requires_grad_(), found[1].requires_grad_()


def softmax(logits: Tensor) -> Array:
    exponential = np.exp(logits.detach().double().numpy())
    return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))


def restated(weak: Tensor, strong: Tensor, averages: list[list[Any]], follow: float) -> list[float]:
    """Compute the terms, and move the averages, [confidence, shares] a code, as the text says."""
    terms = [0.0, 0.0, 0.0]
    for (columns, prior), average in zip(PARTS, averages, strict=True):
        p, q = softmax(weak[:, columns]), softmax(strong[:, columns])
        average[0] += follow * (p.max(axis=1).mean() - average[0])
        average[1] = average[1] + follow * (p.mean(axis=0) - average[1])
        for one, other in zip(p, q, strict=True):
            read = int(one.argmax())
            if one[read] >= average[0] * average[1][read] / average[1].max():
                terms[0] -= math.log(other[read]) / len(p)
        joint = np.mean([np.outer(one, other) for one, other in zip(p, q, strict=True)], axis=0)
        joint = (joint + joint.T) / 2
        for a, b in np.ndindex(*joint.shape):
            terms[1] -= joint[a, b] * math.log(joint[a, b] / joint[a].sum() / joint[:, b].sum())
        terms[2] += sum(
            share * math.log(share / mean)
            for share, mean in zip(prior, q.mean(axis=0), strict=True)
            if share
        )
    return terms


def test_the_terms_are_what_the_text_says() -> None:
    made = Consistency(ConsistencyConfig(half_life=100), SPACE, batch_size=50)
    averages: list[list[Any]] = [[1 / n, np.full(n, 1 / n)] for n in (2, 3)]
    follow, unsure = 1 - math.sqrt(0.5), 0
    for seed in range(20):
        weak, strong = outputs(seed)
        expected = restated(weak, strong, averages, follow)
        found = made(weak, strong)
        np.testing.assert_allclose([term.item() for term in found], expected, **CLOSE)
        np.testing.assert_allclose(made.confidence, [of for of, _ in averages], **CLOSE)
        np.testing.assert_allclose(made.shares, np.concatenate([s for _, s in averages]), **CLOSE)
        everything = Consistency(ConsistencyConfig(threshold=0), SPACE, 50)(weak, strong)
        unsure += int(everything.consistency > found.consistency)
    assert 5 < unsure <= 20  # the threshold decides


def test_a_threshold_may_be_a_number() -> None:
    logits = torch.tensor([0.7, 0.3]).log()
    weak = torch.zeros(2, WIDTH)
    weak[0, :2], weak[1, :2] = logits, logits.flip(0)
    strong = torch.zeros(2, WIDTH)
    for threshold, expected in ((0.69, math.log(2)), (0.71, 0.0)):
        made = Consistency(ConsistencyConfig(threshold=threshold), SPACE, 2)
        # The other code's reading, a third each, is below both.
        assert made(weak, strong).consistency.item() == pytest.approx(expected, rel=1e-6)


def test_an_adaptive_threshold_demands_less_of_classes_that_are_rarely_read() -> None:
    made = Consistency(ConsistencyConfig(half_life=1e-3), SPACE, 4)  # only the last batch counts
    weak = torch.zeros(4, WIDTH)
    weak[:, :2] = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]).log()
    strong = torch.zeros(4, WIDTH)
    terms = made(weak, strong)
    assert made.confidence[0].item() == pytest.approx(0.825)
    torch.testing.assert_close(made.shares[:2], torch.tensor([0.775, 0.225]))
    # 0.6 is below the average, and above its share of it; all shapes are read alike, at a third.
    assert terms.consistency.item() == pytest.approx(math.log(2) + math.log(3), rel=1e-6)


def test_the_bounds_of_the_terms() -> None:
    made = Consistency(ConsistencyConfig(), SPACE, 36)
    sure, other = torch.zeros(2, 36, WIDTH)
    for image in range(36):
        sure[image, image % 2] = sure[image, 4 + image % 3] = 200.0
        other[image, image // 2 % 2] = other[image, 4 + image // 3 % 3] = 200.0
    terms = made(sure, sure)
    assert terms.consistency == 0
    assert terms.information.item() == pytest.approx(-math.log(2) - math.log(3), rel=1e-5)
    independent = made(sure, other)
    assert independent.information.item() == pytest.approx(0, abs=1e-5)
    fair = torch.zeros(4, WIDTH)
    fair[:3, 0] = fair[3, 1] = fair[:2, 4] = fair[2:, 6] = 200.0
    assert made(fair, fair).fairness.item() == pytest.approx(0, abs=1e-6)
    assert terms.fairness.item() > 0.1
    assert all(math.isfinite(term) for of in (terms, independent) for term in of)


@pytest.mark.parametrize(
    ("term", "through"),
    [("consistency", "strong"), ("information", "both"), ("fairness", "strong")],
)
def test_what_each_term_teaches(term: str, through: str) -> None:
    weak, strong = outputs()
    made = Consistency(ConsistencyConfig(threshold=0), SPACE, 6)
    found = torch.autograd.grad(
        getattr(made(weak, strong), term), (weak, strong), allow_unused=True, materialize_grads=True
    )
    assert bool(found[0].ne(0).any()) == (through == "both")
    assert found[1].ne(0).any()
    for gradient in found:
        assert gradient[:, 2:4].eq(0).all()  # the angle is not read


def test_workers_have_the_terms_of_one() -> None:
    weak, strong = outputs(count=8)
    config = ConsistencyConfig(half_life=10)
    whole = Consistency(config, SPACE, 8)
    expected = whole(weak, strong)
    gradients = [torch.autograd.grad(t, strong, retain_graph=True)[0] for t in expected]

    parts = [(w.detach(), s) for w, s in zip(weak.chunk(2), strong.chunk(2), strict=True)]
    rows: list[Tensor] = []
    for part in parts:  # what each of two workers hands over to the others
        Consistency(config, SPACE, 8, lambda values: rows.append(values.clone()))(*part)
    mean = torch.stack(rows).mean(0)
    ranks = [Consistency(config, SPACE, 8, lambda values: values.copy_(mean)) for _ in parts]
    terms = [rank(*part) for rank, part in zip(ranks, parts, strict=True)]
    for rank in ranks:
        torch.testing.assert_close(rank.state_dict(), whole.state_dict())
    for name, gradient in zip(ConsistencyTerms._fields, gradients, strict=True):
        losses = [getattr(of_rank, name) for of_rank in terms]
        together = torch.stack(losses).mean()
        torch.testing.assert_close(together, getattr(expected, name))
        torch.testing.assert_close(
            torch.autograd.grad(together, strong, retain_graph=True)[0], gradient
        )
        if name != "consistency":
            assert torch.equal(*losses)


def test_weights_warm_up_together() -> None:
    config = ConsistencyConfig(weight=2.0, fairness=0.5, warm_up=WarmUp(duration=4))
    assert config.weights(Clock(100, 100)) == (0.5, 0.0, 0.125)
    assert ConsistencyConfig().weights(Clock(0, 100)) == (1.0, 0.0, 0.0)


def test_every_image_has_a_change_of_its_own() -> None:
    images = torch.rand(1, 2, 12, 12, generator=draw()).expand(40, 2, 12, 12)
    draws = draw_strong(40, draw(1))
    assert draws.shape == (40, 8)
    assert draws.abs().max() <= 1
    assert len(draws.unique(dim=0)) == 40
    changed = change(StrongConfig(), images, draws)
    assert len(changed.unique(dim=0)) == 40
    halves = [change(StrongConfig(cut=0.5), images[:20], of) for of in draws.chunk(2)]
    torch.testing.assert_close(torch.cat(halves), change(StrongConfig(cut=0.5), images, draws))


@pytest.mark.parametrize("shape", [(12, 12), (8, 16)])
def test_a_square_of_the_mean_color_is_cut_out_anywhere(shape: tuple[int, int]) -> None:
    images = torch.rand(300, 2, *shape, generator=draw())
    config = STILL.model_copy(update={"flip": False, "cut": 0.5})
    draws = draw_strong(300, draw(1))
    changed = change(config, images, draws)
    cut = is_other(changed, images)
    side = min(shape) // 2
    assert cut.sum(dim=(1, 2)).eq(side**2).all()
    for size, along in zip(shape, (cut.any(dim=2), cut.any(dim=1)), strict=True):
        assert along.sum(dim=1).eq(side).all()
        first = along.float().argmax(dim=1)
        assert along.float().flip(1).argmax(dim=1).add(first).eq(size - side).all()  # in one piece
        assert set(first.tolist()) == set(range(size - side + 1))
    mean = images.mean(dim=(2, 3))
    torch.testing.assert_close(changed[0][:, cut[0]], mean[0][:, None].expand(-1, side**2))
    ends = torch.ones(1, 8)
    for one in (ends, -ends):
        assert is_other(change(config, images[:1], one), images[:1]).sum() == side**2


def is_other(changed: Tensor, images: Tensor) -> Tensor:
    """Mark the pixels that are others, but for rounding."""
    return (changed - images).abs().amax(dim=1) > 1e-4


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"strong": STILL.model_dump() | {"flip": False}}, "teach itself what it says already"),
        ({"threshold": True}, "not a number"),
        ({"threshold": 1.0}, "less than 1"),
        ({"threshold": "fixed"}, "adaptive"),
        ({"weight": -1}, "greater than or equal to 0"),
        ({"half_life": 0}, "greater than 0"),
        ({"strong": {"cut": 1.0}}, "less than 1"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ConsistencyConfig.model_validate(fields)


def test_one_change_is_enough() -> None:
    assert STILL.flip
    part = ConsistencyConfig.model_validate({"strong": {"rotation": 10}}).strong
    assert part == StrongConfig().model_copy(update={"rotation": 10})


def test_readings_are_those_among_the_classes_where_q_can_say_none() -> None:
    weak, strong = outputs()
    told = SPACE.model_copy(update={"none": True})
    other = torch.randn(6, 2, generator=draw(9))

    def widened(q: Tensor) -> Tensor:
        return torch.cat([q[:, :2], other[:, :1], q[:, 2:], other[:, 1:]], dim=1)

    expected = Consistency(ConsistencyConfig(), SPACE, 8)(weak, strong)
    found = Consistency(ConsistencyConfig(), told, 8)(widened(weak), widened(strong))
    torch.testing.assert_close(found, expected)
