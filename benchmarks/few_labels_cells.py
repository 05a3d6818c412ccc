"""What the page on few labels compares: how many labels, how chosen, and what teaches beside them.

A cell is trained once a draw. Draw d is ``data.label_seed=d seed=d``, so that cells are compared
on the same draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Choice = Literal["balanced", "asked", "random"]
Parts = Literal["labels", "spread", "consistency", "both"]

BUDGETS = (10, 20, 40, 132)
CHOSEN: Parts = "both"
"""The parts that the targets are held against; chosen on development draws."""
DEVELOPMENT = 100
"""Draws from here on are for choosing settings, and never on the page."""

_LENGTH = {  # 1,000 updates of 128 images, measured once, on the whole test set
    "mnist": (
        *("training.epochs=10", "evaluation.every=10", "evaluation.held_out_images=10000"),
        "scaling.threads=1",
    )
}
_CHOICES: dict[Choice, tuple[str, ...]] = {
    "balanced": (),
    "asked": ("data.choice=asked", "data.balanced=false"),
    "random": ("data.balanced=false",),
}
_TEACHERS = {"spread": "data.spread", "consistency": "objective.consistency"}
_TEACHING = {"data.spread": "{}", "objective.consistency": "{fairness: 0.5}"}


@dataclass(frozen=True)
class Cell:
    """One way to train on a preset with few labels."""

    labels: int
    choice: Choice
    parts: Parts
    preset: str = "mnist"

    @property
    def name(self) -> str:
        """Name of the cell, of its runs' folder and of its lines."""
        return f"{self.labels}-{self.choice}-{self.parts}"

    @property
    def draws(self) -> int:
        """Draws that the page asks for: the targets and the ablation have more than the curve."""
        is_target = self.parts == CHOSEN and self.labels == 20
        return 10 if self.choice == "balanced" or is_target else 3

    def fields(self, draw: int, overrides: Sequence[str] = ()) -> list[str]:
        """Return FIELD=VALUE of a draw, the draw itself last.

        An override of a teacher, as ``data.spread.share=0.7``, counts only where the cell has it.
        """
        has = [path for part, path in _TEACHERS.items() if self.parts in (part, "both")]
        lacks = set(_TEACHERS.values()) - set(has)
        own = [one for one in overrides if not any(_is_in(one, path) for path in lacks)]
        fields = [
            f"data.labels={self.labels}",
            *_CHOICES[self.choice],
            *(f"{path}={_TEACHING[path]}" for path in has),
            *_LENGTH.get(self.preset, ()),
        ]
        replaced = {one.partition("=")[0] for one in own}
        kept = [one for one in fields if one.partition("=")[0] not in replaced]
        return [*kept, *own, f"data.label_seed={draw}", f"seed={draw}"]


def _is_in(override: str, path: str) -> bool:
    name = override.partition("=")[0]
    return name == path or name.startswith(f"{path}.")


def _all(labels: int, choices: Sequence[Choice]) -> list[Cell]:
    return [Cell(labels, choice, parts) for choice in choices for parts in get_args(Parts)]


ABLATION = _all(10, ["balanced"])
CURVE = [cell for labels in BUDGETS for cell in _all(labels, ["asked", "random"])]

GROUPS: list[list[Cell]] = [
    [Cell(10, "balanced", "both"), Cell(10, "balanced", "spread")],
    [Cell(20, "asked", CHOSEN), Cell(20, "random", CHOSEN)],
    ABLATION,
    *([cell for cell in CURVE if cell.labels == labels] for labels in (20, 10, 40, 132)),
]
"""What is trained first; within a group all cells of a draw before the next draw."""

CELLS = {cell.name: cell for cell in [*ABLATION, *CURVE]}
"""All cells by name, in the order of the page."""
