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
    **provenance: Any,
) -> Path:
    """Save an export of untrained networks to a folder."""
    draw = torch.Generator().manual_seed(seed)
    files = pack_export(
        networks.build_generator(space, shape, draw),
        networks.build_discriminator(space, shape, draw),
        networks=networks,
        space=space,
        shape=shape,
        provenance=provenance,
    )
    return save_export(folder, files)
