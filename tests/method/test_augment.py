import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ssgan.method.augment import (
    AugmentConfig,
    affine_maps,
    affine_maps_each,
    augment,
    draw_affine,
    warp,
)

NOTHING = AugmentConfig(rotation=0, scale=0, shift=0, shear=0)
SIDE = 16
TURN, SIZE, LEAN, ALONG_X, ALONG_Y, MIRROR = range(6)


def draws(**values: float) -> Tensor:
    row = torch.zeros(1, 6)
    for name, value in values.items():
        row[0, globals()[name.upper()]] = value
    return row


def picture() -> Tensor:
    """Draw an L, which looks like none of its mirror images or rotations."""
    image = torch.zeros(1, 1, SIDE, SIDE)
    image[..., 4:12, 5:7] = 1
    image[..., 10:12, 5:11] = 1
    return image


def test_draws_are_uniform_and_keyed() -> None:
    drawn = draw_affine(5000, torch.Generator().manual_seed(0))
    assert drawn.shape == (5000, 6)
    assert drawn.dtype == torch.float32
    assert drawn.abs().max() <= 1
    assert drawn.mean(0).abs().max() < 0.04
    assert (drawn.var(0) - 1 / 3).abs().max() < 0.02
    assert torch.equal(drawn, draw_affine(5000, torch.Generator().manual_seed(0)))


def test_maps_of_several_groups_are_those_of_each_to_the_bit() -> None:
    generator, config = torch.Generator().manual_seed(3), AugmentConfig(flip=True)
    draws = [draw_affine(n, generator) for n in (128, 7, 1, 61)]
    together = affine_maps_each(config, draws)
    assert [len(maps) for maps in together] == [128, 7, 1, 61]
    for maps, of_one in zip(together, draws, strict=True):
        assert torch.equal(maps, affine_maps(config, of_one))


def test_nothing_asked_for_changes_nothing() -> None:
    images = torch.rand(7, 3, SIDE, SIDE)
    mapped = augment(NOTHING, images, draw_affine(7, torch.Generator().manual_seed(1)))
    torch.testing.assert_close(mapped, images, atol=1e-5, rtol=0)


def test_a_quarter_turn() -> None:
    config = NOTHING.model_copy(update={"rotation": 90})
    turned = augment(config, picture(), draws(turn=1))
    expected = [picture().rot90(k, dims=(2, 3)) for k in (1, 3)]
    errors = [(turned - image).abs().max().item() for image in expected]
    assert min(errors) < 1e-4
    back = augment(config, turned, draws(turn=-1))
    torch.testing.assert_close(back, picture(), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("axis", "dim"), [("along_x", 3), ("along_y", 2)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_shift_is_a_fraction_of_the_side(axis: str, dim: int, sign: int) -> None:
    config = NOTHING.model_copy(update={"shift": 3 / SIDE})
    shifted = augment(config, picture(), draws(**{axis: sign}))
    expected = picture().roll(-3 * sign, dims=dim)
    torch.testing.assert_close(shifted, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("size", "growth"), [(1.0, 1.5), (-1.0, 0.5)])
def test_a_change_of_size(size: float, growth: float) -> None:
    config = NOTHING.model_copy(update={"scale": 0.5})
    blob = torch.zeros(1, 1, 64, 64)
    blob[..., 22:42, 22:42] = 1
    scaled = augment(config, blob, draws(size=size))
    assert scaled.sum().item() == pytest.approx(blob.sum().item() * growth**2, rel=0.05)


def test_a_shear_keeps_areas_and_rows() -> None:
    config = NOTHING.model_copy(update={"shear": 0.3})
    blob = torch.zeros(1, 1, 64, 64)
    blob[..., 20:44, 24:40] = 1
    sheared = augment(config, blob, draws(lean=1))
    torch.testing.assert_close(sheared.sum(3), blob.sum(3), atol=0.05, rtol=0)
    columns = torch.arange(64.0)
    centers = (sheared[0, 0, 20:44] * columns).sum(1) / sheared[0, 0, 20:44].sum(1)
    slope = (centers[-1] - centers[0]) / 23
    assert abs(slope.item()) == pytest.approx(0.3, abs=0.01)


def test_half_of_the_images_are_mirrored() -> None:
    config = NOTHING.model_copy(update={"flip": True})
    images = picture().expand(400, -1, -1, -1)
    mapped = augment(config, images, draw_affine(400, torch.Generator().manual_seed(0)))
    mirrored = (mapped - picture().flip(3)).abs().amax((1, 2, 3)) < 1e-4
    same = (mapped - picture()).abs().amax((1, 2, 3)) < 1e-4
    assert (mirrored ^ same).all()
    assert 0.4 < mirrored.float().mean() < 0.6


def test_the_outside_repeats_the_border() -> None:
    bright = torch.ones(5, 1, SIDE, SIDE)
    mapped = augment(AugmentConfig(), bright, draw_affine(5, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(mapped, bright)


def test_images_are_mapped_one_by_one() -> None:
    images, drawn = torch.rand(6, 2, SIDE, SIDE), draw_affine(6, torch.Generator().manual_seed(3))
    together = augment(AugmentConfig(flip=True), images, drawn)
    alone = [
        augment(AugmentConfig(flip=True), images[k : k + 1], drawn[k : k + 1]) for k in range(6)
    ]
    torch.testing.assert_close(together, torch.cat(alone))
    assert together.min() >= 0
    assert together.max() <= 1
    assert (together - images).abs().amax((1, 2, 3)).min() > 0.1


@pytest.mark.parametrize(
    "fields", [{"rotation": 181}, {"scale": 1}, {"shift": -0.1}, {"shear": math.nan}]
)
def test_bad_ranges_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(fields))):
        AugmentConfig(**fields)


def test_the_nearest_origin_makes_no_new_color() -> None:
    images = torch.rand(5, 3, SIDE, SIDE, requires_grad=True)
    maps = affine_maps(AugmentConfig(), draw_affine(5, torch.Generator().manual_seed(2)))
    mapped = warp(images, maps, "nearest")
    for image, found in zip(images, mapped, strict=True):
        assert set(found.flatten().tolist()) <= set(image.flatten().tolist())
        assert not torch.equal(image, found)
    mapped.sum().backward()
    assert images.grad is not None
    assert images.grad.sum().item() == mapped.numel()  # each pixel found has one origin
    assert torch.equal(images.grad, images.grad.round())
