"""What the paper's section 5 trains, as data: label budgets, seeds and sizes for each data set.

MNIST is there twice, by this project's recipe and by the authors'. One experiment is beyond the
paper: digits turned by angles, of which few are known.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ssgan.base.config import Config
from ssgan.base.errors import BadInput
from ssgan.data.labels import Amount
from ssgan.tuning import Search, load_search

Name = Literal["mnist", "svhn", "celeba", "cifar10", "mnist-authors", "mnist-turned"]
Size = Literal["smoke", "cpu", "paper"]

_SMOKE: dict[str, Any] = {
    "training.epochs": 6,
    "training.steps_per_epoch": 50,
    "training.batch_size": 32,
    "label_sampling.batch_size": 16,
    "networks.width": 16,
    "networks.hidden": 128,
    "networks.q_hidden": 16,
    "evaluation.every": 1,
    "evaluation.samples": 200,
    "evaluation.real_images": 400,
    "evaluation.held_out_images": 400,
    "evaluation.judge.epochs": 1,
    "evaluation.judge.least_updates": 100,
    "evaluation.judge.validation_images": 2000,
}
# Long enough on two cores for the claims to show, within about two hours for a whole grid.
_CPU_MNIST: dict[str, Any] = {
    "training.epochs": 20,
    "training.steps_per_epoch": 50,
    "training.batch_size": 64,
    "label_sampling.batch_size": 64,
    "evaluation.real_images": 1000,
    "evaluation.held_out_images": 1000,
}
_CPU_PHOTOGRAPHS: dict[str, Any] = {
    "training.epochs": 40,
    "training.steps_per_epoch": 200,
    "evaluation.real_images": 1000,
    "evaluation.held_out_images": 1000,
}
_Q_BATCH = "label_sampling.batch_size"


def _shared_batch(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the size of Q_ss's own batch, for a recipe in which it has none."""
    return {name: value for name, value in fields.items() if name != _Q_BATCH}


# The paper gives sizes of neither networks nor trainings for its photographs: DCGAN's width and
# InfoGAN's 50 epochs of all images are what it builds on.
_PAPER_PHOTOGRAPHS: dict[str, Any] = {
    "networks.width": 64,
    "networks.hidden": 1024,
    "training.epochs": 100,
    "training.steps_per_epoch": 600,
    "training.batch_size": 128,
    "label_sampling.batch_size": 128,
}


def _wide_resnet(depth: int, width: int) -> dict[str, Any]:
    """Make C a Wide ResNet, as the paper's is for CIFAR-10 (section 5).

    It learns as Wide ResNets do from CIFAR-10: from mirrored images shifted by up to 4 pixels,
    and with more weight decay than a small C needs.
    """
    judge = {
        "classifier.kind": "wrn",
        "classifier.depth": depth,
        "classifier.width": width,
        "weight_decay": 0.05,
        "augment": {"rotation": 0.0, "scale": 0.0, "shear": 0.0, "shift": 0.125, "flip": True},
    }
    return {f"evaluation.judge.{name}": value for name, value in judge.items()}


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
    """Whether they are shown beside InfoGAN's at the fewest labels, instead of at all budgets."""
    sample_figure: str | None = None
    """The paper's figure of random samples."""
    blocks_figure: str | None = None
    """The paper's figure of two attributes at a time."""
    epochs_figure: str | None = None
    """The paper's figure of the same epochs side by side."""
    amounts: tuple[Amount, ...]
    """The paper's label budgets, fewest first; 0 is InfoGAN."""
    beyond: tuple[Amount, ...] = ()
    """Label budgets that the paper does not have: no claim of its rests on them."""
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
        """Build the grid over label budgets and seeds.

        Args:
            size: The budget of computing: ``smoke``, ``cpu`` or ``paper``.
            seeds: Runs of each label budget, with seeds that follow each other.
            overrides: Fields of every run, and of the search as ``search.FIELD``.
            amounts: Other label budgets than the plan's.
            first_seed: The first of the seeds.

        Raises:
            BadInput: Something cannot work.
        """
        seeds = self.seeds[size] if seeds is None else seeds
        if seeds < 1:
            raise BadInput(f"--seeds {seeds}: one run of each label budget is the least")
        if first_seed < 0:
            raise BadInput(f"--first-seed {first_seed}: seeds are numbers from 0")
        definition = {
            "name": f"paper-{self.name}",
            "base": self.name,
            "overrides": self.sizes[size],
            "space": {
                "data.labels": {
                    "kind": "grid",
                    "values": list(amounts or self.amounts + self.beyond),
                },
                "seed": {"kind": "grid", "values": list(range(first_seed, first_seed + seeds))},
            },
            "finals": {"best": 0},
        }
        return load_search(definition, overrides=overrides)


