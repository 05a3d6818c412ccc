"""Sources of images: one configuration class a kind, all members of the open union SourceConfig."""

from ssgan.data.sources.base import SourceConfig
from ssgan.data.sources.celeba import CelebaSource
from ssgan.data.sources.digits import DigitsSource
from ssgan.data.sources.folder import FolderSource
from ssgan.data.sources.parquet import ParquetSource
from ssgan.data.sources.torchvision_sets import (
    Cifar10Source,
    FashionMnistSource,
    MnistSource,
    SvhnSource,
)

__all__ = [
    "CelebaSource",
    "Cifar10Source",
    "DigitsSource",
    "FashionMnistSource",
    "FolderSource",
    "MnistSource",
    "ParquetSource",
    "SourceConfig",
    "SvhnSource",
]
