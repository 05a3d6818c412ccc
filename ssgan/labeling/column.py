"""What is asked about every picture: a class, or a number."""

import re
from dataclasses import dataclass

from ssgan.base.errors import BadInput
from ssgan.data.sources.cells import UNKNOWN_WORDS
from ssgan.data.sources.columns import Kind
from ssgan.method.codes import Code

DEFAULT_COLUMN = "class"

_RANGE = re.compile(r"(?P<name>[^=]+)=(?P<low>[-+.\de]+)\.\.(?P<high>[-+.\de]+)")


@dataclass(frozen=True)
class Column:
    """A question that is asked about every picture."""

    name: str
    is_number: bool = False
    """Whether the answer is a number, and not a class."""
    low: float | None = None
    """Where dragging begins; None for the lowest answer."""
    high: float | None = None
    """Where dragging ends; None for the highest answer."""
    classes: tuple[str, ...] = ()
    """Classes that are known beforehand."""
    fixed: bool = False
    """Whether there are no others."""
    declared: bool = False
    """Whether the experiment file says that the answers are classes, also where all are numbers."""
    unknown: tuple[str, ...] = UNKNOWN_WORDS
    """Words that training reads as unknown labels."""
    none_refused: str = ""
    """Why *none of these* cannot be written, and what to do; empty where it can."""

    @property
    def kind(self) -> Kind:
        """What the answers become."""
        return "continuous" if self.is_number else "categorical"

    def stand_in(self) -> Code:
        """Return a code for what nobody has answered yet, to measure by."""
        if self.is_number:
            return Code(name=self.name, kind=self.kind, low=self.low or 0, high=self.high or 1)
        return Code(name=self.name, kind=self.kind, classes=tuple(map(str, range(10))))


def parse_label(text: str) -> Column:
    """Read ``NAME``, a question about classes, or ``NAME=LOW..HIGH``, one about a number.

    Raises:
        BadInput: It is neither.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        if "=" in text or not text.strip():
            raise BadInput(f"--label {text}: give NAME, or NAME=LOW..HIGH for a number")
        return Column(text.strip())
    try:
        low, high = float(found["low"]), float(found["high"])
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise BadInput(f"--label {text}: LOW..HIGH are two numbers, as angle=-60..60")
    return Column(found["name"].strip(), is_number=True, low=low, high=high)
