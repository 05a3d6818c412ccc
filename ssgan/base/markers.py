"""What is said about a field of configuration, on the field: ``Annotated[float, Mutable]``."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Changes:
    """Who may change a field of a run that has started; without it nobody (*identity*).

    A field below a marked one is as marked as that.
    """

    by: Literal["mutable", "extent", "free"]


Mutable = Changes("mutable")
"""Population based training may change it while a run trains; a resume may not."""
Extent = Changes("extent")
"""How long and on what: a resume may change it."""
Free = Changes("free")
"""How the run is measured and recorded: a resume may change it."""


@dataclass(frozen=True)
class NotSearchable:
    """No search may vary the field, nor one below it.

    Attributes:
        why: The reason, and what to do instead.
    """

    why: str = "it is the same for all trials; set it with an override"
