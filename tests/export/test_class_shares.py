"""Shares of classes: how they are written, and how images are divided by them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgan.base.errors import BadInput
from ssgan.export.class_shares import divide, parse_shares
from ssgan.export.format import ExportManifest
from ssgan.method.codes import Code, Joint, LatentSpace
from ssgan.networks.dcgan import DcganConfig

PET = Code(name="pet", kind="categorical", classes=("cat", "dog", "a=b, c"))


def manifest(joint: Joint | None = None, **shares: tuple[float, ...]) -> ExportManifest:
    return ExportManifest(
        networks=DcganConfig(),
        space=LatentSpace(supervised=(PET,), unsupervised=(), noise=2, joint=joint),
        shape=(1, 8, 8),
        shares=shares,
        weights_sha256="",
        provenance={},
    )


def test_shares_are_uniform_or_given() -> None:
    assert parse_shares("uniform", PET, manifest()) == (1 / 3,) * 3
    assert parse_shares("dog=0.25,a=b, c=0.75", PET, manifest()) == (0, 0.25, 0.75)
    assert parse_shares("a=b, c=0.5,cat=0.5", PET, manifest()) == (0.5, 0, 0.5)


def test_estimated_shares_are_those_of_the_images_or_else_those_of_the_prior() -> None:
    joint = Joint(rows=((0,), (2,)), weights=(0.75, 0.25))
    assert parse_shares("estimated", PET, manifest(joint)) == (0.75, 0, 0.25)
    assert parse_shares("estimated", PET, manifest(joint, pet=(0.5, 0.5, 0))) == (0.5, 0.5, 0)
    with pytest.raises(BadInput, match="nothing was estimated about the shares of pet"):
        parse_shares("estimated", PET, manifest())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat=0.5,dog=0.4", "sum to 0.9, not to 1"),
        ("cat=0.5,dig=0.5", "no class 'dig'; did you mean 'dog'"),
        ("cat=1,cat=0", "'cat' twice"),
        ("cat=1.5,dog=-0.5", "cat=1.5 is not a share"),
        ("cat=nan", "'cat=nan' is not CLASS=P"),
        ("cat=1e,dog=0", "cat=1e is not a share"),
        ("cat=0.5,dog", "'dog' is not CLASS=P"),
        ("even", "none of estimated, uniform"),
    ],
)
def test_bad_shares_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_shares(text, PET, manifest())


def test_equal_shares_take_turns() -> None:
    classes, turns = divide((0.1,) * 10, 0, 25)
    assert classes.tolist() == [*range(10), *range(10), *range(5)]
    assert turns.tolist() == [0] * 10 + [1] * 10 + [2] * 5


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any),
    st.integers(0, 3_000),
    st.integers(1, 300),
)
def test_any_part_is_divided_as_the_whole_and_the_whole_by_the_shares(
    weights: list[int], first: int, n: int
) -> None:
    shares = [weight / sum(weights) for weight in weights]
    whole, turns = divide(shares, 0, first + n)
    for index, share in enumerate(shares):
        so_far = np.cumsum(whole == index)
        assert abs(so_far - share * np.arange(1, first + n + 1)).max() <= len(shares) / 2 + 0.5
        assert turns[whole == index].tolist() == [*range(so_far[-1])]
    part, later = divide(shares, first, n)
    assert part.tolist() == whole[first:].tolist()
    assert later.tolist() == turns[first:].tolist()


def test_far_images_take_no_longer_to_find() -> None:
    classes, _ = divide((0.5, 0.25, 0.25), 10**12, 400)
    assert np.bincount(classes).tolist() == [200, 100, 100]
