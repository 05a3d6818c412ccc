"""Exports of networks that were never trained."""

from pathlib import Path
from typing import Any

import torch

from ssgan.export.format import pack_export, save_export
from ssgan.method.codes import LatentSpace
from ssgan.networks.architecture import Shape
from ssgan.networks.dcgan import DcganConfig


def save_untrained(
    folder: Path,
    networks: DcganConfig,
    space: LatentSpace,
    shape: Shape,
    seed: int = 3,
    *,
    is_settled: bool = False,
    **provenance: Any,
) -> Path:
    """Save an export of untrained networks to a folder.

    Settled, their BatchNorms know the statistics of what they are given, so that images are strong.
    """
    draw = torch.Generator().manual_seed(seed)
    g = networks.build_generator(space, shape, draw)
    d = networks.build_discriminator(space, shape, draw)
    if is_settled:
        with torch.no_grad():
            for _ in range(60):
                h = d.trunk(g(space.encode(*space.sample(64, draw))))
                d.q_us(h)
    files = pack_export(
        g,
        d,
        networks=networks,
        space=space,
        shape=shape,
        provenance=provenance,
    )
    return save_export(folder, files)
