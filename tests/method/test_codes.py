import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ssgan.base.errors import BadInput
from ssgan.method.codes import Code, Joint, LatentSpace, UnsupervisedCode

unhurried = settings(deadline=None, max_examples=50)  # no timed assertions

DIGIT = Code(name="digit", kind="categorical", classes=("zero", "one", "two"))
ANGLE = Code(name="angle", kind="continuous", low=-30, high=90)
STYLE = Code(name="style", kind="continuous")


@st.composite
def codes(draw: st.DrawFn, name: str) -> Code:
    if draw(st.booleans()):
        return Code(
            name=name,
            kind="categorical",
            classes=tuple(map(str, range(draw(st.integers(2, 6))))),
        )
    low = draw(st.floats(-1000, 1000))
    return Code(name=name, kind="continuous", low=low, high=low + draw(st.floats(0.5, 1000)))


@st.composite
def spaces(draw: st.DrawFn) -> LatentSpace:
    supervised = draw(st.integers(0, 3))
    unsupervised = draw(st.integers(0 if supervised else 1, 3))
    return LatentSpace(
        supervised=tuple(draw(codes(f"s{k}")) for k in range(supervised)),
        unsupervised=tuple(draw(codes(f"u{k}")) for k in range(unsupervised)),
        noise=draw(st.integers(1, 5)),
        posterior=draw(st.sampled_from(["mse", "gaussian"])),
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@unhurried
@given(spaces(), st.integers(1, 20), st.integers(0, 99))
def test_samples_stay_in_their_ranges(space: LatentSpace, n: int, seed: int) -> None:
    c, z = space.sample(n, generator(seed))
    assert c.shape == (n, len(space.codes))
    assert z.shape == (n, space.noise)
    assert c.dtype == z.dtype == torch.float32
    for code, column in zip(space.codes, c.unbind(1), strict=True):
        if code.is_categorical:
            assert set(column.tolist()) <= set(map(float, range(code.size)))
        else:
            assert column.abs().max() <= 1
    again = space.sample(n, generator(seed))
    assert torch.equal(again.c, c)
    assert torch.equal(again.z, z)


@unhurried
@given(spaces(), st.integers(1, 8), st.integers(0, 99))
def test_the_input_of_G_holds_codes_and_noise(space: LatentSpace, n: int, seed: int) -> None:
    c, z = space.sample(n, generator(seed))
    encoded = space.encode(c, z)
    assert encoded.shape == (n, space.width)
    assert encoded.dtype == torch.float32
    start = 0
    for code, column in zip(space.codes, c.unbind(1), strict=True):
        part = encoded[:, start : start + code.size]
        if code.is_categorical:
            assert torch.equal(part.sum(1), torch.ones(n))
            assert torch.equal(part.argmax(1).float(), column)
        else:
            assert torch.equal(part[:, 0], column)
        start += code.size
    assert torch.equal(encoded[:, start:], z)


@unhurried
@given(spaces())
def test_q_has_a_column_a_parameter(space: LatentSpace) -> None:
    each = 2 if space.posterior == "gaussian" else 1
    expected = sum(len(code.classes) or each for code in space.codes)
    assert space.q_width(space.codes) == expected
    assert space.q_width(()) == 0


@unhurried
@given(codes("x"), st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_units_are_mapped_there_and_back(code: Code, units: list[float]) -> None:
    values = torch.tensor(units, dtype=torch.float64)
    if code.is_categorical:
        assert torch.equal(code.to_unit(values), values)
        assert torch.equal(code.from_unit(values), values)
        return
    mapped = code.from_unit(values)
    assert code.low - 1e-9 <= mapped.min()
    assert mapped.max() <= code.high + 1e-9
    torch.testing.assert_close(code.to_unit(mapped), values, atol=1e-9, rtol=1e-9)


def test_minus_one_and_one_are_low_and_high() -> None:
    assert ANGLE.from_unit(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [-30, 30, 90]
    assert ANGLE.to_unit(torch.tensor([-30.0, 30.0, 90.0])).tolist() == [-1, 0, 1]
    assert ANGLE.to_unit(torch.tensor(math.nan)).isnan()


def space_of(*supervised: Code, joint: Joint | None = None) -> LatentSpace:
    return LatentSpace(supervised=supervised, unsupervised=(STYLE,), noise=2, joint=joint)


def test_the_uniform_prior_is_uniform() -> None:
    c, z = space_of(DIGIT).sample(30_000, generator())
    shares = c[:, 0].long().bincount(minlength=3) / 30_000
    assert (shares - 1 / 3).abs().max() < 0.015  # five standard deviations
    assert c[:, 1].mean().abs() < 0.02
    assert abs(c[:, 1].var() - 1 / 3) < 0.01
    assert z.mean().abs() < 0.02
    assert abs(z.var() - 1) < 0.03


def test_codes_are_independent_under_the_uniform_prior() -> None:
    c, _ = space_of(DIGIT, ANGLE).sample(30_000, generator())
    assert torch.corrcoef(c.T).sub(torch.eye(3)).abs().max() < 0.03


def test_an_empirical_joint_is_sampled_as_a_whole() -> None:
    rows = ((0.0, -1.0), (2.0, 0.5), (2.0, 1.0))
    space = space_of(DIGIT, ANGLE, joint=Joint(rows=rows, weights=(0.5, 0.3, 0.2)))
    c, _ = space.sample(20_000, generator())
    assert set(map(tuple, c[:, :2].tolist())) == set(rows)
    for row, weight in zip(rows, (0.5, 0.3, 0.2), strict=True):
        share = (c[:, :2] == torch.tensor(row)).all(1).float().mean()
        assert abs(share - weight) < 0.02
    assert space.prior_probabilities(DIGIT) == pytest.approx([0.5, 0, 0.5])
    assert space.entropy(DIGIT) == pytest.approx(math.log(2))
    assert space.prior_probabilities(DIGIT.model_copy(update={"name": "else"})) == [1 / 3] * 3
    assert c[:, 2].abs().max() <= 1  # codes without labels keep their own prior


@unhurried
@given(spaces(), st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5), st.booleans())
def test_rows_drawn_each_from_its_seed_have_the_bits_of_a_sample_of_one(
    space: LatentSpace, seeds: list[int], is_joint: bool
) -> None:
    if is_joint and space.supervised:
        rows = tuple((float(k),) * len(space.supervised) for k in range(2))
        space = space.model_copy(update={"joint": Joint(rows=rows, weights=(0.3, 0.7))})
    for noise in (space.noise, 62):  # torch fills 16 numbers or more in another way
        wide = space.model_copy(update={"noise": noise})
        each = wide.sample_each(seeds)
        for i, seed in enumerate(seeds):
            one = wide.sample(1, generator(seed))
            assert torch.equal(each.c[i : i + 1], one.c)
            assert torch.equal(each.z[i : i + 1], one.z)


def test_entropies_in_nats() -> None:
    space = space_of(DIGIT)
    assert space.entropy(DIGIT) == pytest.approx(math.log(3))
    assert space.entropy(STYLE) == pytest.approx(math.log(2))  # of U(-1, 1)


def test_unsupervised_codes_become_codes() -> None:
    assert UnsupervisedCode(name="tilt").code() == Code(name="tilt", kind="continuous")
    lot = UnsupervisedCode(name="lot", size=3).code()
    assert lot.classes == ("0", "1", "2")


def test_codes_are_found_by_name() -> None:
    space = space_of(DIGIT, ANGLE)
    assert [space.index(name) for name in ("digit", "angle", "style")] == [0, 1, 2]
    with pytest.raises(BadInput, match="no code is named 'digits'; did you mean 'digit'"):
        space.index("digits")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "", "kind": "continuous"}, "at least 1 character"),
        ({"name": "a", "kind": "categorical"}, "two classes"),
        ({"name": "a", "kind": "categorical", "classes": ("x",)}, "two classes"),
        ({"name": "a", "kind": "categorical", "classes": ("x", "x")}, "class twice"),
        ({"name": "a", "kind": "continuous", "classes": ("x", "y")}, "no classes"),
        ({"name": "a", "kind": "continuous", "low": 1, "high": 1}, "low < high"),
        ({"name": "a", "kind": "continuous", "low": math.nan}, "finite number"),
    ],
)
def test_bad_codes_are_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Code(**fields)  # type: ignore[arg-type]


def test_bad_spaces_are_refused() -> None:
    with pytest.raises(ValidationError, match="share the name digit"):
        LatentSpace(supervised=(DIGIT,), unsupervised=(DIGIT,), noise=1)
    with pytest.raises(ValidationError, match="one code or more"):
        LatentSpace(supervised=(), unsupervised=(), noise=1)
    with pytest.raises(ValidationError, match="noise"):
        LatentSpace(supervised=(DIGIT,), unsupervised=(), noise=0)


@unhurried
@given(spaces())
def test_spaces_survive_json(space: LatentSpace) -> None:
    width = space.width  # a cached property must not disturb equality
    again = LatentSpace.model_validate_json(space.model_dump_json())
    assert again == space
    assert again.width == width


def test_none_of_the_classes_is_one_more_column_of_q_ss_for_each_code_with_classes() -> None:
    space = space_of(DIGIT, ANGLE).model_copy(update={"none": True})
    assert space.q_width(space.supervised) == 3 + 1 + 1
    assert space.q_width(space.unsupervised) == 1
    assert space.width == space_of(DIGIT, ANGLE).width
    assert (DIGIT.none, ANGLE.none) == (3, math.inf)
    assert LatentSpace.model_validate(space.model_dump()) == space
