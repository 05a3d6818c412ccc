"""The gradient table in the module's docstring, and what a step skips."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

import pytest
import torch
from torch import Tensor, nn

from ssgan.method.codes import LatentSpace
from ssgan.method.consistency import Consistency, ConsistencyConfig, ConsistencyTerms
from ssgan.method.extra_term import ExtraTerm, Half
from ssgan.method.optimizer import OptimizerConfig
from ssgan.networks.generator import Generator
from ssgan.training.step import (
    TERMS,
    AffineMaps,
    DiscriminatorTerms,
    GeneratorTerms,
    StepInput,
    Terms,
    TrainingStep,
)
from tests.helpers.networks import SHAPE, SIZES, SPACE, WEIGHTS, B

PARTS = ("G", "trunk", "d", "q_ss", "q_us")
NAN = math.nan

HalfTerms = TypeVar("HalfTerms", DiscriminatorTerms, GeneratorTerms)


class Extra(ExtraTerm):
    """A term in both halves: logits near 0, and features of x̃ near those of x."""

    kind: Literal["elsewhere.Extra"] = "elsewhere.Extra"

    def discriminator_term(self, half: Half) -> Tensor:
        return half.d(half.trunk(half.x)).square().mean()

    def generator_term(self, half: Half) -> Tensor:
        gap = half.h_fake.mean(dim=0) - half.trunk(half.x).mean(dim=0)
        return gap.square().sum()


def only(term: str, terms: HalfTerms) -> HalfTerms:
    """Multiply all but one term by zero."""
    fields = terms._asdict()
    extra = fields.pop("extra")
    last = "Extra" if isinstance(terms, DiscriminatorTerms) else "Extra_g"
    names = ConsistencyTerms._fields if len(extra) == 3 else (last,) * len(extra)
    kept = tuple(t * float(term == name) for t, name in zip(extra, names, strict=True))
    return terms._replace(extra=kept, **{n: t * float(n == term) for n, t in fields.items()})


class Masked(nn.Module):
    """D's losses with all but one term multiplied by zero."""

    def __init__(self, losses: nn.Module, term: str) -> None:
        super().__init__()
        self.losses = losses
        self.term = term

    def forward(self, inputs: StepInput, fake: Tensor) -> DiscriminatorTerms:
        return only(self.term, self.losses(inputs, fake))


def build(
    dtype: torch.dtype = torch.float32,
    *,
    term: str | None = None,
    monkeypatch: pytest.MonkeyPatch | None = None,
    infogan: bool = False,
    space: LatentSpace = SPACE,
    reduce_max: Callable[[Tensor], object] = lambda flag: None,
    extra: tuple[ExtraTerm, ...] = (),
    consistency: Consistency | None = None,
) -> TrainingStep:
    """Build a step; with `term`, all other terms count for nothing."""
    draw = torch.Generator().manual_seed(0)

    def wrap(module: nn.Module) -> nn.Module:
        bare = term is None or isinstance(module, Generator)
        return module if bare else Masked(module, term)

    step = TrainingStep(
        SIZES.build_generator(space, SHAPE, draw).to(dtype),
        SIZES.build_discriminator(space, SHAPE, draw).to(dtype),
        space,
        OptimizerConfig(),
        extra,
        infogan=infogan,
        consistency=consistency,
        wrap=wrap,
        reduce_max=reduce_max,
    )
    if monkeypatch is not None and term is not None:
        ours = step._generator_terms
        monkeypatch.setattr(step, "_generator_terms", lambda *args: only(term, ours(*args)))
    return step


def losses_of(terms: Terms) -> dict[str, float]:
    return dict(zip(TERMS, terms.values().tolist(), strict=True))


def draw_inputs(
    index: int = 0,
    dtype: torch.dtype = torch.float32,
    *,
    labels: bool = True,
    separate: bool = False,
    space: LatentSpace = SPACE,
) -> StepInput:
    draw = torch.Generator().manual_seed(100 + index)
    x = torch.rand(B, *SHAPE, generator=draw).to(dtype)
    y = torch.randint(3, (B, 1), generator=draw).to(dtype)
    y[::3] = NAN
    if not labels:
        y[:] = NAN
    labeled = None
    if separate:
        labeled, y = (torch.rand(4, *SHAPE, generator=draw).to(dtype), y[:4]), y * NAN
    c, z = space.sample(B, draw)
    return StepInput(x, y, labeled, c.to(dtype), z.to(dtype))


def with_consistency(inputs: StepInput) -> tuple[Consistency, StepInput]:
    """Return terms that find every reading sure, and inputs with strongly changed images."""
    config = ConsistencyConfig(threshold=0)
    return Consistency(config, SPACE, B), inputs._replace(strong=1 - inputs.x)


