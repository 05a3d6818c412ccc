"""What the page on few labels compares: how many labels, how chosen, and what teaches beside them.

A cell is trained once a draw. Draw d is ``data.label_seed=d seed=d``, so that cells are compared
on the same draws. The targets are held against runs of full length; the parts and the budgets are
compared by many runs of half that batch in bfloat16, which take a third of the time.
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

_MEASURED = {  # 1,000 updates, measured once, on the whole test set
    "mnist": (
        *("training.epochs=10", "evaluation.every=10", "evaluation.held_out_images=10000"),
        "scaling.threads=1",
    )
}
_SHORT = (
    *("training.batch_size=64", "label_sampling.batch_size=64"),
    "training.precision=bfloat16",
)
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
    is_short: bool = False
    """Whether updates have 64 images in bfloat16, and not 128 in float32."""

    @property
    def name(self) -> str:
        """Name of the cell, of its runs' folder and of its lines."""
        return f"{self.labels}-{self.choice}-{self.parts}{'-short' * self.is_short}"

    @property
    def draws(self) -> int:
        """Draws that the page asks for: the targets have most, the curve fewest."""
        if self.is_short:
            return 5 if self.choice == "balanced" else 3
        return 10

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
            *_MEASURED.get(self.preset, ()),
            *(_SHORT if self.is_short else ()),
        ]
        replaced = {one.partition("=")[0] for one in own}
        kept = [one for one in fields if one.partition("=")[0] not in replaced]
        return [*kept, *own, f"data.label_seed={draw}", f"seed={draw}"]


def _is_in(override: str, path: str) -> bool:
    name = override.partition("=")[0]
    return name == path or name.startswith(f"{path}.")


def compared(labels: int, choice: Choice) -> list[Cell]:
    """Return the cells that tell what each part does with these labels."""
    return [Cell(labels, choice, parts, is_short=True) for parts in get_args(Parts)]


AIMED = [Cell(10, "balanced", CHOSEN), Cell(20, "asked", CHOSEN), Cell(20, "random", CHOSEN)]
"""What the targets are held against, and random answers beside the asked ones."""
ABLATION = compared(10, "balanced")
CURVE = [
    cell
    for labels in BUDGETS
    for choice in ("asked", "random")
    for cell in compared(labels, choice)
]

GROUPS: list[list[Cell]] = [AIMED, ABLATION, CURVE]
"""What is trained first; within a group all cells of a draw before the next draw."""

CELLS = {cell.name: cell for group in GROUPS for cell in group}
"""All cells by name, in the order of the page."""
