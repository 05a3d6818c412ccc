"""What the paper's section 5 trains, as data: label budgets, seeds and sizes for each data set."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal

from ssgan.base.config import Config
from ssgan.base.errors import BadInput
from ssgan.base.yaml_text import read_yaml
from ssgan.data.labels import Amount
from ssgan.tuning import Search, load_search

Name = Literal["mnist", "svhn", "celeba", "cifar10", "mnist-authors", "mnist-turned"]
Size = Literal["smoke", "cpu", "paper"]
_MOST_SEEDS = 1000


class Plan(Config):
    """One of the paper's experiments, or one beyond it."""

    name: Name
    """The data set, and the preset of its runs."""
    title: str
    """How the report names it."""
    section: str | None = None
    """Where the paper reports it; None where it does not."""
    loss_figure: str | None = None
    """The paper's figure of the 0-1 loss."""
    traversal_figure: str | None = None
    """The paper's figure of an unsupervised code."""
    traversals: int | None = None
    """How many unsupervised codes are shown; None is all."""
    beside_infogan: bool = False
    """Whether they are shown next to InfoGAN's at the fewest labels, instead of at all budgets."""
    sample_figure: str | None = None
    """The paper's figure of random samples."""
    blocks_figure: str | None = None
    """The paper's figure of two attributes at a time."""
    epochs_figure: str | None = None
    """The paper's figure of the same epochs side by side."""
    amounts: tuple[Amount, ...]
    """The paper's label budgets, fewest first; 0 is InfoGAN."""
    beyond: tuple[Amount, ...] = ()
    """Label budgets that the paper does not have: none of its claims rests on them."""
    sizes: dict[Size, dict[str, Any]]
    """Fields of each budget of computing."""
    seeds: dict[Size, int]
    """Runs of each label budget, when the user does not say."""
    chance: float
    """0-1 loss of a generator that ignores the code."""

    def search(
        self,
        size: Size,
        seeds: int | None = None,
        overrides: Mapping[str, Any] | Sequence[str] = (),
        amounts: Sequence[Amount] | None = None,
        first_seed: int = 0,
    ) -> Search:
        """Build the grid over label budgets and so many seeds, from the first on.

        The overrides are fields of every run, and of the search as ``search.FIELD``; `amounts` are
        other label budgets than the plan's.

        Raises:
            BadInput: Something cannot work.
        """
        seeds = self.seeds[size] if seeds is None else seeds
        if seeds < 1:
            raise BadInput(f"--seeds {seeds}: one run of each label budget is the least")
        if seeds > _MOST_SEEDS:
            raise BadInput(f"--seeds {seeds}: more than {_MOST_SEEDS} runs of each label budget")
        if first_seed < 0:
            raise BadInput(f"--first-seed {first_seed}: seeds are numbers from 0")
        labels = list(amounts or self.amounts + self.beyond)
        definition = {
            "name": f"paper-{self.name}",
            "base": self.name,
            "overrides": self.sizes[size],
            "space": {
                "data.labels": {"kind": "grid", "values": labels},
                "seed": {"kind": "grid", "values": list(range(first_seed, first_seed + seeds))},
            },
            "finals": {"best": 0},
        }
        return load_search(definition, overrides=overrides)


_TEXT = (files("ssgan.paper") / "plans.yaml").read_text(encoding="utf-8")
PLANS: dict[str, Plan] = {
    plan.name: plan for plan in map(Plan.model_validate, read_yaml(_TEXT, "plans.yaml")["plans"])
}
"""The experiments by name, which is that of their preset."""