def parameters(step: TrainingStep) -> dict[str, dict[str, nn.Parameter]]:
    """Return the parameters by part and name."""
    found: dict[str, dict[str, nn.Parameter]] = {
        "G": dict(step.generator.named_parameters()),
        **{part: {} for part in PARTS[1:]},
    }
    for name, value in step.discriminator.named_parameters():
        part = next(
            part
            for part, values in step.discriminator.parts().items()
            if any(value is one for one in values)
        )
        found[part][name] = value
    return found


def gradients(step: TrainingStep) -> list[Tensor]:
    """Return the gradients of the last update, of D and of G."""
    found = [value.grad for part in parameters(step).values() for value in part.values()]
    return [grad for grad in found if grad is not None]


def silent(network: nn.Module) -> Iterator[int]:
    """Yield biases that BatchNorm takes away again: their gradient is zero but for rounding."""
    for stack in network.modules():
        layers = list(stack.children()) if isinstance(stack, nn.Sequential) else []
        for layer, following in itertools.pairwise(layers):
            if isinstance(following, nn.BatchNorm1d | nn.BatchNorm2d):
                assert isinstance(layer.bias, nn.Parameter)
                yield id(layer.bias)


TABLE = {
    "d_real": {"trunk", "d"},
    "d_fake": {"trunk", "d"},
    "L1_IS": {"trunk", "q_ss"},
    "L_I": {"trunk", "q_us"},
    "g_adv": {"G"},
    "L2_IS": {"G"},
    "L_I_g": {"G"},
    "consistency": {"trunk", "q_ss"},
    "information": {"trunk", "q_ss"},
    "fairness": {"trunk", "q_ss"},
    "Extra": {"trunk", "d"},
    "Extra_g": {"G"},
}