PLANS: dict[str, Plan] = {
    plan.name: plan
    for plan in (
        Plan(
            name="mnist",
            title="MNIST",
            section="5.1",
            loss_figure="3a",
            traversal_figure="2",
            beside_infogan=True,
            amounts=(0, 132, "1%", "10%", "100%"),
            beyond=(10,),  # a label a class
            sizes={"smoke": _SMOKE, "cpu": _CPU_MNIST, "paper": {}},
            seeds={"smoke": 1, "cpu": 3, "paper": 3},
            chance=0.9,
        ),
        Plan(
            name="svhn",
            title="SVHN",
            section="5.2",
            loss_figure="3b",
            traversal_figure="4",
            sample_figure="5",
            epochs_figure="11",
            amounts=(0, "10%", "100%"),
            sizes={"smoke": _SMOKE, "cpu": _CPU_PHOTOGRAPHS, "paper": _PAPER_PHOTOGRAPHS},
            seeds={"smoke": 1, "cpu": 2, "paper": 3},
            chance=0.9,
        ),
        Plan(
            name="celeba",
            title="CelebA",
            section="5.3",
            loss_figure="8a",
            traversals=0,
            sample_figure="7",
            blocks_figure="6",
            amounts=(0, "1%", "20%", "100%"),
            sizes={"smoke": _SMOKE, "cpu": _CPU_PHOTOGRAPHS, "paper": _PAPER_PHOTOGRAPHS},
            seeds={"smoke": 1, "cpu": 2, "paper": 3},
            chance=0.5,
        ),
        Plan(
            name="cifar10",
            title="CIFAR-10",
            section="5.4",
            loss_figure="8b",
            traversal_figure="9",
            traversals=1,
            sample_figure="10",
            amounts=(0, "10%", "100%"),
            sizes={
                "smoke": _SMOKE,
                "cpu": {
                    **_CPU_PHOTOGRAPHS,
                    **_wide_resnet(16, 4),
                    "evaluation.judge.epochs": 40,
                },
                "paper": {
                    **_PAPER_PHOTOGRAPHS,
                    "optimizer.lr_schedule.delay": 40,
                    "optimizer.lr_schedule.duration": 60,
                    **_wide_resnet(28, 10),
                },
            },
            seeds={"smoke": 1, "cpu": 2, "paper": 3},
            chance=0.9,
        ),
        Plan(
            name="mnist-authors",
            title="MNIST by the authors' recipe",
            section="5.1",
            loss_figure="3a",
            traversal_figure="2",
            beside_infogan=True,
            amounts=(0, 132, "1%", "10%", "100%"),
            sizes={
                "smoke": _shared_batch(_SMOKE),
                "cpu": _shared_batch(_CPU_MNIST),
                "paper": {},
            },
            seeds={"smoke": 1, "cpu": 3, "paper": 3},
            chance=0.9,
        ),
        Plan(
            name="mnist-turned",
            title="MNIST, turned",
            amounts=(0, 10, 132, "1%", "100%"),
            sizes={
                "smoke": _SMOKE,
                "cpu": {**_CPU_MNIST, "training.epochs": 40},  # G begins later than on mnist
                "paper": {},
            },
            seeds={"smoke": 1, "cpu": 2, "paper": 3},
            chance=0.9,
        ),
    )
}
"""The experiments by name, which is that of their preset."""
