"""Where images come from: one frozen configuration a kind of source, told apart by `kind`.

Each has ``open() -> Source``, which checks the inputs at once and raises `BadInput` before any
work starts, and ``fingerprint() -> str``, which changes when the parameters or the files do.
"""

from typing import Annotated

from pydantic import Field

from ssgan.data.celeba import CelebaSource
from ssgan.data.digits import DigitsSource
from ssgan.data.folder import FolderSource
from ssgan.data.idx import FashionMnistSource, MnistSource
from ssgan.data.published import Cifar10Source, SvhnSource
from ssgan.data.tables import ParquetSource

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
