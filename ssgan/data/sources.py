"""Where images come from: one frozen configuration a kind of source, told apart by `kind`.

Each has ``open() -> Source``, which checks the inputs at once and raises `BadInput` before any
work starts, and ``fingerprint() -> str``, which changes when the parameters or the files do.
"""

from typing import Annotated

from pydantic import Field

from ssgan.data.digits import DigitsSource
from ssgan.data.idx import FashionMnistSource, MnistSource

SourceConfig = Annotated[
    DigitsSource | MnistSource | FashionMnistSource,
    Field(discriminator="kind"),
]
"""Any source; `kind` says which."""

__all__ = [
    "DigitsSource",
    "FashionMnistSource",
    "MnistSource",
    "SourceConfig",
]
