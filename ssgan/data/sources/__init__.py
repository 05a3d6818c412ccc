"""Where images come from: one frozen configuration a kind of source, told apart by `kind`.

Each has ``open() -> Source``, which checks the inputs at once and raises `BadInput` before any
work starts, and ``fingerprint() -> str``, which changes when the parameters or the files do.
"""

from typing import Annotated

from pydantic import Field

from ssgan.data.sources.celeba import CelebaSource
from ssgan.data.sources.digits import DigitsSource
from ssgan.data.sources.folder import FolderSource
from ssgan.data.sources.idx import FashionMnistSource, MnistSource
from ssgan.data.sources.parquet import ParquetSource
from ssgan.data.sources.torchvision_sets import Cifar10Source, SvhnSource

SourceConfig = Annotated[
    DigitsSource
    | MnistSource
    | FashionMnistSource
    | SvhnSource
    | CelebaSource
    | Cifar10Source
    | ParquetSource
    | FolderSource,
    Field(discriminator="kind"),
]
"""Any source; `kind` says which."""

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
