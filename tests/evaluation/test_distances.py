"""Comparisons of distances answer as the sums of squared differences do, to the bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssgan.evaluation import distances
from ssgan.evaluation.distances import Between, kth_smallest


def summed(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


@st.composite
def points(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Two sets of few distinct points, float32 as features are, so that many are equal or tied."""
    size, scale = draw(st.integers(1, 40)), draw(st.sampled_from([1e-30, 0.1, 1.0, 1e30]))
    away, shake = draw(st.sampled_from([0.0, 1e4])), draw(st.sampled_from([0.0, 1e-7, 1.0]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    grid = torch.randint(-2, 3, (draw(st.integers(1, 12)), size), generator=generator)
    base = grid + away + shake * torch.randn(grid.shape, generator=generator)

    def pick() -> Tensor:
        rows = torch.randint(len(grid), (draw(st.integers(1, 30)),), generator=generator)
        return (base[rows] * scale).float().double()

    return pick(), pick()


@given(points(), st.data())
def test_neighbors_and_balls_are_those_of_summed_differences(
    sets: tuple[Tensor, Tensor], data: st.DataObject
) -> None:
    a, b = sets
    for x in sets:
        k = data.draw(st.integers(1, len(x)))
        assert kth_smallest(x, k).equal(summed(x, x).kthvalue(k, dim=1).values)
    between, found = summed(a, b), Between(a, b)
    for radius in (between[:, :1], between[-1:, :], kth_smallest(a, 1)[:, None]):
        assert found.within(radius).equal(between <= radius)


@pytest.mark.parametrize("few", [0.0, 1.0])
def test_it_does_not_matter_how_open_pairs_are_summed(
    few: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "_FEW", few)
    monkeypatch.setattr(distances, "_PAIRS", 7)
    x = torch.rand(9, 33, generator=torch.Generator().manual_seed(0)).double()
    x = torch.cat([x, x.flip(0), x.flip(1)])
    assert kth_smallest(x, 3).equal(summed(x, x).kthvalue(3, dim=1).values)
    radius = summed(x, x)[:, 4:5]
    assert Between(x, x).within(radius).equal(summed(x, x) <= radius)


def test_few_sums_are_taken_where_points_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = torch.rand(2, 200, 64, generator=torch.Generator().manual_seed(0)).double()
    pairs = 0
    exact = distances._distances

    def counted(a: Tensor, b: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        nonlocal pairs
        pairs += len(rows)
        return exact(a, b, rows, columns)

    monkeypatch.setattr(distances, "_distances", counted)
    radius = kth_smallest(a, 6)
    assert pairs == 6 * 200
    Between(a, b).within(radius[:, None])
    assert pairs == 6 * 200


def test_a_point_that_is_not_a_number_leaves_the_others_as_they_are() -> None:
    a = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).double()
    a[2, 1] = torch.nan
    wanted = summed(a, a).kthvalue(2, dim=1).values
    torch.testing.assert_close(kth_smallest(a, 2), wanted, rtol=0, atol=0, equal_nan=True)
    radius = torch.full((5, 1), 0.5, dtype=torch.float64)
    assert Between(a, a).within(radius).equal(summed(a, a) <= radius)