@pytest.mark.parametrize("infogan", [False, True])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("term", TABLE)
def test_the_gradient_table(
    term: str, separate: bool, infogan: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = (Extra(),) if term.startswith("Extra") else ()
    consistency, inputs = None, draw_inputs(separate=separate)
    if term in ConsistencyTerms._fields:
        consistency, inputs = with_consistency(inputs)
    step = build(
        term=term, monkeypatch=monkeypatch, infogan=infogan, extra=extra, consistency=consistency
    )
    before = {
        part: {name: value.detach().clone() for name, value in values.items()}
        for part, values in parameters(step).items()
    }
    without_effect = {*silent(step.generator), *silent(step.discriminator)}
    step(inputs, WEIGHTS._replace(consistency=1.0, information=1.0, fairness=1.0))
    for part, values in parameters(step).items():
        assert values, f"{part} has no parameters"
        for name, value in values.items():
            where = f"{term} and {part}'s {name}"
            assert value.grad is not None, where
            if part not in TABLE[term]:
                assert value.grad.eq(0).all(), where
                assert torch.equal(value, before[part][name]), where
            elif id(value) not in without_effect:
                assert value.grad.ne(0).any(), where
                assert not torch.equal(value, before[part][name]), where


def test_in_infogan_q_ss_learns_from_synthetic_images(monkeypatch: pytest.MonkeyPatch) -> None:
    step = build(term="L1_IS", monkeypatch=monkeypatch, infogan=True)
    step(draw_inputs(labels=False), WEIGHTS)
    gradients = [value.grad for value in step.discriminator.parts()["q_ss"]]
    assert all(gradient is not None and gradient.ne(0).any() for gradient in gradients)
    # Real images and their labels play no part in it.
    other = build(term="L1_IS", monkeypatch=monkeypatch, infogan=True)
    inputs = draw_inputs(labels=False)
    other(inputs._replace(x=1 - inputs.x, y=draw_inputs(1).y), WEIGHTS)
    for ours, theirs in zip(gradients, other.discriminator.parts()["q_ss"], strict=True):
        assert ours is not None
        assert torch.equal(ours, theirs.grad)


def test_without_labels_q_ss_learns_nothing_but_stays_in_the_graph() -> None:
    step = build()
    terms = step(draw_inputs(labels=False), WEIGHTS)
    assert terms.d.L1_IS == 0
    for value in step.discriminator.parts()["q_ss"]:
        assert value.grad is not None
        assert value.grad.eq(0).all()


def test_an_extra_term_counts_by_its_weight() -> None:
    def end(*extra: ExtraTerm) -> tuple[list[Tensor], dict[str, float]]:
        step = build(extra=extra)
        for index in range(3):
            values = step(draw_inputs(index), WEIGHTS).values().tolist()
        return state(step), dict(zip(step.terms, values, strict=True))

    without, losses = end()
    recorded, more = end(Extra(weight=0))
    assert more == losses | {"Extra": more["Extra"], "Extra_g": more["Extra_g"]}
    assert more["Extra"] > 0
    assert all(map(torch.equal, recorded, without))
    assert changes(without, end(Extra())[0], build()) == (True, True)


def test_the_terms_of_consistency_count_by_the_weights_of_the_update() -> None:
    def end(terms: Consistency | None, **weights: float) -> list[Tensor]:
        step = build(consistency=terms)
        for index in range(2):
            inputs = draw_inputs(index)
            inputs = inputs._replace(strong=1 - inputs.x)
            found = step(inputs, WEIGHTS._replace(**weights)).values()
        names = () if terms is None else ("consistency", "information", "fairness")
        assert step.terms == (*TERMS, *names)
        assert len(found) == len(step.terms)
        return state(step)

    def made() -> Consistency:
        return with_consistency(draw_inputs())[0]

    without = end(None)
    recorded = made()
    assert all(map(torch.equal, end(recorded), without))
    assert recorded.confidence > 1 / 3  # the averages move all the same
    ends = [end(made(), **{name: 1.0}) for name in ConsistencyTerms._fields]
    for one, other in itertools.combinations([without, *ends], 2):
        assert changes(one, other, build()) == (True, True)


def test_the_trunk_sees_strongly_changed_images_as_they_are() -> None:
    consistency, inputs = with_consistency(draw_inputs())
    assert inputs.strong is not None
    step, seen = build(consistency=consistency), []
    step.discriminator._trunk.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    aside = torch.eye(2, 3).expand(B, 2, 3).clone()
    aside[:, 0, 2] = 0.5
    noise = torch.randn_like(inputs.x)
    maps = AffineMaps(aside, None, aside, aside)
    step(inputs._replace(maps=maps, noise_real=noise, noise_fake=noise), WEIGHTS)
    assert [torch.equal(images, inputs.strong) for images in seen] == [False, False, True, False]


def test_D_is_trainable_again_after_the_step() -> None:
    step = build()
    step(draw_inputs(), WEIGHTS)
    assert all(value.requires_grad for value in step.discriminator.parameters())


def state(step: TrainingStep) -> list[Tensor]:
    """Return copies of D's and then G's parameters and optimizer states."""
    return [
        tensor.detach().clone()
        for network, optimizer in (
            (step.discriminator, step.d_optimizer),
            (step.generator, step.g_optimizer),
        )
        for value in network.parameters()
        for tensor in (value, *optimizer.state[value].values())
    ]


def changes(before: list[Tensor], after: list[Tensor], step: TrainingStep) -> tuple[bool, bool]:
    """Say whether anything of D, and anything of G, is another than before."""
    of_d = 4 * sum(1 for _ in step.discriminator.parameters())
    differ = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    return any(differ[:of_d]), any(differ[of_d:])


@pytest.mark.parametrize(
    ("field", "terms", "d_changes", "g_changes"),
    [
        ("x", {"d_real", "L1_IS"}, False, True),
        ("z", {"d_fake", "L_I", "g_adv", "L_I_g", "L2_IS"}, False, False),
    ],
)
@pytest.mark.parametrize("value", [NAN, math.inf])
def test_an_update_whose_loss_is_not_finite_is_skipped(
    value: float, field: str, terms: set[str], d_changes: bool, g_changes: bool
) -> None:
    step = build()
    step(draw_inputs(0), WEIGHTS)
    before = state(step)
    inputs = draw_inputs(1)
    getattr(inputs, field)[0] = value
    losses = losses_of(step(inputs, WEIGHTS))
    assert {term for term, loss in losses.items() if not math.isfinite(loss)} == terms
    assert changes(before, state(step), step) == (d_changes, g_changes)
    assert all(tensor.isfinite().all() for tensor in state(step))


def test_the_next_update_goes_on_after_a_skipped_one() -> None:
    step = build()
    step(draw_inputs(0), WEIGHTS)
    inputs = draw_inputs(1)
    inputs.x[0] = NAN
    step(inputs, WEIGHTS)
    before = state(step)
    assert step(draw_inputs(2), WEIGHTS).values().isfinite().all()
    assert changes(before, state(step), step) == (True, True)


def test_a_flag_of_another_rank_skips_the_update_here() -> None:
    step = build(reduce_max=lambda flag: flag.fill_(1.0))
    before = {
        part: [v.clone() for v in values.values()] for part, values in parameters(step).items()
    }
    assert step(draw_inputs(), WEIGHTS).values().isfinite().all()
    for part, values in parameters(step).items():
        assert all(map(torch.equal, values.values(), before[part])), part


def test_instance_noise_is_added_in_the_d_step_only() -> None:
    step, inputs = build(), draw_inputs()
    seen: list[Tensor] = []
    step.discriminator._trunk.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        fake = step.generator(SPACE.encode(inputs.c, inputs.z))
    noise_real, noise_fake = torch.randn_like(inputs.x), torch.randn_like(inputs.x)
    step(inputs._replace(noise_real=noise_real, noise_fake=noise_fake), WEIGHTS)
    real, fake_in_d, fake_in_g = seen
    assert torch.equal(real, inputs.x + noise_real)
    torch.testing.assert_close(fake_in_d, fake + noise_fake)
    torch.testing.assert_close(fake_in_g, fake)


def test_d_sees_all_images_through_their_maps() -> None:
    step, inputs = build(), draw_inputs(separate=True)
    assert inputs.labeled is not None
    seen: list[Tensor] = []
    step.discriminator._trunk.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        fake = step.generator(SPACE.encode(inputs.c, inputs.z))
    plain = torch.eye(2, 3).expand(B, 2, 3)
    mirror, aside = plain.clone(), plain.clone()
    mirror[:, 0, 0] = -1
    aside[:, 0, 2] = 2 / SHAPE[2]  # one pixel
    noise = torch.randn_like(inputs.x)
    maps = AffineMaps(mirror, mirror[:4], aside, mirror)
    step(inputs._replace(maps=maps, noise_real=noise), WEIGHTS)
    real, fake_in_d, labeled, fake_in_g = seen
    torch.testing.assert_close(real, inputs.x.flip(3) + noise)
    torch.testing.assert_close(fake_in_d[..., :-1], fake[..., 1:])
    torch.testing.assert_close(labeled, inputs.labeled[0].flip(3))
    torch.testing.assert_close(fake_in_g, fake.flip(3))


def test_identical_maps_change_no_update() -> None:
    one, other = build(torch.float64), build(torch.float64)
    inputs = draw_inputs(dtype=torch.float64)
    plain = torch.eye(2, 3, dtype=torch.float64).expand(B, 2, 3)
    one(inputs, WEIGHTS)
    other(inputs._replace(maps=AffineMaps(plain, None, plain, plain)), WEIGHTS)
    for ours, theirs in zip(gradients(one), gradients(other), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_labeled_images_of_their_own_never_meet_the_d_head() -> None:
    ours, other = build(), build()
    inputs = draw_inputs(separate=True)
    assert inputs.labeled is not None
    ours(inputs, WEIGHTS)
    other(inputs._replace(labeled=(1 - inputs.labeled[0], inputs.labeled[1])), WEIGHTS)
    for one, two in zip(
        ours.discriminator.parts()["d"], other.discriminator.parts()["d"], strict=True
    ):
        assert torch.equal(one.grad, two.grad)  # type: ignore[arg-type]


def test_every_update_has_weights_of_its_own() -> None:
    step = build(torch.float64)
    inputs = draw_inputs(dtype=torch.float64)
    step(inputs, WEIGHTS)
    q_ss = step.discriminator.parts()["q_ss"]
    assert any(value.grad.ne(0).any() for value in q_ss)  # type: ignore[union-attr]
    step(inputs, WEIGHTS._replace(lambda2=0.0))
    assert all(value.grad.eq(0).all() for value in q_ss)  # type: ignore[union-attr]


@pytest.mark.parametrize(("rate", "still"), [("d_lr", "discriminator"), ("g_lr", "generator")])
def test_each_rate_is_of_its_own_network(rate: str, still: str) -> None:
    step = build()
    before = [value.clone() for value in getattr(step, still).parameters()]
    step(draw_inputs(), WEIGHTS._replace(**{rate: 0.0}))
    assert all(map(torch.equal, before, getattr(step, still).parameters()))
    moved = {"d_lr": step.g_optimizer, "g_lr": step.d_optimizer}[rate]
    assert moved.param_groups[0]["lr"] == {"d_lr": 1e-2, "g_lr": 1e-3}[rate]


@pytest.mark.parametrize("missing", ["supervised", "unsupervised"])
def test_either_kind_of_code_may_be_missing(missing: str) -> None:
    space = SPACE.model_copy(update={missing: ()})
    space = LatentSpace.model_validate(space.model_dump())
    step = build(space=space)
    inputs = draw_inputs(space=space)
    if missing == "supervised":
        inputs = inputs._replace(y=torch.empty(B, 0))
    losses = losses_of(step(inputs, WEIGHTS))
    absent = ("L1_IS", "L2_IS") if missing == "supervised" else ("L_I", "L_I_g")
    assert all((value == 0) == (term in absent) for term, value in losses.items())
