"""Light affine augmentation of images, drawn from a keyed generator."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ssgan.base.config import Config


class AugmentConfig(Config):
    """Ranges of a random affine map; each image draws its own. Zero everywhere is the identity."""

    rotation: float = Field(default=15.0, ge=0, le=180)
    """Largest rotation, in degrees, either way."""
    scale: float = Field(default=0.1, ge=0, lt=1)
    """Largest relative change of size."""
    shift: float = Field(default=0.07, ge=0, lt=1)
    """Largest shift along each axis, as a fraction of the image's side."""
    shear: float = Field(default=0.2, ge=0, lt=1)
    """Largest horizontal shear, as the tangent of its angle."""
    flip: bool = False
    """Mirror half of the images left to right."""


def draw_affine(n: int, generator: torch.Generator) -> Tensor:
    """Draw what n random affine maps need: uniform in [-1, 1], float32 (n, 6).

    The numbers are drawn apart from their use so that every rank can draw those of the global
    batch and take its slice.
    """
    return torch.rand(n, 6, generator=generator, device=generator.device) * 2 - 1


def augment(config: AugmentConfig, images: Tensor, draws: Tensor) -> Tensor:
    """Map images, float32 (B, C, H, W), each by its own draws from `draw_affine`, float32 (B, 6).

    The result is bilinear; what comes from outside repeats the border.
    """
    return warp(images, affine_maps(config, draws), "bilinear")


def affine_maps(config: AugmentConfig, draws: Tensor) -> Tensor:
    """Compute the maps, float32 (B, 2, 3), that draws of `draw_affine`, float32 (B, 6), stand for.

    They say where a pixel's value comes from, in coordinates from -1 to 1.
    """
    turn, size, lean, along_x, along_y, side = draws.unbind(dim=1)
    angle = turn * math.radians(config.rotation)
    scale = 1 + size * config.scale
    shear = lean * config.shear
    shift = torch.stack([along_x, along_y], dim=1) * config.shift * 2  # a side is 2 units long
    mirror = torch.where((side < 0) & config.flip, -1.0, 1.0)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    row_x = torch.stack([cos * mirror, shear * cos - sin], dim=1)
    row_y = torch.stack([sin * mirror, shear * sin + cos], dim=1)
    return torch.cat([torch.stack([row_x, row_y], dim=1), shift[:, :, None]], dim=2)


def affine_maps_each(config: AugmentConfig, draws: Sequence[Tensor]) -> list[Tensor]:
    """Compute `affine_maps` of several groups of images at once, in a third of the operators."""
    return list(affine_maps(config, torch.cat([*draws])).split([len(group) for group in draws]))


def warp(images: Tensor, maps: Tensor, mode: Literal["bilinear", "nearest"]) -> Tensor:
    """Map images, float32 (B, C, H, W), by maps from `affine_maps`; differentiable by the images.

    A pixel blends its four origins (bilinear), or is the nearest of them; what comes from outside
    repeats the border.
    """
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode, padding_mode="border", align_corners=False)
