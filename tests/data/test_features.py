from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from ssgan.base.threads import use_threads
from ssgan.data.features import pixel_features, principal_components


def pictures(count: int, channels: int, side: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    shape = (count, channels, side, side)
    return torch.randint(256, shape, generator=draw, dtype=torch.uint8)


def features(images: Tensor, dims: int = 50) -> Tensor:
    channels, height, width = images.shape[1:]
    shape = (channels, height, width)
    return pixel_features(lambda rows: images[rows], len(images), shape, dims)


def strokes(slants: list[float], at: int = 8) -> Tensor:
    """Draw strokes of equal length that lean by so many pixels a line, black on white."""
    images = torch.full((len(slants), 1, 20, 20), 255.0)
    for image, slant in zip(images[:, 0], slants, strict=True):
        for y in range(5, 15):
            x = at + slant * (y - 9.5)
            left, part = int(x), x - int(x)
            image[y, left] -= 255 * (1 - part)
            image[y, left + 1] -= 255 * part
    return images.to(torch.uint8)


@pytest.mark.parametrize(("channels", "side"), [(1, 12), (1, 40), (3, 8)])
def test_features_are_the_same_on_one_thread_and_on_two(channels: int, side: int) -> None:
    images = pictures(300, channels, side)
    with use_threads(1):
        alone = features(images)
    with use_threads(2):
        assert torch.equal(features(images), alone)
    assert alone.shape == (300, 50)
    assert alone.dtype == torch.float32


def stripes(direction: str, periods: list[int], low: int = 0, high: int = 255) -> Tensor:
    """Draw stripes that lie or stand, in color, (n, 3, 16, 16)."""
    line = torch.arange(16)
    rows = torch.stack([torch.where(line // period % 2 == 1, high, low) for period in periods])
    images = rows[:, None, :, None].expand(-1, 3, -1, 16)
    return (images if direction == "lying" else images.transpose(2, 3)).to(torch.uint8)


def test_pictures_are_alike_whose_edges_run_alike_however_strong_they_are() -> None:
    strong, weak = stripes("lying", [4]), stripes("lying", [4], 100, 150)
    found = features(torch.cat([strong, weak, stripes("standing", [4])]))
    apart = torch.cdist(found, found)
    assert apart[0, 1] < apart[0, 2] / 4


def test_flat_pictures_are_told_apart_by_their_color() -> None:
    flat = torch.full((4, 3, 16, 16), 100, dtype=torch.uint8)
    flat[1, 0], flat[2, 0], flat[3] = 120, 160, 100
    apart = torch.cdist(features(flat), features(flat))[0]
    # 16 parts of one channel, each 20 or 60 levels off, at two units a level.
    torch.testing.assert_close(apart, torch.tensor([0, 160.0, 480.0, 0]), rtol=1e-3, atol=1e-3)


def test_few_components_are_those_in_which_images_differ_most() -> None:
    images = torch.cat([stripes("lying", [3, 4, 5]), stripes("standing", [3, 4, 5])])
    first = features(images, dims=1)[:, 0]
    assert (first[:3].sign() == first[0].sign()).all()
    assert (first[3:].sign() == -first[0].sign()).all()


def test_strokes_are_alike_however_they_lean_and_wherever_they_stand() -> None:
    leaning = torch.cat([strokes([0.0, 0.5, -0.5]), strokes([0.0], at=11)])
    bars = strokes([0.0]).transpose(2, 3)
    found = features(torch.cat([leaning, bars]))
    among, across = torch.cdist(found, found)[0, 1:4], torch.cdist(found, found)[0, 4]
    assert among.max() < across / 3


def test_images_that_are_all_alike_have_one_feature_less_than_none() -> None:
    assert features(pictures(1, 1, 8).expand(5, -1, -1, -1)).shape[0] == 5
    assert not features(pictures(1, 1, 8).expand(5, -1, -1, -1)).any()


def test_distances_between_vectors_become_distances_between_components() -> None:
    draw = torch.Generator().manual_seed(0)
    vectors = torch.randint(-(2**14), 2**14, (90, 30), generator=draw).double()

    def by_two(rows: Tensor) -> Iterator[Tensor]:
        yield from vectors[rows].split(2)

    found = principal_components(by_two, 90, 50).double()
    assert found.shape == (90, 30)
    expected = torch.cdist(vectors, vectors)
    torch.testing.assert_close(torch.cdist(found, found), expected, rtol=1e-3, atol=1)


def test_a_permutation_of_the_images_permutes_the_features() -> None:
    images, order = pictures(100, 3, 6), torch.randperm(100)
    assert torch.equal(features(images[order]), features(images)[order])
