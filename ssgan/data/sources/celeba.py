"""CelebA through torchvision: aligned faces, with attributes chosen by name."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from ssgan.base.config import nearest
from ssgan.data.sources.encoded_images import Crop, EncodedSource, FramingConfig, Picture, Size
from ssgan.data.sources.torchvision_sets import TorchvisionSource
from ssgan.method.codes import Code

_NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
ATTRIBUTES = tuple(_NAMES.split())
"""The attributes of list_attr_celeba.txt, in its order."""


class CelebaSource(TorchvisionSource, FramingConfig):
    """CelebA: 162,770 aligned faces to train and 19,962 to test."""

    title: ClassVar[str] = "CelebA"
    files: ClassVar[tuple[str, ...]] = (
        "celeba/img_align_celeba",
        "celeba/list_attr_celeba.txt",
        "celeba/list_eval_partition.txt",
        "celeba/identity_CelebA.txt",
        "celeba/list_bbox_celeba.txt",
        "celeba/list_landmarks_align_celeba.txt",
    )

    kind: Literal["celeba"] = "celeba"
    attributes: tuple[str, ...] = ("Smiling", "Mouth_Slightly_Open", "Attractive", "Male")
    """Attributes that become label columns with the classes no and yes; the default is the
    paper's choice (section 5.3)."""
    crop: Crop | None = (0.0, 20 / 218, 1.0, 198 / 218)
    """Part of the frame that is kept, in fractions of it; the default is the central square of
    the aligned images (178x178 of 178x218)."""
    size: Size | None = 32
    """Height and width in pixels (the paper: 32)."""

    @model_validator(mode="after")
    def _check_attributes(self) -> "CelebaSource":
        for name in self.attributes:
            if name not in ATTRIBUTES:
                raise ValueError(f"CelebA has no attribute {name!r}{nearest(name, ATTRIBUTES)}")
            if self.attributes.count(name) > 1:
                raise ValueError(f"attribute {name!r} is named twice")
        return self

    def open(self) -> EncodedSource:
        """Make sure that the files are there (`require`), and read the attributes."""
        self.require()
        read = {split: self._read(split) for split in ("train", "test")}
        chosen = [ATTRIBUTES.index(name) for name in self.attributes]
        labels = np.concatenate([part.attr.numpy()[:, chosen] for part in read.values()])
        offsets = {"train": 0, "test": len(read["train"].filename)}
        folder = self.folder / "celeba" / "img_align_celeba"

        def pictures(split: str) -> Iterator[Picture]:
            for row, name in enumerate(read[split].filename, start=offsets[split]):
                yield Picture(name, row, (folder / name).read_bytes)

        framing = self.fitted(gray=False, deep=())
        width, height = self.framed(178, 218)
        return EncodedSource(
            name=self.kind,
            shape=(framing.channels or 3, height, width),
            columns=tuple(
                Code(name=name, kind="categorical", classes=("no", "yes"))
                for name in self.attributes
            ),
            labels=labels.astype(np.float32),
            counts={split: len(part.filename) for split, part in read.items()},
            pictures=pictures,
            framing=framing,
            provenance={
                "origin": "torchvision: CelebA, aligned and cropped",
                "split": "train: train partition; test: test partition",
                "framing": framing.rule,
            },
        )

    def fetch(self) -> None:
        """Let torchvision download and unpack the images and the lists."""
        self._read("test", download=True)

    def _read(self, split: str, download: bool = False) -> Any:
        from torchvision.datasets import CelebA

        return CelebA(str(self.folder), split=split, download=download)
